use super::{Pass, Rule, least, square_of, toward};
use crate::error::check;
use crate::simd::Simd;
use crate::{Error, Isa};

/// Adam with Nesterov's momentum (Dozat, ICLR 2016 workshop): `m += (1 - beta1)(g - m)`, `s += (1 - beta2)(g² - s)`,
/// then `w -= (of_mean m + of_gradient g) / (sqrt(s) + epsilon)`. What corrects for the zeros that the means begin
/// with, and the rate, are in the two factors and in epsilon.
///
/// # Errors
/// The lengths differ.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn nadam(
    isa: Isa,
    [of_mean, of_gradient]: [f32; 2],
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
    let least_root = libm::sqrtf(least(1.0 - beta2));
    let rule = Nadam { of_mean, of_gradient, beta1, beta2, epsilon, least_root };
    isa.run(Pass { rule, weights, gradients, state: [mean, square] });
    Ok(())
}

struct Nadam {
    of_mean: f32,
    of_gradient: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    /// Of gradients whose squares count.
    least_root: f32,
}

impl Rule<2> for Nadam {
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
        let mean = s.flush(mean, s.splat(least(share.min(self.of_mean))));
        let share = 1.0 - self.beta2;
        let square = toward(s, square, square_of(s, g, self.least_root), share);
        let square = s.flush(square, s.splat(least(share)));
        let g = s.flush(g, s.splat(least(self.of_gradient)));
        let ahead = s.add(s.mul(s.splat(self.of_mean), mean), s.mul(s.splat(self.of_gradient), g));
        let root = s.add(s.sqrt(square), s.splat(self.epsilon));
        (s.sub(w, s.div(ahead, root)), [mean, square])
    }
}
