use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType, PassesOn,
    Signature, Site, Step, TrainingStep, one_batch, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)`, in training only (Srivastava
/// et al., JMLR 15, 2014). Any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dropout {
    /// The share of elements that are zeroed.
    pub rate: f32,
    /// Whether all elements of a sample share their fate.
    pub whole_samples: bool,
}

impl Dropout {
    /// Zeroes that share of elements, at least 0 and less than 1.
    pub const fn new(rate: f32) -> Dropout {
        Dropout { rate, whole_samples: false }
    }

    /// Zeroes all elements of a sample or none: in a residual block, stochastic depth (Huang et al., arXiv 1603.09382). It is
    /// Keras's `noise_shape=(None, 1, 1, 1)`.
    pub const fn whole_samples(self) -> Dropout {
        Dropout { whole_samples: true, ..self }
    }
}

impl Layer for Dropout {
    const NAME: &'static str = "Dropout";
    const BASE: &'static str = "dropout";
    const TYPE: LayerType = LayerType::of::<Dropout>().passes_on(PassesOn::Inference);
    type Step = DropoutStep;

    fn read(attributes: &mut Attributes<'_>) -> Dropout {
        let rate = attributes.number("dropout rate");
        Dropout { rate, whole_samples: attributes.more() && attributes.flag("whole samples flag") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.rate);
        if self.whole_samples {
            attributes.flag(true);
        }
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        if !(0.0..1.0).contains(&self.rate) {
            let expected = "at least 0 and less than 1";
            return Err(Error::OutOfRange { what: "dropout rate", expected, got: self.rate });
        }
        Ok(Signature::new(one_input(inputs)?))
    }

    fn lower(&self, site: &Site<'_>) -> Result<DropoutStep, Error> {
        let (samples, sample) = one_batch(site.inputs)?;
        let sample_len = sample.elements();
        let drawn_once = if self.whole_samples { sample_len } else { 1 };
        Ok(DropoutStep { rate: self.rate, samples, sample_len, drawn_once })
    }
}

impl Differentiable for Dropout {
    type TrainingStep = DropoutStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<DropoutStep, Error> {
        self.lower(site)
    }
}

/// [`Dropout`], ready to run.
pub struct DropoutStep {
    rate: f32,
    samples: usize,
    sample_len: usize,
    /// How many elements beside each other share their fate.
    drawn_once: usize,
}

impl DropoutStep {
    fn scale(&self) -> f32 {
        1.0 / (1.0 - self.rate)
    }
}

impl Step for DropoutStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.copy_from_slice(run.inputs[0]);
        Ok(())
    }
}

impl TrainingStep for DropoutStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    /// One where an element was let through.
    fn saved_len(&self) -> usize {
        self.samples * self.sample_len
    }

    fn forward_saving(&self, run: Forward<'_>, mask: &mut [u8]) -> Result<(), Error> {
        // Exact: a power of two.
        let threshold = (self.rate * (1u64 << u32::BITS) as f32) as u64;
        let scale = self.scale();
        for (sample, mask) in mask.chunks_mut(self.sample_len).enumerate() {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(run.seed.wrapping_add(sample as u64));
            let mut through = || u8::from(u64::from(random.next_u32()) >= threshold);
            match self.drawn_once {
                1 => mask.fill_with(through),
                several => mask.chunks_mut(several).for_each(|mask| mask.fill(through())),
            }
        }
        for ((y, &x), mask) in run.output.iter_mut().zip(run.inputs[0]).zip(mask) {
            *y = if *mask == 0 { 0.0 } else { x * scale };
        }
        Ok(())
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let scale = self.scale();
        for ((d_input, d), &mask) in d_input.iter_mut().zip(run.d_output).zip(run.saved) {
            *d_input = if mask == 0 { 0.0 } else { *d * scale };
        }
        Ok(())
    }
}
