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

/// RMSprop with momentum, if that is some, and with the variance in the mean square's place, if there is a mean:
/// the new weight, mean square, mean and velocity.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn rmsprop_variant(
    rate: f32,
    rho: f32,
    momentum: Option<f32>,
    epsilon: f32,
    weight: f32,
    square: f32,
    mean: Option<f32>,
    velocity: f32,
    gradient: f32,
) -> [Expected; 4] {
    let [rate, rho, epsilon, weight, velocity, gradient] =
        [rate, rho, epsilon, weight, velocity, gradient].map(f64::from);
    // `1 - rho`, two or three products and a sum.
    let average = |kept: f32, sample: f64| Expected {
        value: rho * f64::from(kept) + (1.0 - rho) * sample,
        error: gamma(4) * (rho * fabs(f64::from(kept)) + (1.0 - rho) * fabs(sample)) + 2.0 * LEAST,
    };
    let square = average(square, gradient * gradient);
    let mean = mean.map_or(Expected { value: 0.0, error: 0.0 }, |mean| average(mean, gradient));
    // A product, a difference, and the mean's error twice.
    let variance_error = square.error
        + (2.0 * fabs(mean.value) + mean.error) * mean.error
        + gamma(2) * (square.value + mean.value * mean.value)
        + LEAST;
    let variance = (square.value - mean.value * mean.value).max(0.0);
    let root = sqrt(variance + epsilon);
    // From the smallest to the largest that rounding may leave, and a sum's and a root's more.
    let least = sqrt((variance - variance_error).max(0.0) + epsilon);
    let most = sqrt(variance + variance_error + epsilon);
    let root_error = (root - least).max(most - root) + gamma(2) * most;
    let step = rate * gradient / root;
    let step_error = fabs(step) * (root_error / (least - gamma(2) * most) + gamma(3)) + rate * LEAST / least;
    let step = Expected { value: step, error: step_error };
    let velocity = momentum.map_or(step, |momentum| {
        let momentum = f64::from(momentum);
        let value = momentum * velocity + step.value;
        let error = step.error + gamma(2) * (momentum * fabs(velocity) + fabs(step.value) + step.error);
        Expected { value, error: error + LEAST }
    });
    [subtract(weight, velocity), square, mean, velocity]
}

/// `s += g²`; `w - rate g / sqrt(s + epsilon)`.
pub fn adagrad(rate: f32, epsilon: f32, weight: f32, sum: f32, gradient: f32) -> [Expected; 2] {
    let [rate, epsilon, weight, sum, gradient] = [rate, epsilon, weight, sum, gradient].map(f64::from);
    let sum = sum + gradient * gradient;
    let root = sqrt(sum + epsilon);
    let step = rate * gradient / root;
    // Half of the sum's two and of one more; root, product, quotient.
    let step = Expected { value: step, error: gamma(2 + 3) * fabs(step) + rate * LEAST / root };
    [subtract(weight, step), Expected { value: sum, error: gamma(2) * sum + LEAST }]
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
    let mean = toward(mean, gradient.into(), beta1);
    let square = toward(square, f64::from(gradient) * f64::from(gradient), beta2);
    [subtract(weight.into(), by_root(rate.into(), mean, square, epsilon)), mean, square]
}

/// As [`adam`], by the largest mean square that there was: the new weight, mean, mean square and the largest.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn amsgrad(
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight: f32,
    mean: f32,
    square: f32,
    largest: f32,
    gradient: f32,
) -> [Expected; 4] {
    let [_, mean, square] = adam(rate, beta1, beta2, epsilon, weight, mean, square, gradient);
    let largest = Expected { value: square.value.max(largest.into()), error: square.error };
    [subtract(weight.into(), by_root(rate.into(), mean, largest, epsilon)), mean, square, largest]
}

/// The means of [`adam`]; `w - (of_mean m + of_gradient g) / (sqrt(s) + epsilon)`.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn nadam(
    [of_mean, of_gradient]: [f32; 2],
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight: f32,
    mean: f32,
    square: f32,
    gradient: f32,
) -> [Expected; 3] {
    let [_, mean, square] = adam(of_mean, beta1, beta2, epsilon, weight, mean, square, gradient);
    let (of_mean, gradient) = (f64::from(of_mean), f64::from(of_gradient) * f64::from(gradient));
    let size = of_mean * (fabs(mean.value) + mean.error) + fabs(gradient);
    let error = of_mean * mean.error + gamma(2) * size + 2.0 * LEAST;
    let ahead = Expected { value: of_mean * mean.value + gradient, error };
    [subtract(weight.into(), by_root(1.0, ahead, square, epsilon)), mean, square]
}

/// `m += (1 - beta1)(g - m)`, `u = max(beta2 u, |g|)`; `w - rate m / (u + epsilon)`.
#[expect(clippy::too_many_arguments, reason = "the rule has as many")]
pub fn adamax(
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight: f32,
    mean: f32,
    norm: f32,
    gradient: f32,
) -> [Expected; 3] {
    let mean = toward(mean, gradient.into(), beta1);
    let norm = (f64::from(beta2) * f64::from(norm)).max(fabs(gradient.into()));
    let norm = Expected { value: norm, error: gamma(1) * norm + LEAST };
    let (rate, divisor) = (f64::from(rate), norm.value + f64::from(epsilon));
    let step = rate * mean.value / divisor;
    // The norm's rounding is half a unit of the divisor at most; what counts as zero is none beside epsilon.
    let error = rate * mean.error + fabs(step) * norm.error;
    let step = Expected { value: step, error: error / (divisor - norm.error) + gamma(3) * fabs(step) };
    [subtract(weight.into(), step), mean, norm]
}

/// `w - rate sign(beta1 m + (1 - beta1) g)`; `m = beta2 m + (1 - beta2) g`. Where rounding may change the sign, so may
/// the weight by twice the rate.
pub fn lion(rate: f32, beta1: f32, beta2: f32, weight: f32, mean: f32, gradient: f32) -> [Expected; 2] {
    let [rate, weight, mean, gradient] = [rate, weight, mean, gradient].map(f64::from);
    // `1 - beta`, two products and a sum.
    let blend = |beta: f32| {
        let [kept, added] = [f64::from(beta) * mean, (1.0 - f64::from(beta)) * gradient];
        let error = gamma(3) * (fabs(kept) + fabs(added)) + 2.0 * LEAST;
        Expected { value: kept + added, error }
    };
    let ahead = blend(beta1);
    let sign = if ahead.value == 0.0 { 0.0 } else { ahead.value.signum() };
    let error = if fabs(ahead.value) > ahead.error || ahead.value == 0.0 { 0.0 } else { 2.0 * rate };
    [subtract(weight, Expected { value: rate * sign, error }), blend(beta2)]
}

/// `momentum average + (1 - momentum) w`.
pub fn ema(momentum: f32, average: f32, weight: f32) -> Expected {
    let momentum = f64::from(momentum);
    let [kept, added] = [momentum * f64::from(average), (1.0 - momentum) * f64::from(weight)];
    Expected { value: kept + added, error: gamma(3) * (fabs(kept) + fabs(added)) + 2.0 * LEAST }
}

/// The gradient, or the limit that it is beyond.
pub fn clip(limit: f32, gradient: f32) -> Expected {
    let value = if gradient.is_nan() { gradient } else { gradient.clamp(-limit, limit) };
    Expected { value: value.into(), error: 0.0 }
}

/// `factor g`.
pub fn scale(factor: f32, gradient: f32) -> Expected {
    let value = f64::from(factor) * f64::from(gradient);
    Expected { value, error: gamma(1) * fabs(value) + f64::from(factor) * LEAST }
}

/// `w - share w`.
pub fn decay(share: f32, weight: f32) -> Expected {
    let (weight, step) = (f64::from(weight), f64::from(share) * f64::from(weight));
    let Expected { value, error } = subtract(weight, Expected { value: step, error: gamma(1) * fabs(step) });
    Expected { value, error: error + LEAST }
}

/// `mean + (sample - mean)(1 - beta)`.
fn toward(mean: f32, sample: f64, beta: f32) -> Expected {
    let (mean, share) = (f64::from(mean), 1.0 - f64::from(beta));
    // `1 - beta`, the sample, the difference, the product, the sum.
    Expected {
        value: mean + (sample - mean) * share,
        error: gamma(5) * (fabs(mean) + (fabs(sample) + fabs(mean)) * share) + 3.0 * LEAST,
    }
}

/// `rate mean / (sqrt(square) + epsilon)`.
fn by_root(rate: f64, mean: Expected, square: Expected, epsilon: f32) -> Expected {
    let root = sqrt(square.value);
    // From the smallest square that rounding may leave.
    let root_error = root - sqrt((square.value - square.error).max(0.0)) + gamma(1) * root;
    let divisor = root + f64::from(epsilon);
    let step = rate * mean.value / divisor;
    let error = rate * mean.error + fabs(step) * root_error;
    Expected { value: step, error: error / (divisor - root_error) + gamma(3) * fabs(step) }
}

/// One more rounding.
fn subtract(weight: f64, step: Expected) -> Expected {
    let value = weight - step.value;
    Expected { value, error: step.error + gamma(1) * (fabs(value) + step.error) }
}
