use super::{Optimizer, Rule, check_epsilon, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::{Isa, optimizer};

/// Gradient descent by steps in units of the gradient's recent root mean square (Hinton, Coursera
/// lecture 6e).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub rate: f32,
    /// The share of the mean square that is kept in a step.
    pub rho: f32,
    /// Added to the mean square before its root is taken.
    pub epsilon: f32,
}

impl Default for RmsProp {
    fn default() -> RmsProp {
        RmsProp { rate: 1e-3, rho: 0.9, epsilon: 1e-7 }
    }
}

impl From<RmsProp> for Optimizer {
    fn from(rule: RmsProp) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for RmsProp {
    fn name(&self) -> &'static str {
        "RMSprop"
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_share("rho", self.rho)?;
        check_epsilon(self.epsilon)
    }

    fn arrays(&self) -> usize {
        1
    }

    fn update(
        &self,
        isa: Isa,
        _step: u64,
        weights: &mut [f32],
        [square, _]: [&mut [f32]; 2],
        gradients: &[f32],
    ) -> Result<(), Error> {
        Ok(optimizer::rmsprop(isa, self.rate, self.rho, self.epsilon, weights, square, gradients)?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
