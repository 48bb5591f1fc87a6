//! Losses, each the mean over its batch, and their gradients. Their sums are pairwise: rounding errors grow with
//! the logarithm of a batch's size. Gradients no larger than 2⁻¹⁰⁰ are zero, so that no backward pass meets subnormal
//! numbers, with which many CPUs take a hundred times as long.

use crate::Error;
use crate::error::check;
use crate::pairwise::sum;
use crate::simd::{LEAST, Scalar, Simd};
use crate::softmax::{check_matrix, row_max};

/// Cross-entropy of the softmax of `logits` with `targets`, both `[rows, columns]`, the targets
/// probabilities (one-hot rows for classes): the mean over rows of
/// `Σ t (ln Σ exp(x) - x)`.
///
/// # Errors
/// A slice's length differs from its shape's, or a size is zero.
///
/// ```
/// let loss = bantam_kernels::loss::softmax_cross_entropy(1, 2, &[0.0, 0.0], &[0.0, 1.0])?;
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn softmax_cross_entropy(
    rows: usize,
    columns: usize,
    logits: &[f32],
    targets: &[f32],
) -> Result<f32, Error> {
    check_rows(rows, columns, logits, targets)?;
    let pairs = logits.chunks_exact(columns).zip(targets.chunks_exact(columns));
    let total = sum(pairs.map(|(x, t)| {
        let log_sum = log_sum_exp(x);
        // A class that cannot be the answer costs nothing, even where its logit is infinite.
        let cost = |(&x, &t): (&f32, &f32)| if t == 0.0 { 0.0 } else { t * (log_sum - x) };
        let row = sum(x.iter().zip(t).map(cost));
        if log_sum.is_nan() { log_sum } else { row }
    }));
    Ok(total / rows as f32)
}

/// Gradient of [`softmax_cross_entropy`] to its logits, times `d_loss`:
/// `(softmax(x) Σt - t) d_loss / rows`.
///
/// # Errors
/// As [`softmax_cross_entropy`].
pub fn softmax_cross_entropy_grad(
    rows: usize,
    columns: usize,
    logits: &[f32],
    targets: &[f32],
    d_loss: f32,
    d_logits: &mut [f32],
) -> Result<(), Error> {
    check_rows(rows, columns, logits, targets)?;
    check_matrix("logit gradient", rows, columns, d_logits)?;
    let scale = d_loss / rows as f32;
    let rows = logits
        .chunks_exact(columns)
        .zip(targets.chunks_exact(columns))
        .zip(d_logits.chunks_exact_mut(columns));
    for ((x, t), d) in rows {
        let max = row_max(x);
        let sum_exp = sum(x.iter().map(|&x| libm::expf(x - max)));
        let mass = sum(t.iter().copied());
        for ((d, &x), &t) in d.iter_mut().zip(x).zip(t) {
            *d = flushed((libm::expf(x - max) / sum_exp * mass - t) * scale);
        }
    }
    Ok(())
}

/// Cross-entropy of the sigmoid of `logits` with `targets` between 0 and 1: the mean over all
/// elements of `max(x, 0) - x t + ln(1 + exp(-|x|))`.
///
/// # Errors
/// The lengths differ or are zero.
pub fn binary_cross_entropy(logits: &[f32], targets: &[f32]) -> Result<f32, Error> {
    check_pair("logits", logits, targets)?;
    let cost = |(&x, &t): (&f32, &f32)| {
        let positive = if x < 0.0 { 0.0 } else { x };
        positive - x * t + libm::log1pf(libm::expf(-libm::fabsf(x)))
    };
    Ok(sum(logits.iter().zip(targets).map(cost)) / logits.len() as f32)
}

/// Gradient of [`binary_cross_entropy`] to its logits, times `d_loss`:
/// `(sigmoid(x) - t) d_loss / n`.
///
/// # Errors
/// The lengths differ or are zero.
pub fn binary_cross_entropy_grad(
    logits: &[f32],
    targets: &[f32],
    d_loss: f32,
    d_logits: &mut [f32],
) -> Result<(), Error> {
    check_pair("logits", logits, targets)?;
    check("logit gradient", d_logits, logits.len())?;
    let scale = d_loss / logits.len() as f32;
    for ((d, &x), &t) in d_logits.iter_mut().zip(logits).zip(targets) {
        // Of the two forms the one whose exponential cannot overflow.
        let e = libm::expf(-libm::fabsf(x));
        let sigmoid = if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) };
        *d = flushed((sigmoid - t) * scale);
    }
    Ok(())
}

/// The mean over all elements of `(x - t)²`.
///
/// # Errors
/// The lengths differ or are zero.
pub fn mean_squared_error(predictions: &[f32], targets: &[f32]) -> Result<f32, Error> {
    check_pair("predictions", predictions, targets)?;
    let squares = predictions.iter().zip(targets).map(|(x, t)| (x - t) * (x - t));
    Ok(sum(squares) / predictions.len() as f32)
}

/// Gradient of [`mean_squared_error`] to its predictions, times `d_loss`: `2 (x - t) d_loss / n`.
///
/// # Errors
/// The lengths differ or are zero.
pub fn mean_squared_error_grad(
    predictions: &[f32],
    targets: &[f32],
    d_loss: f32,
    d_predictions: &mut [f32],
) -> Result<(), Error> {
    check_pair("predictions", predictions, targets)?;
    check("prediction gradient", d_predictions, predictions.len())?;
    let scale = 2.0 * d_loss / predictions.len() as f32;
    for ((d, x), t) in d_predictions.iter_mut().zip(predictions).zip(targets) {
        *d = flushed((x - t) * scale);
    }
    Ok(())
}

fn flushed(d: f32) -> f32 {
    Scalar.flush(d, LEAST)
}

fn log_sum_exp(x: &[f32]) -> f32 {
    let max = row_max(x);
    max + libm::logf(sum(x.iter().map(|&x| libm::expf(x - max))))
}

fn check_rows(rows: usize, columns: usize, logits: &[f32], targets: &[f32]) -> Result<(), Error> {
    if rows == 0 {
        return Err(Error::ZeroSize { what: "rows" });
    }
    check_matrix("logits", rows, columns, logits)?;
    check_matrix("targets", rows, columns, targets)
}

fn check_pair(what: &'static str, x: &[f32], targets: &[f32]) -> Result<(), Error> {
    if x.is_empty() {
        return Err(Error::ZeroSize { what });
    }
    check("targets", targets, x.len())
}
