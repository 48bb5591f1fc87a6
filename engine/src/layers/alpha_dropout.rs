use super::Selu;
use super::noise::{Noise, NoiseStep, Random, check_rate, noise_layer};
use super::{
    Attributes, AttributesMut, Differentiable, Layer, LayerType, PassesOn, Signature, Site, one_input,
};
use crate::error::Error;
use crate::shape::Shape;

/// Sets each element with probability `rate` to what SELU tends to at minus infinity, -1.7581, then scales and shifts all so
/// that a mean of 0 and a variance of 1 stay, in training only (Klambauer et al., "Self-Normalizing Neural Networks", arXiv
/// 1706.02515). Any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlphaDropout {
    rate: f32,
}

impl AlphaDropout {
    /// Of that share of elements, at least 0 and less than 1.
    pub const fn new(rate: f32) -> AlphaDropout {
        AlphaDropout { rate }
    }

    fn check(&self) -> Result<(), Error> {
        check_rate("dropout rate", self.rate)
    }
}

noise_layer!(AlphaDropout, rate, "AlphaDropout", "alpha_dropout", "dropout rate");

impl Noise for AlphaDropout {
    fn draw(&self, random: &mut Random) -> [f32; 2] {
        const DROPPED: f32 = -(Selu::SCALE * Selu::ALPHA) as f32;
        let rate = self.rate;
        let scale = 1.0 / libm::sqrtf((1.0 - rate) * (1.0 + rate * DROPPED * DROPPED));
        let shift = -scale * DROPPED * rate;
        if random.happens(rate) { [0.0, scale * DROPPED + shift] } else { [scale, shift] }
    }
}
