use super::{Pass, Rule, least, square_of};
use crate::error::check;
use crate::simd::Simd;
use crate::{Error, Isa};

/// AdaGrad (Duchi et al., JMLR 12, 2011): `s += g²`, then `w -= rate g / sqrt(s + epsilon)`.
///
/// # Errors
/// The lengths differ.
pub fn adagrad(
    isa: Isa,
    rate: f32,
    epsilon: f32,
    weights: &mut [f32],
    sum: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("sum of squares", sum, weights.len())?;
    check("gradients", gradients, weights.len())?;
    let rule = AdaGrad { rate, epsilon, least_root: libm::sqrtf(least(1.0)) };
    isa.run(Pass { rule, weights, gradients, state: [sum] });
    Ok(())
}

struct AdaGrad {
    rate: f32,
    epsilon: f32,
    /// Of gradients whose squares count.
    least_root: f32,
}

impl Rule<1> for AdaGrad {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        [sum]: [S::Vector; 1],
    ) -> (S::Vector, [S::Vector; 1]) {
        let sum = s.add(sum, square_of(s, g, self.least_root));
        let root = s.sqrt(s.add(sum, s.splat(self.epsilon)));
        let g = s.flush(g, s.splat(least(self.rate)));
        (s.sub(w, s.div(s.mul(s.splat(self.rate), g), root)), [sum])
    }
}
