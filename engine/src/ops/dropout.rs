use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)`, in
/// training only (Srivastava et al., JMLR 15, 2014).
#[derive(Clone, Copy)]
pub(crate) struct Dropout {
    pub rate: f32,
    pub seed: u64,
}

impl Dropout {
    fn scale(&self) -> f32 {
        1.0 / (1.0 - self.rate)
    }
}

impl Operation for Dropout {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        if !(0.0..1.0).contains(&self.rate) {
            let expected = "at least 0 and less than 1";
            return Err(Error::OutOfRange { what: "dropout rate", expected, got: self.rate });
        }
        Ok(inputs[0])
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.copy_from_slice(run.inputs[0]);
        Ok(())
    }
}

impl Differentiable for Dropout {
    /// One where an element was let through.
    fn kept_len(&self, inputs: &[Shape]) -> Result<usize, Error> {
        Ok(inputs[0].elements())
    }

    fn forward_keeping(&self, run: Forward<'_>, mask: &mut [u8]) -> Result<(), Error> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        // Exact: a power of two.
        let threshold = (self.rate * (1u64 << u32::BITS) as f32) as u64;
        let scale = self.scale();
        for ((y, &x), mask) in run.output.iter_mut().zip(run.inputs[0]).zip(mask) {
            let through = u64::from(random.next_u32()) >= threshold;
            *mask = u8::from(through);
            *y = if through { x * scale } else { 0.0 };
        }
        Ok(())
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let [Some(d_input), ..] = run.d_inputs else { return Ok(()) };
        let scale = self.scale();
        for ((d_input, d), &mask) in d_input.iter_mut().zip(run.d_output).zip(run.kept) {
            *d_input = if mask == 0 { 0.0 } else { *d * scale };
        }
        Ok(())
    }
}
