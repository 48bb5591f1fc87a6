use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `x tanh(ln(1 + exp(x)))`, Keras's `Activation("mish")` (Misra, "Mish: A Self Regularized Non-Monotonic Activation Function",
/// arXiv 1908.08681).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mish;

impl Map for Mish {
    const NAME: &'static str = "Mish";
    const BASE: &'static str = "mish";
    type Function = elementwise::Mish;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Mish)
    }
}
