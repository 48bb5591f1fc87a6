use super::{Pass, Rule, least};
use crate::error::check;
use crate::simd::Simd;
use crate::{Error, Isa};

/// Lion (Chen et al., arXiv 2302.06675): `w -= rate sign(beta1 m + (1 - beta1) g)`, then
/// `m = beta2 m + (1 - beta2) g`.
///
/// # Errors
/// The lengths differ.
pub fn lion(
    isa: Isa,
    rate: f32,
    beta1: f32,
    beta2: f32,
    weights: &mut [f32],
    mean: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("mean", mean, weights.len())?;
    check("gradients", gradients, weights.len())?;
    isa.run(Pass { rule: Lion { rate, beta1, beta2 }, weights, gradients, state: [mean] });
    Ok(())
}

struct Lion {
    rate: f32,
    beta1: f32,
    beta2: f32,
}

impl Rule<1> for Lion {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        [mean]: [S::Vector; 1],
    ) -> (S::Vector, [S::Vector; 1]) {
        let Lion { rate, beta1, beta2 } = *self;
        let g = s.flush(g, s.splat(least((1.0 - beta1).min(1.0 - beta2))));
        let zero = s.splat(0.0);
        let ahead = s.add(s.mul(s.splat(beta1), mean), s.mul(s.splat(1.0 - beta1), g));
        let mean = s.add(s.mul(s.splat(beta2), mean), s.mul(s.splat(1.0 - beta2), g));
        let mean = s.flush(mean, s.splat(least(beta1.min(beta2))));
        let up = s.select(s.not_le(ahead, zero), s.splat(rate), zero);
        let down = s.select(s.not_le(zero, ahead), s.splat(rate), zero);
        // NaN has no sign and stays NaN.
        let step = s.add(s.sub(up, down), s.mul(ahead, zero));
        (s.sub(w, step), [mean])
    }
}
