use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `x (1 + tanh(√(2 / π) (x + 0.044715 x³))) / 2`, Keras's `gelu(x, approximate=True)` (Hendrycks and Gimpel, "Gaussian Error
/// Linear Units", arXiv 1606.08415): at most 0.0005 from [`Gelu`](crate::Gelu).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TanhGelu;

impl Map for TanhGelu {
    const NAME: &'static str = "TanhGELU";
    const BASE: &'static str = "tanh_gelu";
    type Function = elementwise::TanhGelu;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::TanhGelu)
    }
}
