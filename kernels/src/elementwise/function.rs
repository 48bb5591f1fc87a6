//! Activation functions, a type each: a program has the code of those that it names.

use crate::simd::exp::{exp, exp_m1, ln_1p};
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

/// `min(max(0, x / 5 + 1 / 2), 1)`, the hard sigmoid of Keras 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardSigmoidKeras2;

/// `min(x, max_value)` above the threshold, `slope (x - threshold)` below it: 0 at the threshold.
///
/// The gradient at the largest value is that below it. At the threshold it is 0 or, if there is nothing but a slope, the
/// slope, as in Keras.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeneralRelu {
    /// The largest output; infinity if there is none.
    pub max_value: f32,
    /// Below the threshold.
    pub slope: f32,
    /// Where it begins to rise.
    pub threshold: f32,
}

/// `scale x` if that is positive, else `alpha (exp(x) - 1)`: ELU where the scale is 1 (Clevert et al., arXiv 1511.07289),
/// SELU where both are what keeps mean and variance (Klambauer et al., "Self-Normalizing Neural Networks", arXiv
/// 1706.02515).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elu {
    /// Above zero; positive.
    pub scale: f32,
    /// Not negative: the sign of an output is then that of its input, which the gradient relies on.
    pub alpha: f32,
    /// The gradient at zero, where the slope changes.
    pub at_zero: f32,
}

/// `x Φ(x)` with the normal distribution `Φ(x) = (1 + erf(x / √2)) / 2` (Hendrycks and Gimpel, "Gaussian Error Linear
/// Units", arXiv 1606.08415).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Gelu;

/// `x (1 + tanh(√(2 / π) (x + 0.044715 x³))) / 2`, GELU approximately (Hendrycks and Gimpel, arXiv 1606.08415).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TanhGelu;

/// `ln(1 + exp(x))`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Softplus;

/// `x / (1 + |x|)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Softsign;

/// `exp(x)`, and 0 where that would be below 2⁻¹²⁶.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exponential;

/// `x tanh(ln(1 + exp(x)))` (Misra, arXiv 1908.08681).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mish;

/// `scale x + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// What an element is multiplied by.
    pub scale: f32,
    /// What is then added.
    pub offset: f32,
}

macro_rules! gradients_at {
    ($($at:ident: $($function:ident),*;)*) => {$($(
        impl Function for $function {
            const GRADIENT_AT: GradientAt = GradientAt::$at;
        }
    )*)*};
}

gradients_at! {
    Output: Relu, Relu6, LeakyRelu, Sigmoid, Tanh, HardSigmoid, HardSigmoidKeras2, Elu, Softplus, Softsign, Exponential,
        Affine;
    Input: Silu, HardSwish, GeneralRelu, Gelu, TanhGelu, Mish;
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

/// The size of `x`, of a NaN too.
#[inline(always)]
fn size<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    simd.max(simd.sub(simd.splat(0.0), x), x)
}

/// `1 - exp(-x)` of `x` that is not negative, to three units in the last place.
#[inline(always)]
fn complement<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    // Of any more it is 1.
    let e_m1 = exp_m1(simd, simd.min(simd.splat(20.0), x));
    simd.div(e_m1, simd.add(simd.splat(1.0), e_m1))
}

/// `exp(-a² / 2)`, and what the share of the normal distribution beyond `a` is of it: both for `a` from 0 to 14. Of any
/// more the former is 0.
///
/// The polynomial's largest relative error is the least that there is for its degree, 2⁻²⁵.
#[inline(always)]
fn normal<S: Simd>(simd: S, a: S::Vector) -> [S::Vector; 2] {
    const POLYNOMIAL: [f32; 9] = [
        -2.914_584e-2,
        1.439_712_8e-1,
        -2.557_135e-1,
        1.591_733_5e-1,
        -2.310_934e-2,
        1.055_078_1e-1,
        1.198_329_1e-1,
        1.398_618_7e-1,
        1.396_214e-1,
    ];
    let half = simd.mul(a, simd.splat(-0.5));
    let density = exp(simd, simd.mul(a, half));
    let t = simd.div(simd.splat(1.0), simd.mul_add(a, simd.splat(0.35), simd.splat(1.0)));
    let mut sum = simd.splat(POLYNOMIAL[0]);
    for &coefficient in &POLYNOMIAL[1..] {
        sum = simd.mul_add(sum, t, simd.splat(coefficient));
    }
    [density, simd.mul(sum, t)]
}

/// `exp(z)` with `z = 2 √(2 / π) (x + 0.044715 x³)`, for which the approximate GELU is `x sigmoid(z)`.
#[inline(always)]
fn exp_of_cubic<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let factor = simd.mul_add(simd.mul(x, x), simd.splat(TWICE_ROOT * CUBIC), simd.splat(TWICE_ROOT));
    exp(simd, simd.mul(x, factor))
}

/// `2 √(2 / π)`
const TWICE_ROOT: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

/// `e (e + 2)`, of which the tangent that Mish takes is `n / (n + 2)`.
#[inline(always)]
fn mish_parts<S: Simd>(simd: S, e: S::Vector) -> [S::Vector; 2] {
    let two = simd.splat(2.0);
    let n = simd.mul(e, simd.add(e, two));
    [n, simd.add(n, two)]
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

impl sealed::Vectors for HardSigmoidKeras2 {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        simd.clamp([0.0, 1.0], simd.mul_add(x, simd.splat(0.2), simd.splat(0.5)))
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        where_between(simd, 1.0, y, product(simd, d, simd.splat(0.2)))
    }
}

impl sealed::Vectors for GeneralRelu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        let threshold = simd.splat(self.threshold);
        let below = simd.mul(simd.sub(x, threshold), simd.splat(self.slope));
        // Minus infinity has no product with a slope of 0.
        let below = if self.slope == 0.0 { simd.splat(0.0) } else { below };
        let above = simd.min(simd.splat(self.max_value), x);
        simd.select(simd.not_le(x, threshold), above, below)
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, x: S::Vector, d: S::Vector) -> S::Vector {
        let (zero, threshold) = (simd.splat(0.0), simd.splat(self.threshold));
        let max_value = simd.splat(self.max_value);
        let only_slope = self.threshold == 0.0 && self.max_value == f32::INFINITY;
        let below = product(simd, d, simd.splat(self.slope));
        let at = if only_slope { below } else { zero };
        let above = simd.select(simd.eq(x, max_value), d, zero);
        let above = simd.select(simd.not_le(max_value, x), d, above);
        let rest = simd.select(simd.eq(x, threshold), at, below);
        simd.select(simd.not_le(x, threshold), above, rest)
    }
}

impl sealed::Vectors for Elu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        let zero = simd.splat(0.0);
        let fall = simd.mul(complement(simd, size(simd, x)), simd.splat(-self.alpha));
        simd.select(simd.not_le(x, zero), simd.mul(x, simd.splat(self.scale)), fall)
    }
    /// `(y + alpha) d` below 0: the slope there is `alpha exp(x)`.
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        let zero = simd.splat(0.0);
        let slope = simd.add(y, simd.splat(self.alpha));
        let slope = simd.select(simd.eq(y, zero), simd.splat(self.at_zero), slope);
        product(simd, d, simd.select(simd.not_le(y, zero), simd.splat(self.scale), slope))
    }
}

impl sealed::Vectors for Gelu {
    /// `max(0, x) - |x| Φ(-|x|)`: what is tiny has its last digits, and infinities give no NaN.
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        let a = simd.min(simd.splat(14.0), size(simd, x));
        let [density, tail] = normal(simd, a);
        let positive = simd.max(simd.splat(0.0), x);
        simd.sub(positive, simd.mul(density, simd.mul(a, tail)))
    }
    /// `(Φ(x) + x φ(x)) d` with the density `φ`.
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, x: S::Vector, d: S::Vector) -> S::Vector {
        /// `1 / √(2 π)`
        const PEAK: f32 = 0.398_942_3;
        let a = simd.min(simd.splat(14.0), size(simd, x));
        let [density, tail] = normal(simd, a);
        // Of minus the size, and of the size, it is the rest of 1.
        let slope = simd.mul(density, simd.sub(tail, simd.mul(a, simd.splat(PEAK))));
        let positive = simd.not_le(x, simd.splat(0.0));
        product(simd, d, simd.select(positive, simd.sub(simd.splat(1.0), slope), slope))
    }
}

impl sealed::Vectors for TanhGelu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        // Below that the sigmoid is 0, and minus infinity would make it NaN; of any more than 6 it is 1.
        let x = simd.max(simd.splat(-10.1), x);
        let e = exp_of_cubic(simd, simd.min(simd.splat(6.0), x));
        simd.mul(x, simd.div(e, simd.add(simd.splat(1.0), e)))
    }
    /// `s (1 + x (1 - s) z') d` with `s = sigmoid(z)`.
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, x: S::Vector, d: S::Vector) -> S::Vector {
        let one = simd.splat(1.0);
        // Beyond that the slope is 0 or 1.
        let x = simd.clamp([-10.1, 9.0], x);
        let e = exp_of_cubic(simd, x);
        let complement = simd.div(one, simd.add(one, e));
        let dz = simd.mul_add(simd.mul(x, x), simd.splat(3.0 * TWICE_ROOT * CUBIC), simd.splat(TWICE_ROOT));
        let rise = simd.mul_add(simd.mul(x, dz), complement, one);
        product(simd, d, simd.mul(simd.mul(e, complement), rise))
    }
}

impl sealed::Vectors for Softplus {
    /// `max(0, x) + ln(1 + exp(-|x|))`
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        let zero = simd.splat(0.0);
        let rest = ln_1p(simd, exp(simd, simd.sub(zero, size(simd, x))));
        simd.add(simd.max(zero, x), rest)
    }
    /// `(1 - exp(-y)) d`, the sigmoid of the input.
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        product(simd, d, complement(simd, y))
    }
}

impl sealed::Vectors for Softsign {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        // Infinity would make it NaN.
        let x = simd.clamp([f32::MIN, f32::MAX], x);
        simd.div(x, simd.add(simd.splat(1.0), size(simd, x)))
    }
    /// `(1 - |y|)² d`
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        let rest = simd.sub(simd.splat(1.0), size(simd, y));
        product(simd, d, simd.mul(rest, rest))
    }
}

impl sealed::Vectors for Exponential {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        exp(simd, x)
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
        product(simd, d, y)
    }
}

impl sealed::Vectors for Mish {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        // Below that the tangent is 0, and minus infinity would make it NaN; of any more than 10 it is 1.
        let x = simd.max(simd.splat(-88.0), x);
        let [n, n_2] = mish_parts(simd, exp(simd, simd.min(simd.splat(20.0), x)));
        simd.mul(x, simd.div(n, n_2))
    }
    /// `(w + x w') d` with `w = n / (n + 2)` and `w' = 4 e (e + 1) / (n + 2)²`.
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, x: S::Vector, d: S::Vector) -> S::Vector {
        let one = simd.splat(1.0);
        // Beyond that the slope is 0 or 1.
        let x = simd.clamp([-88.0, 20.0], x);
        let e = exp(simd, x);
        let [n, n_2] = mish_parts(simd, e);
        let inverse = simd.div(one, n_2);
        let twice = simd.mul(simd.mul(e, simd.add(e, one)), simd.mul(inverse, simd.splat(4.0)));
        product(simd, d, simd.mul(inverse, simd.mul_add(x, twice, n)))
    }
}

impl sealed::Vectors for Affine {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        simd.mul_add(x, simd.splat(self.scale), simd.splat(self.offset))
    }
    #[inline(always)]
    fn grad<S: Simd>(self, simd: S, _: S::Vector, d: S::Vector) -> S::Vector {
        product(simd, d, simd.splat(self.scale))
    }
}
