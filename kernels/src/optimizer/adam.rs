use super::{Pass, Rule, least, square_of, toward};
use crate::error::check;
use crate::simd::Simd;
use crate::{Error, Isa};

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

/// Adam with the largest mean square that there was in place of the mean square (Reddi et al., "On the convergence of
/// Adam and beyond", ICLR 2018).
///
/// # Errors
/// The lengths differ.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn amsgrad(
    isa: Isa,
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weights: &mut [f32],
    mean: &mut [f32],
    square: &mut [f32],
    largest: &mut [f32],
    gradients: &[f32],
) -> Result<(), Error> {
    check("mean", mean, weights.len())?;
    check("mean square", square, weights.len())?;
    check("largest mean square", largest, weights.len())?;
    check("gradients", gradients, weights.len())?;
    let rule = Adam { rate, beta1, beta2, epsilon, least_root: libm::sqrtf(least(1.0 - beta2)) };
    isa.run(Pass { rule, weights, gradients, state: [mean, square, largest] });
    Ok(())
}

struct Adam {
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    /// Of gradients whose squares count.
    least_root: f32,
}

impl Adam {
    /// The means after a gradient.
    #[inline(always)]
    fn means<S: Simd>(&self, s: S, g: S::Vector, [mean, square]: [S::Vector; 2]) -> [S::Vector; 2] {
        let share = 1.0 - self.beta1;
        let mean = toward(s, mean, s.flush(g, s.splat(least(share))), share);
        let mean = s.flush(mean, s.splat(least(share.min(self.rate))));
        let share = 1.0 - self.beta2;
        let square = toward(s, square, square_of(s, g, self.least_root), share);
        [mean, s.flush(square, s.splat(least(share)))]
    }

    #[inline(always)]
    fn step<S: Simd>(&self, s: S, w: S::Vector, mean: S::Vector, square: S::Vector) -> S::Vector {
        let root = s.add(s.sqrt(square), s.splat(self.epsilon));
        s.sub(w, s.div(s.mul(s.splat(self.rate), mean), root))
    }
}

impl Rule<2> for Adam {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        state: [S::Vector; 2],
    ) -> (S::Vector, [S::Vector; 2]) {
        let [mean, square] = self.means(s, g, state);
        (self.step(s, w, mean, square), [mean, square])
    }
}

impl Rule<3> for Adam {
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        s: S,
        w: S::Vector,
        g: S::Vector,
        [mean, square, largest]: [S::Vector; 3],
    ) -> (S::Vector, [S::Vector; 3]) {
        let [mean, square] = self.means(s, g, [mean, square]);
        let largest = s.max(largest, square);
        (self.step(s, w, mean, largest), [mean, square, largest])
    }
}
