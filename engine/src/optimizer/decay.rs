use super::rule::{check_not_negative, check_once};
use super::{Asks, Names, Optimizer, Rule, Update};
use crate::error::Error;
use alloc::boxed::Box;
use alloc::string::ToString;
use bantam_kernels::{Isa, optimizer};

impl Optimizer {
    /// With weights of which each step takes off the share `decay` times the rate, whatever their gradients
    /// (Loshchilov and Hutter, arXiv 1711.05101). Excluded are parameters of these names, `"bias"`, and those of layers of
    /// these names, `"batch_normalization"`; training a model that has none such is an error.
    pub fn weight_decay(self, decay: f32, excluded: &[&str]) -> Optimizer {
        let excluded = excluded.iter().map(|&name| name.into()).collect();
        self.within(|rule| Decay { rule, decay, excluded })
    }
}

/// A rule with weights that decay.
struct Decay {
    rule: Box<dyn Rule>,
    decay: f32,
    excluded: Box<[Box<str>]>,
}

impl Rule for Decay {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn check(&self) -> Result<(), Error> {
        check_once(&*self.rule, Asks::Decay, "weight decays")?;
        check_not_negative("weight decay", self.decay)?;
        self.rule.check()
    }

    fn rate(&self, step: u64) -> f32 {
        self.rule.rate(step)
    }

    fn arrays(&self) -> usize {
        self.rule.arrays()
    }

    fn initial(&self) -> f32 {
        self.rule.initial()
    }

    fn asks(&self, asks: Asks) -> bool {
        asks == Asks::Decay || self.rule.asks(asks)
    }

    fn add_squares(&self, isa: Isa, gradients: &[f32], sum: f32) -> Result<f32, Error> {
        self.rule.add_squares(isa, gradients, sum)
    }

    fn check_names(&self, names: &dyn Names) -> Result<(), Error> {
        let known =
            |name: &str| (0..).map_while(|parameter| names.of(parameter)).any(|of| of.contains(&name));
        match self.excluded.iter().find(|name| !known(name)) {
            Some(name) => {
                let cause = Box::new(Error::Empty { what: "parameters that are excluded from weight decay" });
                Err(Error::Layer { name: name.to_string(), cause })
            }
            None => self.rule.check_names(names),
        }
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        let excluded = match run.names.of(run.parameter) {
            _ if self.excluded.is_empty() => false,
            Some(names) => self.excluded.iter().any(|excluded| names.contains(&&**excluded)),
            None => return Err(Error::Empty { what: "names of the parameter" }),
        };
        if !excluded {
            optimizer::decay(run.isa, run.rate * self.decay, run.weights);
        }
        self.rule.update(run)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(Decay { rule: self.rule.clone(), excluded: self.excluded.clone(), ..*self })
    }
}
