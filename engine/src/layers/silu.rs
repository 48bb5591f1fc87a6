use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `x / (1 + exp(-x))`, also known as swish, Keras's `Activation("silu")` (Ramachandran et al., "Searching for Activation
/// Functions", arXiv 1710.05941).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silu;

impl Map for Silu {
    const NAME: &'static str = "SiLU";
    const BASE: &'static str = "silu";
    type Function = elementwise::Silu;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Silu)
    }
}
