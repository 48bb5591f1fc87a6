use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `1 / (1 + exp(-x))`, Keras's `Activation("sigmoid")`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sigmoid;

impl Map for Sigmoid {
    const NAME: &'static str = "Sigmoid";
    const BASE: &'static str = "sigmoid";
    type Function = elementwise::Sigmoid;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Sigmoid)
    }
}
