//! Softmax over the rows of a matrix.

use crate::Error;
use crate::error::{check, elements};
use crate::pairwise::sum;

/// `y[r][c] = exp(x[r][c]) / Σ exp(x[r])` for `x` of `[rows, columns]`, with the row's maximum
/// taken off first so that nothing overflows. A NaN makes its whole row NaN.
///
/// # Errors
/// A slice's length differs from its shape's, or `columns` is zero.
///
/// ```
/// let mut y = [0.0; 2];
/// bantam_kernels::softmax::forward(1, 2, &[1000.0, 1000.0], &mut y)?;
/// assert_eq!(y, [0.5, 0.5]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn forward(rows: usize, columns: usize, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check_matrix("input", rows, columns, x)?;
    check_matrix("output", rows, columns, y)?;
    for (x, y) in x.chunks_exact(columns).zip(y.chunks_exact_mut(columns)) {
        let max = row_max(x);
        let total = sum(y.iter_mut().zip(x).map(|(y, &x)| {
            *y = libm::expf(x - max);
            *y
        }));
        for y in y {
            *y /= total;
        }
    }
    Ok(())
}

/// Gradient of [`forward`] to its input, from its output `y` and the gradient `d_y`, both
/// `[rows, columns]`: `d_x = y * (d_y - Σ d_y y)`.
///
/// # Errors
/// A slice's length differs from its shape's, or `columns` is zero.
pub fn grad(rows: usize, columns: usize, y: &[f32], d_y: &[f32], d_x: &mut [f32]) -> Result<(), Error> {
    check_matrix("output", rows, columns, y)?;
    check_matrix("output gradient", rows, columns, d_y)?;
    check_matrix("input gradient", rows, columns, d_x)?;
    let rows = y.chunks_exact(columns).zip(d_y.chunks_exact(columns)).zip(d_x.chunks_exact_mut(columns));
    for ((y, d_y), d_x) in rows {
        let dot = sum(y.iter().zip(d_y).map(|(y, d_y)| y * d_y));
        for ((d_x, y), d_y) in d_x.iter_mut().zip(y).zip(d_y) {
            *d_x = y * (d_y - dot);
        }
    }
    Ok(())
}

/// The largest element, or NaN if there is one.
pub(crate) fn row_max(row: &[f32]) -> f32 {
    row.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max || x.is_nan() { x } else { max })
}

#[inline(never)] // One copy, for flash.
pub(crate) fn check_matrix(what: &'static str, rows: usize, columns: usize, x: &[f32]) -> Result<(), Error> {
    if columns == 0 {
        return Err(Error::ZeroSize { what: "columns" });
    }
    check(what, x, elements(what, &[rows, columns])?)
}
