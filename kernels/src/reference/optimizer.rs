//! Update rules, one weight at a time: the new weight, then the new state.

use super::{Expected, LEAST, gamma};
use libm::{fabs, sqrt};

/// `w - rate g`.
pub fn sgd(rate: f32, weight: f32, gradient: f32) -> Expected {
    let (weight, step) = (f64::from(weight), f64::from(rate) * f64::from(gradient));
    subtract(weight, Expected { value: step, error: gamma(1) * fabs(step) })
}

/// `v = momentum v - rate g`; `w + v`, or `w + momentum v - rate g` with Nesterov's momentum.
pub fn sgd_momentum(
    rate: f32,
    momentum: f32,
    nesterov: bool,
    weight: f32,
    velocity: f32,
    gradient: f32,
) -> [Expected; 2] {
    let (momentum, step) = (f64::from(momentum), f64::from(rate) * f64::from(gradient));
    let advance = |velocity: Expected| Expected {
        value: momentum * velocity.value - step,
        error: fabs(momentum) * velocity.error
            + gamma(2) * (fabs(momentum) * (fabs(velocity.value) + velocity.error) + fabs(step))
            + (1.0 + f64::from(rate)) * LEAST,
    };
    let velocity = advance(Expected { value: f64::from(velocity), error: 0.0 });
    let moved = if nesterov { advance(velocity) } else { velocity };
    [subtract(f64::from(weight), Expected { value: -moved.value, ..moved }), velocity]
}

/// `s = rho s + (1 - rho) g²`; `w - rate g / sqrt(s + epsilon)`.
pub fn rmsprop(rate: f32, rho: f32, epsilon: f32, weight: f32, square: f32, gradient: f32) -> [Expected; 2] {
    let [rate, rho, epsilon, weight, square, gradient] =
        [rate, rho, epsilon, weight, square, gradient].map(f64::from);
    let square = rho * square + (1.0 - rho) * gradient * gradient;
    // Nothing cancels: `1 - rho`, two products and a sum.
    let square = Expected { value: square, error: gamma(4) * square + 2.0 * LEAST };
    let root = sqrt(square.value + epsilon);
    let step = rate * gradient / root;
    // Half of the square's four and its sum's one; root, product, quotient.
    let step = Expected { value: step, error: gamma(3 + 3) * fabs(step) + rate * LEAST / root };
    [subtract(weight, step), square]
}

/// `m += (1 - beta1)(g - m)`, `s += (1 - beta2)(g² - s)`; `w - rate m / (sqrt(s) + epsilon)`.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn adam(
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight: f32,
    mean: f32,
    square: f32,
    gradient: f32,
) -> [Expected; 3] {
    let [rate, beta1, beta2, epsilon, weight, gradient] =
        [rate, beta1, beta2, epsilon, weight, gradient].map(f64::from);
    // `1 - beta`, the sample, the difference, the product, the sum.
    let toward = |mean: f32, sample: f64, beta: f64| Expected {
        value: f64::from(mean) + (sample - f64::from(mean)) * (1.0 - beta),
        error: gamma(5) * (fabs(f64::from(mean)) + (fabs(sample) + fabs(f64::from(mean))) * (1.0 - beta))
            + 3.0 * LEAST,
    };
    let mean = toward(mean, gradient, beta1);
    let square = toward(square, gradient * gradient, beta2);
    let root = sqrt(square.value);
    // From the smallest square that rounding may leave.
    let root_error = root - sqrt((square.value - square.error).max(0.0)) + gamma(1) * root;
    let divisor = root + epsilon;
    let step = rate * mean.value / divisor;
    let step_error = rate * mean.error + fabs(step) * root_error;
    let step = Expected { value: step, error: step_error / (divisor - root_error) + gamma(3) * fabs(step) };
    [subtract(weight, step), mean, square]
}

/// One more rounding.
fn subtract(weight: f64, step: Expected) -> Expected {
    let value = weight - step.value;
    Expected { value, error: step.error + gamma(1) * (fabs(value) + step.error) }
}
