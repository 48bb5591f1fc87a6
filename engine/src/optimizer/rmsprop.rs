use super::{Optimizer, Rule, Update, check_epsilon, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::optimizer;

/// Gradient descent by steps in units of the gradient's recent root mean square (Hinton, Coursera
/// lecture 6e).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub rate: f32,
    /// The share of the mean square that is kept in a step.
    pub rho: f32,
    /// The share of the last step that is taken again.
    pub momentum: f32,
    /// Added to the mean square before its root is taken.
    pub epsilon: f32,
    /// Whether the variance takes the place of the mean square (Graves, arXiv 1308.0850). One that rounding makes
    /// negative is zero, where Keras's step is NaN.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> RmsProp {
        RmsProp { rate: 1e-3, rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false }
    }
}

impl From<RmsProp> for Optimizer {
    fn from(rule: RmsProp) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for RmsProp {
    fn name(&self) -> &'static str {
        match (self.centered, self.momentum != 0.0) {
            (false, false) => "RMSprop",
            (false, true) => "RMSprop with momentum",
            (true, false) => "centered RMSprop",
            (true, true) => "centered RMSprop with momentum",
        }
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_share("rho", self.rho)?;
        check_share("momentum", self.momentum)?;
        check_epsilon(self.epsilon)
    }

    fn rate(&self, _: u64) -> f32 {
        self.rate
    }

    fn arrays(&self) -> usize {
        1 + usize::from(self.centered) + usize::from(self.momentum != 0.0)
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        let RmsProp { rho, momentum, epsilon, centered, .. } = *self;
        let Update { isa, rate, weights: w, gradients: g, state, .. } = run;
        let updated = match (centered, momentum != 0.0) {
            (false, false) => {
                let [square] = state.split();
                optimizer::rmsprop(isa, rate, rho, epsilon, w, square, g)
            }
            (false, true) => {
                let [square, velocity] = state.split();
                optimizer::rmsprop_momentum(isa, rate, rho, momentum, epsilon, w, square, velocity, g)
            }
            (true, false) => {
                let [square, mean] = state.split();
                optimizer::rmsprop_centered(isa, rate, rho, epsilon, w, square, mean, g)
            }
            (true, true) => {
                let [square, mean, velocity] = state.split();
                optimizer::rmsprop_centered_momentum(
                    isa, rate, rho, momentum, epsilon, w, square, mean, velocity, g,
                )
            }
        };
        Ok(updated?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
