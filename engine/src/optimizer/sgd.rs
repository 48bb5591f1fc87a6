use super::{check_rate, check_share};
use crate::Error;
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

impl Sgd {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_share("momentum", self.momentum)
    }

    pub(super) fn update(
        &self,
        isa: Isa,
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
}
