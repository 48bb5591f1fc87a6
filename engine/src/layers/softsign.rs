use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `x / (1 + |x|)`, Keras's `Activation("softsign")` (Bergstra et al., "Quadratic Polynomials Learn Better Image Features",
/// 2009).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Softsign;

impl Map for Softsign {
    const NAME: &'static str = "Softsign";
    const BASE: &'static str = "softsign";
    type Function = elementwise::Softsign;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Softsign)
    }
}
