//! Update rules of the optimisers, each in one pass over the weights. They are Keras's.
//!
//! What an optimiser remembers decays where gradients are zero, into subnormal numbers, with which many CPUs
//! take a hundred times as long. So what is too small for its product with a rate or a share to be a normal number
//! counts as zero: gradients, their squares and state, but nothing that is larger than 2⁻¹⁰⁰.

use crate::error::check;
use crate::simd::{LEAST, Operation, Simd};
use crate::{Error, Isa};

/// Stochastic gradient descent: `w -= rate * g`.
///
/// # Errors
/// The lengths differ.
///
/// ```
/// use bantam_kernels::{Isa, optimizer};
/// let mut w = [1.0, 2.0];
/// optimizer::sgd(Isa::detect(), 0.5, &mut w, &[2.0, 0.0])?;
/// assert_eq!(w, [0.0, 2.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn sgd(isa: Isa, rate: f32, weights: &mut [f32], gradients: &[f32]) -> Result<(), Error> {
    check("gradients", gradients, weights.len())?;
    isa.run(Pass { rule: Sgd { rate }, weights, gradients, state: [] });
    Ok(())
}

/// Gradient descent with momentum: `v = momentum v - rate g`, then `w += v`, or with Nesterov's
/// momentum `w += momentum v - rate g`.
///
/// # Errors
/// The lengths differ.
pub fn sgd_momentum(
    isa: Isa,
    rate: f32,
    momentum: f32,
    nesterov: bool,
    weights: &mut [f32],
    velocity: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("velocity", velocity, weights.len())?;
    check("gradients", gradients, weights.len())?;
    let rule = Momentum { rate, momentum, nesterov };
    isa.run(Pass { rule, weights, gradients, state: [velocity] });
    Ok(())
}

/// RMSprop (Hinton, Coursera lecture 6e): `s = rho s + (1 - rho) g²`, then
/// `w -= rate g / sqrt(s + epsilon)`.
///
/// # Errors
/// The lengths differ.
pub fn rmsprop(
    isa: Isa,
    rate: f32,
    rho: f32,
    epsilon: f32,
    weights: &mut [f32],
    square: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("mean square", square, weights.len())?;
    check("gradients", gradients, weights.len())?;
    let rule = RmsProp { rate, rho, epsilon, least_root: libm::sqrtf(least(1.0 - rho)) };
    isa.run(Pass { rule, weights, gradients, state: [square] });
    Ok(())
}

/// Adam (Kingma and Ba, arXiv 1412.6980): `m += (1 - beta1)(g - m)`, `s += (1 - beta2)(g² - s)`,
/// then `w -= rate m / (sqrt(s) + epsilon)`. The caller corrects the rate for the zeros that the
/// means begin with: `rate * sqrt(1 - beta2^t) / (1 - beta1^t)` in step `t`, counted from 1.
///
/// # Errors
/// The lengths differ.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn adam(
    isa: Isa,
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weights: &mut [f32],
    mean: &mut [f32],
    square: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("mean", mean, weights.len())?;
    check("mean square", square, weights.len())?;
    check("gradients", gradients, weights.len())?;
    let rule = Adam { rate, beta1, beta2, epsilon, least_root: libm::sqrtf(least(1.0 - beta2)) };
    isa.run(Pass { rule, weights, gradients, state: [mean, square] });
    Ok(())
}

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

struct Sgd {
    rate: f32,
}

impl Rule<0> for Sgd {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        state: [S::Vector; 0],
    ) -> (S::Vector, [S::Vector; 0]) {
        (s.sub(w, s.mul(s.splat(self.rate), g)), state)
    }
}

struct Momentum {
    rate: f32,
    momentum: f32,
    nesterov: bool,
}

impl Rule<1> for Momentum {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        [v]: [S::Vector; 1],
    ) -> (S::Vector, [S::Vector; 1]) {
        let momentum = s.splat(self.momentum);
        let step = s.mul(s.splat(self.rate), s.flush(g, s.splat(least(self.rate))));
        let v = s.flush(s.sub(s.mul(momentum, v), step), s.splat(least(self.momentum)));
        let moved = if self.nesterov { s.sub(s.mul(momentum, v), step) } else { v };
        (s.add(w, moved), [v])
    }
}

struct RmsProp {
    rate: f32,
    rho: f32,
    epsilon: f32,
    /// Of gradients whose squares count.
    least_root: f32,
}

impl Rule<1> for RmsProp {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        [square]: [S::Vector; 1],
    ) -> (S::Vector, [S::Vector; 1]) {
        let added = s.mul(s.splat(1.0 - self.rho), square_of(s, g, self.least_root));
        let square = s.flush(s.add(s.mul(s.splat(self.rho), square), added), s.splat(least(self.rho)));
        let root = s.sqrt(s.add(square, s.splat(self.epsilon)));
        let g = s.flush(g, s.splat(least(self.rate)));
        (s.sub(w, s.div(s.mul(s.splat(self.rate), g), root)), [square])
    }
}

struct Adam {
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    /// Of gradients whose squares count.
    least_root: f32,
}

impl Rule<2> for Adam {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        [mean, square]: [S::Vector; 2],
    ) -> (S::Vector, [S::Vector; 2]) {
        let share = 1.0 - self.beta1;
        let mean = toward(s, mean, s.flush(g, s.splat(least(share))), share);
        let mean = s.flush(mean, s.splat(least(share.min(self.rate))));
        let share = 1.0 - self.beta2;
        let square = toward(s, square, square_of(s, g, self.least_root), share);
        let square = s.flush(square, s.splat(least(share)));
        let root = s.add(s.sqrt(square), s.splat(self.epsilon));
        (s.sub(w, s.div(s.mul(s.splat(self.rate), mean), root)), [mean, square])
    }
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
