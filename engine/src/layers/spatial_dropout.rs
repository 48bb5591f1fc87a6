//! Dropout of whole channels.

use super::noise::Random;
use super::{Backward, BackwardReads, Forward, Step, TrainingStep};
use crate::error::Error;
use bantam_kernels::{Isa, channels};

/// A layer of maps of so many dimensions.
macro_rules! spatial_dropout {
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
                Ok(SpatialDropoutStep::new(site.isa, self.rate, [batch, rows / batch, channels]))
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
pub(super) use spatial_dropout;

/// [`SpatialDropout2d`](super::SpatialDropout2d) or [`SpatialDropout1d`](super::SpatialDropout1d), ready to run.
pub struct SpatialDropoutStep {
    isa: Isa,
    rate: f32,
    batch: usize,
    pixels: usize,
    channels: usize,
}

impl SpatialDropoutStep {
    pub(super) fn new(isa: Isa, rate: f32, [batch, pixels, channels]: [usize; 3]) -> SpatialDropoutStep {
        SpatialDropoutStep { isa, rate, batch, pixels, channels }
    }

    /// Multiplies by a factor for each channel of each sample.
    fn apply(&self, saved: &[u8], x: &[f32], y: &mut [f32], scratch: &mut [f32]) -> Result<(), Error> {
        let SpatialDropoutStep { isa, rate, pixels, channels, .. } = *self;
        let samples = x.len() / (pixels * channels);
        let factors = &mut scratch[..samples * channels];
        let scale = 1.0 / (1.0 - rate);
        for (sample, factors) in factors.chunks_mut(channels).enumerate() {
            let mut random = Random::of(saved, sample);
            factors.fill_with(|| if random.happens(rate) { 0.0 } else { scale });
        }
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
        Random::save(run.seed, saved);
        self.apply(saved, run.inputs[0], run.output, run.scratch)
    }

    fn backward_scratch_len(&self, d_input: bool) -> usize {
        if d_input { self.scratch_len() } else { 0 }
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        self.apply(run.saved, run.d_output, d_input, run.scratch)
    }
}
