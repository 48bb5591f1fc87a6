use super::noise::{Noise, NoiseStep, Random, check_rate, noise_layer};
use super::{
    Attributes, AttributesMut, Differentiable, Layer, LayerType, PassesOn, Signature, Site, one_input,
};
use crate::error::Error;
use crate::shape::Shape;

/// Multiplies by normal numbers of mean 1 and variance `rate / (1 - rate)`, the mean and the variance of what
/// [`Dropout`](crate::Dropout) multiplies by, in training only (Srivastava et al., JMLR 15, 2014, section 10). Any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianDropout {
    rate: f32,
}

impl GaussianDropout {
    /// Of that rate, at least 0 and less than 1.
    pub const fn new(rate: f32) -> GaussianDropout {
        GaussianDropout { rate }
    }

    fn check(&self) -> Result<(), Error> {
        check_rate("dropout rate", self.rate)
    }
}

noise_layer!(GaussianDropout, rate, "GaussianDropout", "gaussian_dropout", "dropout rate");

impl Noise for GaussianDropout {
    fn draw(&self, random: &mut Random) -> [f32; 2] {
        [1.0 + libm::sqrtf(self.rate / (1.0 - self.rate)) * random.normal(), 0.0]
    }
}
