//! Activation functions, a type each: a program has the code of those that it names.

use crate::simd::exp::{exp, exp_m1};
use crate::simd::{LEAST, Simd};

/// A function of one number that [`map`](super::map), [`map_in_place`](super::map_in_place) and
/// [`map_grad`](super::map_grad) take. Those below are all there are.
pub trait Function: sealed::Vectors {
    /// Where its gradient is computed.
    const GRADIENT_AT: GradientAt;
}

/// What a function's gradient is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientAt {
    /// The function's output, so that its input need not be kept.
    Output,
    /// The function's input.
    Input,
}

pub(super) mod sealed {
    use crate::simd::Simd;

    /// A function of vectors, which other crates can neither call nor write.
    pub trait Vectors: Copy {
        fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector;
        /// The gradient to the input, from the one to the output.
        fn grad<S: Simd>(self, simd: S, at: S::Vector, d: S::Vector) -> S::Vector;
    }
}

/// `max(0, x)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Relu;

/// `min(max(0, x), 6)` (Howard et al., "MobileNets", arXiv 1704.04861).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Relu6;

/// `x` if it is positive, else `slope x` (Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic
/// Models", 2013).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu {
    /// Not negative: the sign of an output is then that of its input, which the gradient relies on.
    pub slope: f32,
}

/// `1 / (1 + exp(-x))`, and 0 where that would be below 2⁻¹²⁶.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sigmoid;

/// The hyperbolic tangent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tanh;

/// `x sigmoid(x)`, also known as swish (Ramachandran et al., arXiv 1710.05941).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Silu;

/// `x min(max(0, x + 3), 6) / 6` (Howard et al., "Searching for MobileNetV3", arXiv 1905.02244).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardSwish;

/// `min(max(0, x + 3), 6) / 6`, as in Keras 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardSigmoid;

macro_rules! gradients_at {
    ($($at:ident: $($function:ident),*;)*) => {$($(
        impl Function for $function {
            const GRADIENT_AT: GradientAt = GradientAt::$at;
        }
    )*)*};
}

gradients_at! {
    Output: Relu, Relu6, LeakyRelu, Sigmoid, Tanh, HardSigmoid;
    Input: Silu, HardSwish;
}

/// `d slope`, or zero if that or the slope is no larger than 2⁻¹⁰⁰: slopes are often tiny where a function has
/// saturated.
#[inline(always)]
fn product<S: Simd>(simd: S, d: S::Vector, slope: S::Vector) -> S::Vector {
    let least = simd.splat(LEAST);
    simd.flush(simd.mul(d, simd.flush(slope, least)), least)
}

/// `d` where `y` is above 0.
#[inline(always)]
fn where_positive<S: Simd>(simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    // Without the sum the compiler makes this a masked store, which some CPUs run lane by lane.
    simd.add(simd.select(simd.not_le(y, zero), d, zero), zero)
}

/// `d` where `y` is above 0 and below `end`.
#[inline(always)]
fn where_between<S: Simd>(simd: S, end: f32, y: S::Vector, d: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    let below = simd.select(simd.not_le(simd.splat(end), y), d, zero);
    where_positive(simd, y, below)
}

/// `min(max(0, x + 3), 6) / 6`.
#[inline(always)]
fn hard_sigmoid<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let sixths = simd.clamp([0.0, 6.0], simd.add(x, simd.splat(3.0)));
    simd.mul(sixths, simd.splat(1.0 / 6.0))
}

/// `exp(x) / (1 + exp(x))`: nothing overflows, and what is tiny is exact to its last digits.
#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    // Of any more the sigmoid is 1.
    let e = exp(simd, simd.min(simd.splat(18.0), x));
    simd.div(e, simd.add(simd.splat(1.0), e))
}

impl sealed::Vectors for Relu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        simd.max(simd.splat(0.0), x)
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        where_positive(simd, y, d)
    }
}

impl sealed::Vectors for Relu6 {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        simd.clamp([0.0, 6.0], x)
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        where_between(simd, 6.0, y, d)
    }
}

impl sealed::Vectors for LeakyRelu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        let positive = simd.not_le(x, simd.splat(0.0));
        simd.select(positive, x, simd.mul(x, simd.splat(self.slope)))
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        let positive = simd.not_le(y, simd.splat(0.0));
        simd.select(positive, d, product(simd, d, simd.splat(self.slope)))
    }
}

impl sealed::Vectors for Sigmoid {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        sigmoid(simd, x)
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        product(simd, d, simd.mul(y, simd.sub(simd.splat(1.0), y)))
    }
}

impl sealed::Vectors for Tanh {
    /// `(e - 1) / (e + 1)` with `e = exp(2 |x|)`, and the sign of `x`.
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        let zero = simd.splat(0.0);
        let size = simd.max(simd.sub(zero, x), x);
        // Of any more the tangent is 1.
        let size = simd.min(simd.splat(10.0), size);
        let e_m1 = exp_m1(simd, simd.add(size, size));
        let y = simd.div(e_m1, simd.add(e_m1, simd.splat(2.0)));
        simd.select(simd.not_le(zero, x), simd.sub(zero, y), y)
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        let one = simd.splat(1.0);
        product(simd, d, simd.mul(simd.sub(one, y), simd.add(one, y)))
    }
}

impl sealed::Vectors for Silu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        // Below that the sigmoid is 0, and minus infinity would make it NaN.
        simd.mul(simd.max(simd.splat(-88.0), x), sigmoid(simd, x))
    }
    /// `s (1 + x (1 - s)) d` with `s = sigmoid(x)`.
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, x: S::Vector, d: S::Vector) -> S::Vector {
        let one = simd.splat(1.0);
        // Beyond that the slope is 0 or 1.
        let x = simd.clamp([-88.0, 87.0], x);
        let e = exp(simd, x);
        let complement = simd.div(one, simd.add(one, e));
        let slope = simd.mul(simd.mul(e, complement), simd.mul_add(x, complement, one));
        product(simd, d, slope)
    }
}

impl sealed::Vectors for HardSwish {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        // Below that the second factor is 0, and minus infinity would make it NaN.
        simd.mul(simd.max(simd.splat(-3.0), x), hard_sigmoid(simd, x))
    }
    /// `x / 3 + 1 / 2` from -3 to 3, 0 below and 1 above.
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, x: S::Vector, d: S::Vector) -> S::Vector {
        let slope = simd.mul_add(x, simd.splat(1.0 / 3.0), simd.splat(0.5));
        let slope = simd.select(simd.not_le(simd.splat(3.0), x), slope, simd.splat(1.0));
        let slope = simd.select(simd.not_le(x, simd.splat(-3.0)), slope, simd.splat(0.0));
        product(simd, d, slope)
    }
}

impl sealed::Vectors for HardSigmoid {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        hard_sigmoid(simd, x)
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        where_between(simd, 1.0, y, product(simd, d, simd.splat(1.0 / 6.0)))
    }
}
