//! Functions of one number, and their gradients: the value, or the gradient to the input from the one to the output,
//! `d`, at the function's output `y` or its input `x`.

use super::{Expected, LEAST, gamma};
use crate::conv2d::Activation;
use crate::elementwise::{Affine, Elu, Extreme, GeneralRelu};
use core::f64::consts::{FRAC_1_SQRT_2, PI};
use libm::{erfc, exp, expm1, fabs, log1p, sqrt};

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

/// `a - b`.
pub fn sub(a: f32, b: f32) -> Expected {
    rounded(f64::from(a) - f64::from(b), 1)
}

/// The larger or the smaller of two numbers, NaN if either is.
pub fn extreme(extreme: Extreme, a: f32, b: f32) -> Expected {
    let value = match extreme {
        _ if a.is_nan() || b.is_nan() => f32::NAN,
        Extreme::Maximum => a.max(b),
        Extreme::Minimum => a.min(b),
    };
    rounded(value.into(), 0)
}

/// `d + l1 sign(x) + 2 l2 x`.
pub fn add_penalty_grad([l1, l2]: [f32; 2], x: f32, d: f32) -> Expected {
    let sign = if x == 0.0 { 0.0 } else { f64::from(x.signum()) * f64::from(l1) };
    let square = 2.0 * f64::from(l2) * f64::from(x);
    // The product, two sums; what is no larger than 2⁻¹⁰⁰ may count as zero, in the factor and in the product.
    let error = gamma(3) * (fabs(d.into()) + fabs(sign) + fabs(square)) + LEAST * (1.0 + 2.0 * f64::from(l2));
    Expected { value: f64::from(d) + sign + square, error }
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

/// `min(max(0, x / 5 + 1 / 2), 1)`.
pub fn hard_sigmoid_keras2(x: f32) -> Expected {
    let fifth = f64::from(x) / 5.0;
    // A fifth, the product; the sum.
    let error = gamma(2) * fabs(fifth).min(1.0) + gamma(1);
    Expected { value: (fifth + 0.5).clamp(0.0, 1.0), error }
}

/// `d / 5` where `y` is neither 0 nor 1.
pub fn hard_sigmoid_keras2_grad(y: f32, d: f32) -> Expected {
    if y <= 0.0 || y >= 1.0 { rounded(0.0, 0) } else { product(d.into(), rounded(0.2, 1)) }
}

/// `min(x, max_value)` above the threshold, else `slope (x - threshold)`.
pub fn general_relu(how: GeneralRelu, x: f32) -> Expected {
    let GeneralRelu { max_value, slope, threshold } = how;
    if x > threshold {
        rounded(x.min(max_value).into(), 0)
    } else if x.is_nan() || slope != 0.0 {
        let fall = rounded(f64::from(slope) * (f64::from(x) - f64::from(threshold)), 2);
        // Half of the smallest subnormal number.
        Expected { error: fall.error + f64::from(f32::from_bits(1)) / 2.0, ..fall }
    } else {
        rounded(0.0, 0)
    }
}

/// `d` from the threshold to the largest value, `slope d` below.
pub fn general_relu_grad(how: GeneralRelu, x: f32, d: f32) -> Expected {
    let GeneralRelu { max_value, slope, threshold } = how;
    let corner = x == threshold && (threshold != 0.0 || max_value != f32::INFINITY);
    if corner || (x > threshold && x > max_value) {
        rounded(0.0, 0)
    } else if x <= threshold {
        product(d.into(), rounded(slope.into(), 0))
    } else {
        rounded(d.into(), 0)
    }
}

/// `scale x`, or `alpha (exp(x) - 1)` if that is not positive.
pub fn elu(how: Elu, x: f32) -> Expected {
    if x <= 0.0 {
        // The exponential, the sum, the quotient, the product.
        rounded(f64::from(how.alpha) * expm1(x.into()), EXP + 3)
    } else {
        rounded(f64::from(how.scale) * f64::from(x), 1)
    }
}

/// `scale d`, or `(y + alpha) d` if `y` is negative.
pub fn elu_grad(how: Elu, y: f32, d: f32) -> Expected {
    if y == 0.0 {
        return product(d.into(), rounded(how.at_zero.into(), 0));
    }
    let fall = rounded(f64::from(y) + f64::from(how.alpha), 1);
    product(d.into(), if y <= 0.0 { fall } else { rounded(how.scale.into(), 0) })
}

/// The size of a number, the share of the normal distribution beyond it, and the relative error of that share.
fn normal(x: f32) -> [f64; 3] {
    let size = fabs(x.into());
    // Far beyond where both are zero.
    let a = if size > 50.0 { 50.0 } else { size };
    // The polynomial, the exponential and its argument.
    let error = gamma(6 + EXP) + gamma(1) * a * a / 2.0;
    [a, erfc(a * FRAC_1_SQRT_2) / 2.0, error]
}

/// `x Φ(x)`.
pub fn gelu(x: f32) -> Expected {
    let [a, tail, relative] = normal(x);
    let positive = if x < 0.0 { 0.0 } else { f64::from(x) };
    let value = positive - a * tail;
    // Two products; the difference.
    let error = (relative + gamma(2)) * a * tail + gamma(1) * fabs(value);
    Expected { value, error: error + TINY }
}

/// `(Φ(x) + x φ(x)) d`.
pub fn gelu_grad(x: f32, d: f32) -> Expected {
    let [a, tail, relative] = normal(x);
    let density = a * exp(-a * a / 2.0) / sqrt(2.0 * PI);
    let slope = if x > 0.0 { 1.0 - (tail - density) } else { tail - density };
    // The constant, two products, a difference; that from 1.
    let error = (relative + gamma(4)) * (tail + density) + gamma(1) * fabs(slope);
    product(d.into(), Expected { value: slope, error: error + TINY })
}

/// `z = 2 √(2 / π) (x + 0.044715 x³)`, its derivative and its relative error.
fn cubic(x: f64) -> [f64; 3] {
    let factor = 2.0 * sqrt(2.0 / PI);
    let z = factor * (x + 0.044715 * x * x * x);
    // Two constants and their product, the square, its product, the sum, the last product.
    [z, factor * (1.0 + 3.0 * 0.044715 * x * x), gamma(7)]
}

/// `x sigmoid(z)`, 0 at minus infinity.
pub fn tanh_gelu(x: f32) -> Expected {
    // Below that it counts as zero.
    let x = if x < -11.0 { -11.0 } else { f64::from(x) };
    let [z, _, relative] = cubic(x);
    let complement = 1.0 / (1.0 + exp(z));
    let value = x / (1.0 + exp(-z));
    // The exponential, the sum, the quotient, the product.
    let argument = if value == 0.0 || complement == 0.0 { 0.0 } else { relative * fabs(z) * complement };
    Expected { value, error: (gamma(EXP + 3) + argument) * fabs(value) + 11.0 * TINY }
}

/// `s (1 + x (1 - s) z') d` with `s = sigmoid(z)`.
pub fn tanh_gelu_grad(x: f32, d: f32) -> Expected {
    // Beyond that the slope is 0 or 1.
    let x = f64::from(x).clamp(-11.0, 11.0);
    let [z, dz, relative] = cubic(x);
    let [s, complement] = [1.0 / (1.0 + exp(-z)), 1.0 / (1.0 + exp(z))];
    let rise = fabs(x) * complement * dz;
    // What an error of the exponential changes: the sigmoid, and its complement.
    let exponential = (gamma(EXP) + relative * fabs(z)) * s * (complement * (1.0 + rise) + s * rise);
    // The sum and the quotient twice, the derivative's 7, four products and a sum.
    let error = exponential + gamma(16) * s * (1.0 + rise);
    product(d.into(), Expected { value: s * (1.0 + x * complement * dz), error: error + 20.0 * TINY })
}

/// `ln(1 + exp(x))`.
pub fn softplus(x: f32) -> Expected {
    let positive = if x < 0.0 { 0.0 } else { f64::from(x) };
    let rest = log1p(exp(-fabs(x.into())));
    // The exponential, the logarithm; the sum.
    let error = gamma(EXP + 4) * rest + gamma(1) * (positive + rest);
    Expected { value: positive + rest, error: error + TINY }
}

/// `(1 - exp(-y)) d`.
pub fn softplus_grad(y: f32, d: f32) -> Expected {
    // The exponential, the sum, the quotient.
    product(d.into(), rounded(-expm1(-f64::from(y)), EXP + 2))
}

/// `x / (1 + |x|)`.
pub fn softsign(x: f32) -> Expected {
    let x = f64::from(x).clamp(f32::MIN.into(), f32::MAX.into());
    rounded(x / (1.0 + fabs(x)), 2)
}

/// `(1 - |y|)² d`.
pub fn softsign_grad(y: f32, d: f32) -> Expected {
    let rest = 1.0 - fabs(y.into());
    product(d.into(), rounded(rest * rest, 3))
}

/// `exp(x)`.
pub fn exponential(x: f32) -> Expected {
    let value = exp(x.into());
    Expected { value, error: gamma(EXP) * value + TINY }
}

/// `y d`.
pub fn exponential_grad(y: f32, d: f32) -> Expected {
    product(d.into(), rounded(y.into(), 0))
}

/// `tanh(ln(1 + exp(x)))` and its derivative.
fn mish_factor(x: f64) -> [f64; 2] {
    let e = exp(x);
    let n = e * (e + 2.0);
    [n / (n + 2.0), 4.0 * e * (e + 1.0) / ((n + 2.0) * (n + 2.0))]
}

/// `x tanh(ln(1 + exp(x)))`, 0 at minus infinity.
pub fn mish(x: f32) -> Expected {
    // Beyond that the second factor counts as 0, or is 1.
    let factor = mish_factor(f64::from(x).clamp(-100.0, 100.0))[0];
    let value = f64::from(if x < -100.0 { -100.0 } else { x }) * factor;
    // The exponential twice, two sums and their product, the quotient, the product.
    Expected { value, error: gamma(2 * EXP + 5) * fabs(value) + 100.0 * TINY }
}

/// `(w + x w') d` with the factor `w` and its derivative.
pub fn mish_grad(x: f32, d: f32) -> Expected {
    let x = f64::from(x).clamp(-100.0, 100.0);
    let [factor, derivative] = mish_factor(x);
    // The exponential six times, twice as many sums and products, the quotient twice.
    let error = gamma(6 * EXP + 14) * (factor + fabs(x) * derivative);
    product(d.into(), Expected { value: factor + x * derivative, error: error + 300.0 * TINY })
}

/// `scale x + offset`.
pub fn affine(how: Affine, x: f32) -> Expected {
    let (scaled, offset) = (f64::from(how.scale) * f64::from(x), f64::from(how.offset));
    // The product, the sum.
    Expected { value: scaled + offset, error: gamma(2) * (fabs(scaled) + fabs(offset)) }
}

/// `scale d`.
pub fn affine_grad(how: Affine, _: f32, d: f32) -> Expected {
    product(d.into(), rounded(how.scale.into(), 0))
}
