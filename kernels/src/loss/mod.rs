//! Losses, each the weighted mean over its batch, and their gradients. Their sums are pairwise: rounding errors grow with
//! the logarithm of a batch's size. Gradients no larger than 2⁻¹⁰⁰ are zero, so that no backward pass meets subnormal
//! numbers, with which many CPUs take a hundred times as long.
//!
//! A loss is a value, and so a program has the code of those that it names. Some measure each output by itself, some a row.

mod classes;
mod elements;
mod sides;

pub use classes::{CategoricalFocal, CategoricalHinge, CrossEntropy, KullbackLeibler};
pub use elements::{Huber, LogCosh, MeanAbsoluteError, MeanSquaredError, Poisson};
pub use sides::{BinaryCrossEntropy, BinaryFocal, Hinge, SquaredHinge};

use crate::Error;
use crate::error::check;
use crate::pairwise::sum;
use crate::simd::{LEAST, Scalar, Simd};
use crate::softmax::check_matrix;

/// Keras's: probabilities are kept this far from 0 and 1 where a logarithm is taken of them.
pub const EPSILON: f32 = 1e-7;

/// A loss of each output by itself.
pub trait Elementwise {
    /// Of output `x` where `t` is wanted.
    fn cost(&self, x: f32, t: f32) -> f32;

    /// Its derivative to `x`.
    fn slope(&self, x: f32, t: f32) -> f32;
}

/// A loss of a row of outputs.
pub trait Rowwise {
    /// Of outputs `x` where `t` are wanted.
    fn cost(&self, x: &[f32], t: &[f32]) -> f32;

    /// Writes its derivatives to `x`, each times `scale`.
    fn slopes(&self, x: &[f32], t: &[f32], scale: f32, d: &mut [f32]);
}

/// What is measured: outputs and targets of `[rows, columns]`, and what each row counts.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// Outputs of a row.
    pub columns: usize,
    /// What a model gave.
    pub outputs: &'a [f32],
    /// What was wanted.
    pub targets: &'a [f32],
    /// The weight of a row; a row of weight 0 costs nothing, whatever its outputs are.
    pub weight: &'a dyn Fn(usize) -> f32,
}

impl<'a> Rows<'a> {
    /// Rows of one weight.
    pub fn new(columns: usize, outputs: &'a [f32], targets: &'a [f32]) -> Rows<'a> {
        Rows { columns, outputs, targets, weight: &|_| 1.0 }
    }

    /// How many there are.
    fn count(&self) -> Result<usize, Error> {
        if self.columns == 0 {
            return Err(Error::ZeroSize { what: "columns" });
        }
        if self.outputs.is_empty() {
            return Err(Error::ZeroSize { what: "rows" });
        }
        let rows = self.outputs.len() / self.columns;
        check_matrix("outputs", rows, self.columns, self.outputs)?;
        check("targets", self.targets, self.outputs.len())?;
        Ok(rows)
    }

    /// Each row's weight, outputs and targets.
    fn each(&self) -> impl Iterator<Item = (f32, &'a [f32], &'a [f32])> {
        let rows = self.outputs.chunks_exact(self.columns).zip(self.targets.chunks_exact(self.columns));
        rows.enumerate().map(|(row, (x, t))| ((self.weight)(row), x, t))
    }
}

/// The mean over all outputs of a loss of each by itself, times its row's weight.
///
/// # Errors
/// A slice's length is not that of whole rows, or a size is zero.
///
/// ```
/// use bantam_kernels::loss::{self, MeanSquaredError, Rows};
/// let loss = loss::of_elements(&MeanSquaredError, &Rows::new(2, &[1.0, 2.0], &[1.0, 5.0]))?;
/// assert_eq!(loss, 4.5);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn of_elements(loss: &impl Elementwise, rows: &Rows<'_>) -> Result<f32, Error> {
    rows.count()?;
    let costs = rows.each().flat_map(|(weight, x, t)| {
        let cost = move |(&x, &t): (&f32, &f32)| if weight == 0.0 { 0.0 } else { weight * loss.cost(x, t) };
        x.iter().zip(t).map(cost)
    });
    Ok(sum(costs) / rows.outputs.len() as f32)
}

/// Gradient of [`of_elements`] to the outputs, times `d_loss`.
///
/// # Errors
/// As [`of_elements`].
pub fn of_elements_grad(
    loss: &impl Elementwise,
    rows: &Rows<'_>,
    d_loss: f32,
    d_outputs: &mut [f32],
) -> Result<(), Error> {
    rows.count()?;
    check("output gradient", d_outputs, rows.outputs.len())?;
    let scale = d_loss / rows.outputs.len() as f32;
    for ((weight, x, t), d) in rows.each().zip(d_outputs.chunks_exact_mut(rows.columns)) {
        let scale = scale * weight;
        for ((d, &x), &t) in d.iter_mut().zip(x).zip(t) {
            *d = if weight == 0.0 { 0.0 } else { flushed(loss.slope(x, t) * scale) };
        }
    }
    Ok(())
}

/// The mean over all rows of a loss of each, times its weight.
///
/// # Errors
/// A slice's length is not that of whole rows, or a size is zero.
///
/// ```
/// use bantam_kernels::loss::{self, CrossEntropy, Rows};
/// let from_logits = CrossEntropy { from_logits: true };
/// let loss = loss::of_rows(&from_logits, &Rows::new(2, &[0.0, 0.0], &[0.0, 1.0]))?;
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn of_rows(loss: &impl Rowwise, rows: &Rows<'_>) -> Result<f32, Error> {
    let count = rows.count()?;
    let costs = rows.each().map(|(weight, x, t)| if weight == 0.0 { 0.0 } else { weight * loss.cost(x, t) });
    Ok(sum(costs) / count as f32)
}

/// Gradient of [`of_rows`] to the outputs, times `d_loss`.
///
/// # Errors
/// As [`of_rows`].
pub fn of_rows_grad(
    loss: &impl Rowwise,
    rows: &Rows<'_>,
    d_loss: f32,
    d_outputs: &mut [f32],
) -> Result<(), Error> {
    let count = rows.count()?;
    check("output gradient", d_outputs, rows.outputs.len())?;
    let scale = d_loss / count as f32;
    for ((weight, x, t), d) in rows.each().zip(d_outputs.chunks_exact_mut(rows.columns)) {
        if weight == 0.0 {
            d.fill(0.0);
            continue;
        }
        loss.slopes(x, t, scale * weight, d);
        d.iter_mut().for_each(|d| *d = flushed(*d));
    }
    Ok(())
}

fn flushed(d: f32) -> f32 {
    Scalar.flush(d, LEAST)
}

/// A probability from [`EPSILON`] to `max`, and whether it was. NaN stays NaN.
fn clipped(p: f32, max: f32) -> (f32, bool) {
    if p < EPSILON {
        (EPSILON, false)
    } else if p > max {
        (max, false)
    } else {
        (p, true)
    }
}

/// `u` to a power of at least 0, of which 0 and 1 are exact.
fn power(u: f32, exponent: f32) -> f32 {
    if exponent == 0.0 { 1.0 } else { libm::powf(u, exponent) }
}
