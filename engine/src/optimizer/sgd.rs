use super::{Optimizer, Rule, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::{Isa, optimizer};

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
        "SGD"
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_share("momentum", self.momentum)
    }

    fn arrays(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }

    fn update(
        &self,
        isa: Isa,
        _step: u64,
        weights: &mut [f32],
        [velocity, _]: [&mut [f32]; 2],
        gradients: &[f32],
    ) -> Result<(), Error> {
        if self.momentum == 0.0 {
            return Ok(optimizer::sgd(isa, self.rate, weights, gradients)?);
        }
        let Sgd { rate, momentum, nesterov } = *self;
        Ok(optimizer::sgd_momentum(isa, rate, momentum, nesterov, weights, velocity, gradients)?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}
