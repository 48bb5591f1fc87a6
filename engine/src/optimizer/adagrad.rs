use super::rule::check_not_negative;
use super::{Optimizer, Rule, Update, check_epsilon, check_rate};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::optimizer;

/// Gradient descent by steps in units of the root of all squares so far (Duchi et al., JMLR 12, 2011).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// Learning rate.
    pub rate: f32,
    /// What the sum of squares begins with.
    pub initial: f32,
    /// Added to the sum of squares before its root is taken.
    pub epsilon: f32,
}

impl Default for Adagrad {
    fn default() -> Adagrad {
        Adagrad { rate: 1e-3, initial: 0.1, epsilon: 1e-7 }
    }
}

impl From<Adagrad> for Optimizer {
    fn from(rule: Adagrad) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for Adagrad {
    fn name(&self) -> &'static str {
        "Adagrad"
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_not_negative("initial sum of squares", self.initial)?;
        check_epsilon(self.epsilon)
    }

    fn rate(&self, _: u64) -> f32 {
        self.rate
    }

    fn arrays(&self) -> usize {
        1
    }

    fn initial(&self) -> f32 {
        self.initial
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        let [sum] = run.state.split();
        Ok(optimizer::adagrad(run.isa, run.rate, self.epsilon, run.weights, sum, run.gradients)?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
