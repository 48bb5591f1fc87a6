//! Update rules of the optimisers, each in one pass over the weights. They are Keras's.
//!
//! What an optimiser remembers decays where gradients are zero, into subnormal numbers, with which many CPUs
//! take a hundred times as long. So what is too small for its product with a rate or a share to be a normal number
//! counts as zero: gradients, their squares and state, but nothing that is larger than 2⁻¹⁰⁰.

mod adagrad;
mod adam;
mod adamax;
mod ema;
mod gradients;
mod lion;
mod nadam;
mod rmsprop;
mod sgd;

pub use adagrad::adagrad;
pub use adam::{adam, amsgrad};
pub use adamax::adamax;
pub use ema::ema;
pub use gradients::{clip, decay, scale};
pub use lion::lion;
pub use nadam::nadam;
pub use rmsprop::{rmsprop, rmsprop_centered, rmsprop_centered_momentum, rmsprop_momentum};
pub use sgd::{sgd, sgd_momentum};

use crate::simd::{LEAST, Operation, Simd};

/// New weight and state from weight, gradient and state, element by element.
trait Rule<const STATE: usize> {
    fn apply<S: Simd>(
        &self,
        simd: S,
        weight: S::Vector,
        gradient: S::Vector,
        state: [S::Vector; STATE],
    ) -> (S::Vector, [S::Vector; STATE]);
}

struct Pass<'a, R, const STATE: usize> {
    rule: R,
    weights: &'a mut [f32],
    gradients: &'a [f32],
    state: [&'a mut [f32]; STATE],
}

impl<R: Rule<STATE>, const STATE: usize> Operation for Pass<'_, R, STATE> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let len = self.weights.len();
        let whole = len - len % S::LANES;
        // SAFETY: all slices have `len` elements, checked by the caller.
        unsafe {
            for i in (0..whole).step_by(S::LANES) {
                self.update(simd, i, S::LANES);
            }
            if whole < len {
                self.update(simd, whole, len - whole);
            }
        }
    }
}

impl<R: Rule<STATE>, const STATE: usize> Pass<'_, R, STATE> {
    /// # Safety
    /// `n` weights, at most a vector of them, exist from `i` on, and as much of everything else.
    #[inline(always)]
    unsafe fn update<S: Simd>(&mut self, simd: S, i: usize, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let weight = simd.load_n(self.weights.as_ptr().add(i), n);
            let gradient = simd.load_n(self.gradients.as_ptr().add(i), n);
            let mut state = [simd.splat(0.0); STATE];
            for (vector, slice) in state.iter_mut().zip(&self.state) {
                *vector = simd.load_n(slice.as_ptr().add(i), n);
            }
            let (weight, state) = self.rule.apply(simd, weight, gradient, state);
            simd.store_n(self.weights.as_mut_ptr().add(i), weight, n);
            for (vector, slice) in state.into_iter().zip(&mut self.state) {
                simd.store_n(slice.as_mut_ptr().add(i), vector, n);
            }
        }
    }
}

/// What is larger has a product with `factor` that is no subnormal number.
fn least(factor: f32) -> f32 {
    // The rounded quotient may be half a unit too small.
    (f32::MIN_POSITIVE * 1.000_001 / factor).min(LEAST)
}

/// `g²`, or zero if `g` is no larger than `least`.
#[inline(always)]
fn square_of<S: Simd>(s: S, g: S::Vector, least: f32) -> S::Vector {
    let g = s.flush(g, s.splat(least));
    s.mul(g, g)
}

/// `mean + (sample - mean) share`; the mean itself if that would be less than what is told apart.
#[inline(always)]
fn toward<S: Simd>(s: S, mean: S::Vector, sample: S::Vector, share: f32) -> S::Vector {
    let difference = s.flush(s.sub(sample, mean), s.splat(least(share)));
    s.add(mean, s.mul(difference, s.splat(share)))
}
