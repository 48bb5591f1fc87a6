use super::map::not_negative;
use super::noise::{Noise, NoiseStep, Random, noise_layer};
use super::{
    Attributes, AttributesMut, Differentiable, Layer, LayerType, PassesOn, Signature, Site, one_input,
};
use crate::error::Error;
use crate::shape::Shape;

/// Adds normal numbers of mean 0 and that standard deviation, in training only. Any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianNoise {
    stddev: f32,
}

impl GaussianNoise {
    /// With that standard deviation, which is finite and not negative.
    pub const fn new(stddev: f32) -> GaussianNoise {
        GaussianNoise { stddev }
    }

    fn check(&self) -> Result<(), Error> {
        not_negative("standard deviation", self.stddev)
    }
}

noise_layer!(GaussianNoise, stddev, "GaussianNoise", "gaussian_noise", "standard deviation");

impl Noise for GaussianNoise {
    fn draw(&self, random: &mut Random) -> [f32; 2] {
        [1.0, self.stddev * random.normal()]
    }
}
