//! What layers share that are random in training, and pass their input on at inference.

use super::{Backward, BackwardReads, Forward, Step, TrainingStep};
use crate::error::Error;
use core::f32::consts::TAU;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a layer does to each element in training.
pub(super) trait Noise: Copy + Send + Sync {
    /// What the element is multiplied by, and what is then added.
    fn draw(&self, random: &mut Random) -> [f32; 2];
}

/// A layer that is a [`Noise`] and has one number.
macro_rules! noise_layer {
    ($layer:ident, $field:ident, $name:literal, $base:literal, $what:literal) => {
        impl Layer for $layer {
            const NAME: &'static str = $name;
            const BASE: &'static str = $base;
            const TYPE: LayerType = LayerType::of::<$layer>().passes_on(PassesOn::Inference);
            type Step = NoiseStep<$layer>;

            fn read(attributes: &mut Attributes<'_>) -> $layer {
                $layer { $field: attributes.number($what) }
            }

            fn write(&self, attributes: &mut AttributesMut) {
                attributes.number(self.$field);
            }

            fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
                self.check()?;
                Ok(Signature::new(one_input(inputs)?))
            }

            fn lower(&self, site: &Site<'_>) -> Result<NoiseStep<$layer>, Error> {
                let (_, sample) = crate::layers::one_batch(site.inputs)?;
                Ok(NoiseStep { noise: *self, sample_len: sample.elements() })
            }
        }

        impl Differentiable for $layer {
            type TrainingStep = NoiseStep<$layer>;

            fn lower_for_training(&self, site: &Site<'_>) -> Result<NoiseStep<$layer>, Error> {
                self.lower(site)
            }
        }
    };
}
pub(super) use noise_layer;

/// A layer with noise, ready to run.
pub struct NoiseStep<N> {
    pub(super) noise: N,
    pub(super) sample_len: usize,
}

impl<N: Noise> Step for NoiseStep<N> {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.copy_from_slice(run.inputs[0]);
        Ok(())
    }
}

impl<N: Noise> TrainingStep for NoiseStep<N> {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    /// The seed, from which the same numbers are drawn again.
    fn saved_len(&self) -> usize {
        size_of::<u64>()
    }

    fn forward_saving(&self, run: Forward<'_>, saved: &mut [u8]) -> Result<(), Error> {
        Random::save(run.seed, saved);
        let samples = run.output.chunks_mut(self.sample_len).zip(run.inputs[0].chunks(self.sample_len));
        for (sample, (output, input)) in samples.enumerate() {
            let mut random = Random::of(saved, sample);
            for (y, x) in output.iter_mut().zip(input) {
                let [factor, term] = self.noise.draw(&mut random);
                *y = factor * x + term;
            }
        }
        Ok(())
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let samples = d_input.chunks_mut(self.sample_len).zip(run.d_output.chunks(self.sample_len));
        for (sample, (d_input, d_output)) in samples.enumerate() {
            let mut random = Random::of(run.saved, sample);
            for (d_x, d) in d_input.iter_mut().zip(d_output) {
                let [factor, _] = self.noise.draw(&mut random);
                *d_x = factor * d;
            }
        }
        Ok(())
    }
}

/// Random numbers of one sample in a step.
pub(super) struct Random {
    random: Xoshiro256PlusPlus,
    /// Normal numbers come in pairs.
    spare: Option<f32>,
}

impl Random {
    /// Saves the seed of the first sample, for all passes.
    pub fn save(seed: u64, saved: &mut [u8]) {
        saved.copy_from_slice(&seed.to_le_bytes());
    }

    /// Those of a sample, by the seed that was saved.
    pub fn of(saved: &[u8], sample: usize) -> Random {
        let seed = saved.iter().rev().fold(0u64, |seed, &byte| seed << 8 | u64::from(byte));
        let seed = seed.wrapping_add(sample as u64);
        Random { random: Xoshiro256PlusPlus::seed_from_u64(seed), spare: None }
    }

    /// Whether something happens of that probability.
    pub fn happens(&mut self, probability: f32) -> bool {
        // Exact: a power of two.
        let threshold = (probability * (1u64 << u32::BITS) as f32) as u64;
        u64::from(self.random.next_u32()) < threshold
    }

    /// A normal number of mean 0 and variance 1 (Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958).
    pub fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        const UNIT: f32 = 1.0 / (1u64 << u32::BITS) as f32;
        // Above 0, up to 1.
        let radius = libm::sqrtf(-2.0 * libm::logf((self.random.next_u32() as f32 + 1.0) * UNIT));
        let angle = TAU * (self.random.next_u32() as f32 * UNIT);
        self.spare = Some(radius * libm::sinf(angle));
        radius * libm::cosf(angle)
    }
}

/// Refuses what is no share of elements to drop.
pub(super) fn check_rate(what: &'static str, rate: f32) -> Result<(), Error> {
    let expected = "at least 0 and less than 1";
    if (0.0..1.0).contains(&rate) { Ok(()) } else { Err(Error::OutOfRange { what, expected, got: rate }) }
}
