//! What is done before a rule's step: gradients are clipped, weights decay.

use super::least;
use crate::elementwise::{Combine, Pass};
use crate::error::check;
use crate::simd::Simd;
use crate::{Error, Isa};

/// Gradients no further from zero than `limit`. NaN stays NaN.
///
/// # Errors
/// The lengths differ.
pub fn clip(isa: Isa, limit: f32, gradients: &[f32], clipped: &mut [f32]) -> Result<(), Error> {
    check("gradients", gradients, clipped.len())?;
    isa.run(Pass { combine: Clip { limit }, operands: [Some(gradients)], y: clipped });
    Ok(())
}

/// Gradients times `factor`: clipped by their norm.
///
/// # Errors
/// The lengths differ.
pub fn scale(isa: Isa, factor: f32, gradients: &[f32], scaled: &mut [f32]) -> Result<(), Error> {
    check("gradients", gradients, scaled.len())?;
    isa.run(Pass { combine: Scale { factor }, operands: [Some(gradients)], y: scaled });
    Ok(())
}

/// Decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101): `w -= share w`.
pub fn decay(isa: Isa, share: f32, weights: &mut [f32]) {
    isa.run(Pass { combine: Decay { share }, operands: [None], y: weights });
}

#[derive(Clone, Copy)]
struct Clip {
    limit: f32,
}

impl Combine<1> for Clip {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [g]: [S::Vector; 1]) -> S::Vector {
        s.clamp([-self.limit, self.limit], g)
    }
}

#[derive(Clone, Copy)]
struct Scale {
    factor: f32,
}

impl Combine<1> for Scale {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [g]: [S::Vector; 1]) -> S::Vector {
        s.mul(s.splat(self.factor), s.flush(g, s.splat(least(self.factor))))
    }
}

#[derive(Clone, Copy)]
struct Decay {
    share: f32,
}

impl Combine<1> for Decay {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [w]: [S::Vector; 1]) -> S::Vector {
        let w = s.flush(w, s.splat(least(self.share)));
        s.sub(w, s.mul(s.splat(self.share), w))
    }
}
