use super::{Optimizer, Rule, check_epsilon, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::{Isa, optimizer};

/// Adaptive moment estimation (Kingma and Ba, arXiv 1412.6980).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub rate: f32,
    /// The share of the gradient's mean that is kept in a step.
    pub beta1: f32,
    /// The share of its mean square that is kept in a step.
    pub beta2: f32,
    /// Added to the root of the mean square.
    pub epsilon: f32,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }
}

impl From<Adam> for Optimizer {
    fn from(rule: Adam) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for Adam {
    fn name(&self) -> &'static str {
        "Adam"
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_share("beta1", self.beta1)?;
        check_share("beta2", self.beta2)?;
        check_epsilon(self.epsilon)
    }

    fn arrays(&self) -> usize {
        2
    }

    fn update(
        &self,
        isa: Isa,
        step: u64,
        weights: &mut [f32],
        [mean, square]: [&mut [f32]; 2],
        gradients: &[f32],
    ) -> Result<(), Error> {
        let Adam { rate, beta1, beta2, epsilon } = *self;
        let left = |beta: f32| 1.0 - libm::pow(beta.into(), step as f64);
        let rate = (f64::from(rate) * libm::sqrt(left(beta2)) / left(beta1)) as f32;
        Ok(optimizer::adam(isa, rate, beta1, beta2, epsilon, weights, mean, square, gradients)?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
