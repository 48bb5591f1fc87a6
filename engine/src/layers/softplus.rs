use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `ln(1 + exp(x))`, Keras's `Activation("softplus")` (Dugas et al., "Incorporating Second-Order Functional Knowledge for
/// Better Option Pricing", 2000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Softplus;

impl Map for Softplus {
    const NAME: &'static str = "Softplus";
    const BASE: &'static str = "softplus";
    type Function = elementwise::Softplus;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Softplus)
    }
}
