//! Functions of one number, and their gradients: the value, or the gradient to the input from the one to the output,
//! `d`, at the function's output `y` or its input `x`.

use super::{Expected, LEAST, gamma};
use crate::conv2d::Activation;
use libm::{exp, fabs};

/// Roundings that an exponential, good to a unit in the last place, counts for.
const EXP: usize = 2;

/// A normal number below which an exponential may count as zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// A result after so many roundings, each relative to it.
fn rounded(value: f64, roundings: usize) -> Expected {
    Expected { value, error: gamma(roundings) * fabs(value) }
}

/// `d slope`, where either may count as zero if it is no larger than 2⁻¹⁰⁰.
fn product(d: f64, slope: Expected) -> Expected {
    let flushed = d.is_infinite() && fabs(slope.value) <= LEAST;
    let value = d * if flushed { 0.0 } else { slope.value };
    let error = gamma(1) * fabs(value) + fabs(d) * (slope.error * (1.0 + gamma(1)) + LEAST) + LEAST;
    Expected { value, error }
}

/// `a + b` and the activation.
pub fn add(activation: Activation, a: f32, b: f32) -> Expected {
    rounded(f64::from(a) + f64::from(b), 1).activated(activation)
}

/// `a b`.
pub fn mul(a: f32, b: f32) -> Expected {
    let product = rounded(f64::from(a) * f64::from(b), 1);
    // Half of the smallest subnormal number.
    Expected { error: product.error + f64::from(f32::from_bits(1)) / 2.0, ..product }
}

/// `max(0, x)`.
pub fn relu(x: f32) -> Expected {
    rounded(f64::from(x), 0).relu()
}

/// `d` where `y` is not 0.
pub fn relu_grad(y: f32, d: f32) -> Expected {
    rounded(if y <= 0.0 { 0.0 } else { d.into() }, 0)
}

/// `min(max(0, x), 6)`.
pub fn relu6(x: f32) -> Expected {
    rounded(f64::from(x), 0).relu6()
}

/// `d` where `y` is neither 0 nor 6.
pub fn relu6_grad(y: f32, d: f32) -> Expected {
    rounded(if y <= 0.0 || y >= 6.0 { 0.0 } else { d.into() }, 0)
}

/// `x`, or `slope x` if it is not positive.
pub fn leaky_relu(slope: f32, x: f32) -> Expected {
    if x <= 0.0 { mul(slope, x) } else { rounded(x.into(), 0) }
}

/// `d`, or `slope d` if `y` is not positive.
pub fn leaky_relu_grad(slope: f32, y: f32, d: f32) -> Expected {
    let d = f64::from(d);
    if y <= 0.0 { product(d, rounded(slope.into(), 0)) } else { rounded(d, 0) }
}

/// `1 / (1 + exp(-x))`.
pub fn sigmoid(x: f32) -> Expected {
    // The exponential, the sum, the quotient.
    let y = rounded(1.0 / (1.0 + exp(-f64::from(x))), EXP + 2);
    Expected { error: y.error + TINY, ..y }
}

/// `y (1 - y) d`.
pub fn sigmoid_grad(y: f32, d: f32) -> Expected {
    let y = f64::from(y);
    product(d.into(), rounded(y * (1.0 - y), 2))
}

/// The hyperbolic tangent.
pub fn tanh(x: f32) -> Expected {
    // The exponential, the sum, the quotient.
    rounded(libm::tanh(x.into()), EXP + 2)
}

/// `(1 - y²) d`.
pub fn tanh_grad(y: f32, d: f32) -> Expected {
    let y = f64::from(y);
    // The difference, the sum, their product.
    product(d.into(), rounded((1.0 - y) * (1.0 + y), 3))
}

/// `x sigmoid(x)`, 0 at minus infinity.
pub fn silu(x: f32) -> Expected {
    let sigmoid = sigmoid(x);
    let value = if x == f32::NEG_INFINITY { 0.0 } else { f64::from(x) * sigmoid.value };
    // Below -88 the sigmoid counts as zero.
    let flushed = TINY * f64::from(x.clamp(-88.0, 0.0).abs());
    Expected { value, error: gamma(EXP + 3) * fabs(value) + flushed }
}

/// `s (1 + x (1 - s)) d` with `s = sigmoid(x)`.
pub fn silu_grad(x: f32, d: f32) -> Expected {
    // Beyond that the slope is 0 or 1.
    let x = f64::from(x).clamp(-88.0, 88.0);
    let e = exp(x);
    let [s, complement] = [e / (1.0 + e), 1.0 / (1.0 + e)];
    let slope = s * (1.0 + x * complement);
    // The exponential twice, its sum and the quotient; a product, and the last.
    let error = gamma(2 * EXP + 2 + 2 + 1) * s * (1.0 + fabs(x) * complement);
    product(d.into(), Expected { value: slope, error: error + TINY * (1.0 + fabs(x)) })
}

/// `min(max(0, x + 3), 6) / 6`.
pub fn hard_sigmoid(x: f32) -> Expected {
    // The sum, a sixth, the product.
    rounded((f64::from(x) + 3.0).clamp(0.0, 6.0) / 6.0, 3)
}

/// `d / 6` where `y` is neither 0 nor 1.
pub fn hard_sigmoid_grad(y: f32, d: f32) -> Expected {
    if y <= 0.0 || y >= 1.0 { rounded(0.0, 0) } else { product(d.into(), rounded(1.0 / 6.0, 1)) }
}

/// `x min(max(0, x + 3), 6) / 6`, 0 at minus infinity.
pub fn hard_swish(x: f32) -> Expected {
    rounded(f64::from(if x < -3.0 { -3.0 } else { x }) * hard_sigmoid(x).value, 4)
}

/// `(x / 3 + 1 / 2) d` from -3 to 3, 0 below and `d` above.
pub fn hard_swish_grad(x: f32, d: f32) -> Expected {
    let d = f64::from(d);
    if x <= -3.0 {
        return product(d, rounded(0.0, 0));
    }
    if x >= 3.0 {
        return product(d, rounded(1.0, 0));
    }
    let third = f64::from(x) / 3.0;
    // A third, the product; the sum.
    let error = gamma(3) * fabs(third) + gamma(1) * fabs(third + 0.5);
    product(d, Expected { value: third + 0.5, error })
}
