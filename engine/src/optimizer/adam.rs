use super::{Optimizer, Rule, Update, check_epsilon, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::optimizer;

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
    /// Whether the largest mean square that there was takes the place of the last (Reddi et al., ICLR 2018).
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-7, amsgrad: false }
    }
}

impl From<Adam> for Optimizer {
    fn from(rule: Adam) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for Adam {
    fn name(&self) -> &'static str {
        if self.amsgrad { "Adam by AMSGrad" } else { "Adam" }
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
        2 + usize::from(self.amsgrad)
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        let Adam { beta1, beta2, epsilon, amsgrad, .. } = *self;
        let Update { isa, weights: w, gradients: g, state, step, .. } = run;
        let left = |beta: f32| 1.0 - libm::pow(beta.into(), step as f64);
        let rate = (f64::from(run.rate) * libm::sqrt(left(beta2)) / left(beta1)) as f32;
        if amsgrad {
            let [mean, square, largest] = state.split();
            Ok(optimizer::amsgrad(isa, rate, beta1, beta2, epsilon, w, mean, square, largest, g)?)
        } else {
            let [mean, square] = state.split();
            Ok(optimizer::adam(isa, rate, beta1, beta2, epsilon, w, mean, square, g)?)
        }
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
