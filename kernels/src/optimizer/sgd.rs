use super::{Pass, Rule, least};
use crate::error::check;
use crate::simd::Simd;
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
