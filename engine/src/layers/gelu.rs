use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `x Φ(x)` with the normal distribution `Φ(x) = (1 + erf(x / √2)) / 2`, Keras's `Activation("gelu")` (Hendrycks and Gimpel,
/// "Gaussian Error Linear Units", arXiv 1606.08415). [`TanhGelu`](crate::TanhGelu) is near it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gelu;

impl Map for Gelu {
    const NAME: &'static str = "GELU";
    const BASE: &'static str = "gelu";
    type Function = elementwise::Gelu;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Gelu)
    }
}
