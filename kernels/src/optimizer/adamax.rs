use super::{Pass, Rule, least, toward};
use crate::error::check;
use crate::simd::Simd;
use crate::{Error, Isa};

/// AdaMax (Kingma and Ba, arXiv 1412.6980, section 7.1): `m += (1 - beta1)(g - m)`, `u = max(beta2 u, |g|)`, then
/// `w -= rate m / (u + epsilon)`. The caller corrects the rate for the zeros that the mean begins with:
/// `rate / (1 - beta1^t)` in step `t`, counted from 1.
///
/// # Errors
/// The lengths differ.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn adamax(
    isa: Isa,
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weights: &mut [f32],
    mean: &mut [f32],
    norm: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("mean", mean, weights.len())?;
    check("norm", norm, weights.len())?;
    check("gradients", gradients, weights.len())?;
    isa.run(Pass { rule: Adamax { rate, beta1, beta2, epsilon }, weights, gradients, state: [mean, norm] });
    Ok(())
}

struct Adamax {
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
}

impl Rule<2> for Adamax {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        [mean, norm]: [S::Vector; 2],
    ) -> (S::Vector, [S::Vector; 2]) {
        let share = 1.0 - self.beta1;
        let mean = toward(s, mean, s.flush(g, s.splat(least(share))), share);
        let mean = s.flush(mean, s.splat(least(share.min(self.rate))));
        let size = s.max(g, s.sub(s.splat(0.0), g));
        let norm = s.max(s.mul(s.splat(self.beta2), norm), size);
        let norm = s.flush(norm, s.splat(least(self.beta2)));
        let divisor = s.add(norm, s.splat(self.epsilon));
        (s.sub(w, s.div(s.mul(s.splat(self.rate), mean), divisor)), [mean, norm])
    }
}
