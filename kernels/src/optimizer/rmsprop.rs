use super::{Pass, Rule, least, square_of};
use crate::error::check;
use crate::simd::Simd;
use crate::{Error, Isa};

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

/// RMSprop with momentum: `s` as in [`rmsprop`], `v = momentum v + rate g / sqrt(s + epsilon)`, then `w -= v`.
///
/// # Errors
/// The lengths differ.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn rmsprop_momentum(
    isa: Isa,
    rate: f32,
    rho: f32,
    momentum: f32,
    epsilon: f32,
    weights: &mut [f32],
    square: &mut [f32],
    velocity: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("mean square", square, weights.len())?;
    check("velocity", velocity, weights.len())?;
    check("gradients", gradients, weights.len())?;
    let rule = Variant::new(rate, rho, Some(momentum), epsilon, false);
    isa.run(Pass { rule, weights, gradients, state: [square, velocity] });
    Ok(())
}

/// RMSprop with the variance in place of the mean square: `a = rho a + (1 - rho) g`, then
/// `w -= rate g / sqrt(s - a² + epsilon)`. A variance that rounding would make negative is zero.
///
/// # Errors
/// The lengths differ.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn rmsprop_centered(
    isa: Isa,
    rate: f32,
    rho: f32,
    epsilon: f32,
    weights: &mut [f32],
    square: &mut [f32],
    mean: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("mean square", square, weights.len())?;
    check("mean", mean, weights.len())?;
    check("gradients", gradients, weights.len())?;
    let rule = Variant::new(rate, rho, None, epsilon, true);
    isa.run(Pass { rule, weights, gradients, state: [square, mean] });
    Ok(())
}

/// [`rmsprop_centered`] with the momentum of [`rmsprop_momentum`].
///
/// # Errors
/// The lengths differ.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn rmsprop_centered_momentum(
    isa: Isa,
    rate: f32,
    rho: f32,
    momentum: f32,
    epsilon: f32,
    weights: &mut [f32],
    square: &mut [f32],
    mean: &mut [f32],
    velocity: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("mean square", square, weights.len())?;
    check("mean", mean, weights.len())?;
    check("velocity", velocity, weights.len())?;
    check("gradients", gradients, weights.len())?;
    let rule = Variant::new(rate, rho, Some(momentum), epsilon, true);
    isa.run(Pass { rule, weights, gradients, state: [square, mean, velocity] });
    Ok(())
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

/// With state beside the mean square: the mean, if it is centred, and the velocity, if there is momentum.
struct Variant {
    rate: f32,
    rho: f32,
    momentum: Option<f32>,
    epsilon: f32,
    centered: bool,
    /// Of what is squared.
    least_root: f32,
}

impl Variant {
    fn new(rate: f32, rho: f32, momentum: Option<f32>, epsilon: f32, centered: bool) -> Variant {
        Variant { rate, rho, momentum, epsilon, centered, least_root: libm::sqrtf(least(1.0 - rho)) }
    }
}

impl<const STATE: usize> Rule<STATE> for Variant {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        mut state: [S::Vector; STATE],
    ) -> (S::Vector, [S::Vector; STATE]) {
        let (rho, share, least_rho) = (s.splat(self.rho), 1.0 - self.rho, s.splat(least(self.rho)));
        let added = s.mul(s.splat(share), square_of(s, g, self.least_root));
        state[0] = s.flush(s.add(s.mul(rho, state[0]), added), least_rho);
        let mut divisor = state[0];
        if self.centered {
            let added = s.mul(s.splat(share), s.flush(g, s.splat(least(share))));
            state[1] = s.flush(s.add(s.mul(rho, state[1]), added), least_rho);
            let variance = s.sub(divisor, square_of(s, state[1], self.least_root));
            divisor = s.max(s.splat(0.0), variance);
        }
        let root = s.sqrt(s.add(divisor, s.splat(self.epsilon)));
        let g = s.flush(g, s.splat(least(self.rate)));
        let mut step = s.div(s.mul(s.splat(self.rate), g), root);
        if let Some(momentum) = self.momentum {
            let kept = s.mul(s.splat(momentum), state[STATE - 1]);
            step = s.flush(s.add(kept, step), s.splat(least(momentum)));
            state[STATE - 1] = step;
        }
        (s.sub(w, step), state)
    }
}
