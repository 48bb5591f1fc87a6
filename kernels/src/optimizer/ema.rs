use super::least;
use crate::elementwise::{Combine, Pass};
use crate::error::check;
use crate::simd::Simd;
use crate::{Error, Isa};

/// The moving average of weights: `average = momentum average + (1 - momentum) w`.
///
/// # Errors
/// The lengths differ.
pub fn ema(isa: Isa, momentum: f32, average: &mut [f32], weights: &[f32]) -> Result<(), Error> {
    check("weights", weights, average.len())?;
    isa.run(Pass { combine: Ema { momentum }, operands: [None, Some(weights)], y: average });
    Ok(())
}

#[derive(Clone, Copy)]
struct Ema {
    momentum: f32,
}

impl Combine<2> for Ema {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [average, w]: [S::Vector; 2]) -> S::Vector {
        let share = 1.0 - self.momentum;
        let added = s.mul(s.splat(share), s.flush(w, s.splat(least(share))));
        let average = s.add(s.mul(s.splat(self.momentum), average), added);
        s.flush(average, s.splat(least(self.momentum)))
    }
}
