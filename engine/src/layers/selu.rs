use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `1.0507 x` if that is positive, else `1.7581 (exp(x) - 1)`, Keras's `Activation("selu")`: the numbers keep a mean of 0 and a
/// variance of 1 (Klambauer et al., "Self-Normalizing Neural Networks", arXiv 1706.02515).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selu;

impl Selu {
    pub(super) const SCALE: f64 = 1.050_700_987_355_480_5;
    pub(super) const ALPHA: f64 = 1.673_263_242_354_377_3;
}

impl Map for Selu {
    const NAME: &'static str = "SELU";
    const BASE: &'static str = "selu";
    type Function = elementwise::Elu;

    fn function(&self) -> Result<Self::Function, Error> {
        let (scale, alpha) = (Selu::SCALE as f32, (Selu::SCALE * Selu::ALPHA) as f32);
        // As in TensorFlow.
        Ok(elementwise::Elu { scale, alpha, at_zero: scale })
    }
}
