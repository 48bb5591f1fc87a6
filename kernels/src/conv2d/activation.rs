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
    /// The smallest and the largest output.
    pub(crate) fn range(self) -> [f32; 2] {
        match self {
            Activation::None => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
        }
    }

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
