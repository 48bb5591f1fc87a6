use super::{Optimizer, Rule, Update, check_epsilon, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::optimizer;

/// Adam by the largest recent gradient in place of their mean square (Kingma and Ba, arXiv 1412.6980, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adamax {
    /// Learning rate.
    pub rate: f32,
    /// The share of the gradient's mean that is kept in a step.
    pub beta1: f32,
    /// The share of the largest gradient that is kept in a step.
    pub beta2: f32,
    /// Added to the largest gradient.
    pub epsilon: f32,
}

impl Default for Adamax {
    fn default() -> Adamax {
        Adamax { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }
}

impl From<Adamax> for Optimizer {
    fn from(rule: Adamax) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for Adamax {
    fn name(&self) -> &'static str {
        "Adamax"
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_share("beta1", self.beta1)?;
        check_share("beta2", self.beta2)?;
        check_epsilon(self.epsilon)
    }

    fn rate(&self, _: u64) -> f32 {
        self.rate
    }

    fn arrays(&self) -> usize {
        2
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        let Adamax { beta1, beta2, epsilon, .. } = *self;
        let left = 1.0 - libm::pow(beta1.into(), run.step as f64);
        let rate = (f64::from(run.rate) / left) as f32;
        let [mean, norm] = run.state.split();
        let (isa, weights, gradients) = (run.isa, run.weights, run.gradients);
        Ok(optimizer::adamax(isa, rate, beta1, beta2, epsilon, weights, mean, norm, gradients)?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
