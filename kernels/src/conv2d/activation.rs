use crate::simd::Simd;

/// What is applied to each output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(0, x)`; NaN stays NaN.
    Relu,
    /// `min(max(0, x), 6)`; NaN stays NaN.
    Relu6,
}

impl Activation {
    /// Puts each of `sums` through it.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, simd: S, sums: &mut [S::Vector]) {
        if self != Activation::None {
            for sum in &mut *sums {
                *sum = simd.max(simd.splat(0.0), *sum);
            }
        }
        if self == Activation::Relu6 {
            for sum in sums {
                *sum = simd.min(simd.splat(6.0), *sum);
            }
        }
    }
}
