use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// The hyperbolic tangent, Keras's `Activation("tanh")`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tanh;

impl Map for Tanh {
    const NAME: &'static str = "Tanh";
    const BASE: &'static str = "tanh";
    type Function = elementwise::Tanh;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Tanh)
    }
}
