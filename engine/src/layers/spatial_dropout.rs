//! Dropout of whole channels.

use super::noise::{Random, check_rate};
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType, PassesOn,
    Signature, Site, Step, TrainingStep, matrix, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::{Isa, channels};

/// Zeroes each channel of a map `[H, W, C]` with probability `rate` and scales the others by `1 / (1 - rate)`, in training only
/// (Tompson et al., "Efficient Object Localization Using Convolutional Networks", arXiv 1411.4280).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpatialDropout2d {
    rate: f32,
}

/// Zeroes each channel of a series `[T, C]` with probability `rate` and scales the others by `1 / (1 - rate)`, in training only
/// (Tompson et al., "Efficient Object Localization Using Convolutional Networks", arXiv 1411.4280).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpatialDropout1d {
    rate: f32,
}

macro_rules! layer {
    ($layer:ident, $name:literal, $base:literal, $rank:literal) => {
        impl $layer {
            /// Zeroes that share of channels, at least 0 and less than 1.
            pub const fn new(rate: f32) -> $layer {
                $layer { rate }
            }
        }

        impl Layer for $layer {
            const NAME: &'static str = $name;
            const BASE: &'static str = $base;
            const TYPE: LayerType = LayerType::of::<$layer>().passes_on(PassesOn::Inference);
            type Step = SpatialDropoutStep;

            fn read(attributes: &mut Attributes<'_>) -> $layer {
                $layer { rate: attributes.number("dropout rate") }
            }

            fn write(&self, attributes: &mut AttributesMut) {
                attributes.number(self.rate);
            }

            fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
                check_rate("dropout rate", self.rate)?;
                let input = one_input(inputs)?;
                input.array::<$rank>("input")?;
                Ok(Signature::new(input))
            }

            fn lower(&self, site: &Site<'_>) -> Result<SpatialDropoutStep, Error> {
                let input = one_input(site.inputs)?;
                let ((rows, channels), batch) = (matrix(&input), input.dims()[0]);
                let (isa, rate) = (site.isa, self.rate);
                Ok(SpatialDropoutStep { isa, rate, batch, pixels: rows / batch, channels })
            }
        }

        impl Differentiable for $layer {
            type TrainingStep = SpatialDropoutStep;

            fn lower_for_training(&self, site: &Site<'_>) -> Result<SpatialDropoutStep, Error> {
                self.lower(site)
            }
        }
    };
}

layer!(SpatialDropout1d, "SpatialDropout1D", "spatial_dropout1d", 2);
layer!(SpatialDropout2d, "SpatialDropout2D", "spatial_dropout2d", 3);

/// [`SpatialDropout2d`] or [`SpatialDropout1d`], ready to run.
pub struct SpatialDropoutStep {
    isa: Isa,
    rate: f32,
    batch: usize,
    pixels: usize,
    channels: usize,
}

impl SpatialDropoutStep {
    /// Multiplies by a factor for each channel of each sample.
    fn apply(&self, mut random: Random, x: &[f32], y: &mut [f32], scratch: &mut [f32]) -> Result<(), Error> {
        let SpatialDropoutStep { isa, rate, pixels, channels, .. } = *self;
        let samples = x.len() / (pixels * channels);
        let factors = &mut scratch[..samples * channels];
        let scale = 1.0 / (1.0 - rate);
        factors.fill_with(|| if random.happens(rate) { 0.0 } else { scale });
        Ok(channels::mul(isa, samples, pixels, channels, x, factors, y)?)
    }
}

impl Step for SpatialDropoutStep {
    /// A factor for each channel of each sample.
    fn scratch_len(&self) -> usize {
        self.batch * self.channels
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.copy_from_slice(run.inputs[0]);
        Ok(())
    }
}

impl TrainingStep for SpatialDropoutStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    /// The seed, from which the same channels are drawn again.
    fn saved_len(&self) -> usize {
        size_of::<u64>()
    }

    fn forward_saving(&self, run: Forward<'_>, saved: &mut [u8]) -> Result<(), Error> {
        self.apply(Random::new(run.seed, saved), run.inputs[0], run.output, run.scratch)
    }

    fn backward_scratch_len(&self, d_input: bool) -> usize {
        if d_input { self.scratch_len() } else { 0 }
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        self.apply(Random::again(run.saved), run.d_output, d_input, run.scratch)
    }
}
