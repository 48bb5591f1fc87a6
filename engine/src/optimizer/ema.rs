use super::rule::check_once;
use super::{Asks, Names, Optimizer, Rule, Update};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::{Isa, optimizer};

impl Optimizer {
    /// With an exponential moving average of the weights, of which a step keeps the share `momentum`: a net with it is
    /// often better than one with the last weights. [`Trainer::fit`](crate::Trainer::fit) leaves the average in the model
    /// and goes on from the weights themselves, which its events see; elsewhere [`swap_ema`](Optimizer::swap_ema) exchanges the two. With
    /// `overwrite`, the weights become their average each time that so many steps were made.
    pub fn ema(self, momentum: f32, overwrite: Option<u64>) -> Optimizer {
        self.within(|rule| Ema { rule, momentum, overwrite })
    }
}

/// A rule with an average of its weights.
struct Ema {
    rule: Box<dyn Rule>,
    momentum: f32,
    overwrite: Option<u64>,
}

impl Rule for Ema {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn check(&self) -> Result<(), Error> {
        check_once(&*self.rule, Asks::Average, "moving averages")?;
        let (what, got) = ("momentum of the average", self.momentum);
        if !(0.0..=1.0).contains(&got) {
            return Err(Error::OutOfRange { what, expected: "from 0 to 1", got });
        }
        if self.overwrite == Some(0) {
            return Err(Error::Empty { what: "steps until the average overwrites the weights" });
        }
        self.rule.check()
    }

    fn rate(&self, step: u64) -> f32 {
        self.rule.rate(step)
    }

    fn arrays(&self) -> usize {
        self.rule.arrays() + 1
    }

    fn initial(&self) -> f32 {
        self.rule.initial()
    }

    fn asks(&self, asks: Asks) -> bool {
        asks == Asks::Average || self.rule.asks(asks)
    }

    fn add_squares(&self, isa: Isa, gradients: &[f32], sum: f32) -> Result<f32, Error> {
        self.rule.add_squares(isa, gradients, sum)
    }

    fn check_names(&self, names: &dyn Names) -> Result<(), Error> {
        self.rule.check_names(names)
    }

    fn update(&self, mut run: Update<'_>) -> Result<(), Error> {
        let (all, gradients) = (0..run.weights.len(), run.gradients);
        self.rule.update(run.part(all, gradients))?;
        let average = run.state.last();
        if run.first {
            average.copy_from_slice(run.weights);
        } else {
            optimizer::ema(run.isa, self.momentum, average, run.weights)?;
        }
        if self.overwrite.is_some_and(|steps| run.step.is_multiple_of(steps)) {
            run.weights.copy_from_slice(average);
        }
        Ok(())
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(Ema { rule: self.rule.clone(), ..*self })
    }
}
