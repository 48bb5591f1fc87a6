use super::{Optimizer, Rule, Update, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::optimizer;

/// Steps of one length, in the direction of the signs of a mean (Chen et al., arXiv 2302.06675).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// Learning rate.
    pub rate: f32,
    /// The share of the mean, beside the gradient, in what the step's direction is read from.
    pub beta1: f32,
    /// The share of the gradient's mean that is kept in a step.
    pub beta2: f32,
}

impl Default for Lion {
    fn default() -> Lion {
        Lion { rate: 1e-3, beta1: 0.9, beta2: 0.99 }
    }
}

impl From<Lion> for Optimizer {
    fn from(rule: Lion) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for Lion {
    fn name(&self) -> &'static str {
        "Lion"
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        if self.beta1 == 0.0 {
            let (what, expected) = ("beta1", "above 0 and less than 1");
            return Err(Error::OutOfRange { what, expected, got: self.beta1 });
        }
        check_share("beta1", self.beta1)?;
        check_share("beta2", self.beta2)
    }

    fn rate(&self, _: u64) -> f32 {
        self.rate
    }

    fn arrays(&self) -> usize {
        1
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        let [mean] = run.state.split();
        Ok(optimizer::lion(run.isa, run.rate, self.beta1, self.beta2, run.weights, mean, run.gradients)?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
