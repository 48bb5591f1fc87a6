use super::{Optimizer, Rule, Update, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::optimizer;

/// Stochastic gradient descent, with momentum if that is not zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub rate: f32,
    /// The share of the last step that is taken again.
    pub momentum: f32,
    /// Whether the gradient is taken to be that after the momentum's step (Sutskever et al., ICML
    /// 2013).
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Sgd {
        Sgd { rate: 0.01, momentum: 0.0, nesterov: false }
    }
}

impl From<Sgd> for Optimizer {
    fn from(rule: Sgd) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for Sgd {
    fn name(&self) -> &'static str {
        if self.momentum == 0.0 { "SGD" } else { "SGD with momentum" }
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_share("momentum", self.momentum)
    }

    fn rate(&self, _: u64) -> f32 {
        self.rate
    }

    fn arrays(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        let Update { isa, rate, weights, gradients, state, .. } = run;
        if self.momentum == 0.0 {
            return Ok(optimizer::sgd(isa, rate, weights, gradients)?);
        }
        let Sgd { momentum, nesterov, .. } = *self;
        let [velocity] = state.split();
        Ok(optimizer::sgd_momentum(isa, rate, momentum, nesterov, weights, velocity, gradients)?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
