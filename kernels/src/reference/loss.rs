//! Losses and their gradients.

use super::softmax::Terms;
use super::{Expected, LEAST, gamma, pairwise};

/// Mean over the rows of `Σ t (ln Σ exp(x) - x)`.
pub fn softmax_cross_entropy(rows: usize, columns: usize, logits: &[f32], targets: &[f32]) -> Expected {
    let (mut value, mut error, mut magnitude) = (0.0, 0.0, 0.0);
    for (x, t) in logits.chunks(columns).zip(targets.chunks(columns)) {
        let terms = Terms::new(x);
        let log = libm::log(terms.sum);
        for (&x, &t) in x.iter().zip(t) {
            let (x, t) = (f64::from(x), f64::from(t));
            value += t * (terms.max + log - x);
            // The sum's relative error is the logarithm's absolute one.
            error += t * (terms.sum_error() + gamma(2) * log);
            magnitude += t * (libm::fabs(terms.max) + log + libm::fabs(x));
        }
    }
    // Two additions and a product, the sums, the division.
    error += gamma(3 + pairwise(columns) + pairwise(rows) + 1) * magnitude;
    Expected { value: value / rows as f64, error: error / rows as f64 }
}

/// `(softmax(x) Σt - t) d_loss / rows`.
pub fn softmax_cross_entropy_grad<'a>(
    rows: usize,
    columns: usize,
    logits: &'a [f32],
    targets: &'a [f32],
    d_loss: f32,
) -> impl Iterator<Item = Expected> {
    let scale = f64::from(d_loss) / rows as f64;
    logits.chunks(columns).zip(targets.chunks(columns)).flat_map(move |(x, t)| {
        let mass: f64 = t.iter().map(|&t| f64::from(t)).sum();
        x.iter().zip(t).map(move |(&logit, &t)| {
            let (terms, t) = (Terms::new(x), f64::from(t));
            let part = mass * libm::exp(f64::from(logit) - terms.max) / terms.sum;
            // The mass and its product; the difference, the scale and its product.
            let error =
                (terms.relative_error() + gamma(pairwise(columns) + 1)) * part + gamma(3) * (part + t);
            Expected { value: (part - t) * scale, error: error * libm::fabs(scale) + LEAST }
        })
    })
}

/// Mean of `max(x, 0) - x t + ln(1 + exp(-|x|))`.
pub fn binary_cross_entropy(logits: &[f32], targets: &[f32]) -> Expected {
    let (mut value, mut magnitude) = (0.0, 0.0);
    for (&x, &t) in logits.iter().zip(targets) {
        let (x, t) = (f64::from(x), f64::from(t));
        let parts = [if x < 0.0 { 0.0 } else { x }, -x * t, libm::log1p(libm::exp(-libm::fabs(x)))];
        value += parts.iter().sum::<f64>();
        magnitude += parts.iter().map(|part| libm::fabs(*part)).sum::<f64>();
    }
    let count = logits.len();
    // Exponential and logarithm, each good to a unit in the last place; two additions; the sum; the
    // division.
    let error = gamma(4 + 2 + pairwise(count) + 1) * magnitude;
    Expected { value: value / count as f64, error: error / count as f64 }
}

/// `(sigmoid(x) - t) d_loss / n`.
pub fn binary_cross_entropy_grad<'a>(
    logits: &'a [f32],
    targets: &'a [f32],
    d_loss: f32,
) -> impl Iterator<Item = Expected> {
    let scale = f64::from(d_loss) / logits.len() as f64;
    logits.iter().zip(targets).map(move |(&x, &t)| {
        let t = f64::from(t);
        let sigmoid = 1.0 / (1.0 + libm::exp(-f64::from(x)));
        // The exponential twice, sum and quotient; the difference, the scale and its product.
        let error = gamma(4 + 2) * sigmoid + gamma(3) * (sigmoid + t);
        Expected { value: (sigmoid - t) * scale, error: error * libm::fabs(scale) + LEAST }
    })
}

/// Mean of `(x - t)²`.
pub fn mean_squared_error(predictions: &[f32], targets: &[f32]) -> Expected {
    let squares = predictions.iter().zip(targets).map(|(&x, &t)| {
        let difference = f64::from(x) - f64::from(t);
        difference * difference
    });
    let count = predictions.len();
    let value = squares.sum::<f64>() / count as f64;
    // The difference counts twice; its square; the sum; the division.
    Expected { value, error: gamma(3 + pairwise(count) + 1) * value }
}

/// `2 (x - t) d_loss / n`.
pub fn mean_squared_error_grad<'a>(
    predictions: &'a [f32],
    targets: &'a [f32],
    d_loss: f32,
) -> impl Iterator<Item = Expected> {
    let scale = 2.0 * f64::from(d_loss) / predictions.len() as f64;
    predictions.iter().zip(targets).map(move |(&x, &t)| {
        let value = (f64::from(x) - f64::from(t)) * scale;
        Expected { value, error: gamma(3) * libm::fabs(value) + LEAST }
    })
}
