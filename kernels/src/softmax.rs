//! Softmax over the rows of a matrix, or along any dimension.

use crate::error::{check, elements};
use crate::pairwise::{CHAIN, Pairwise, sum};
use crate::simd::exp::exp;
use crate::simd::{Operation, Scalar, Simd};
use crate::{Error, Isa};

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
    check("output", y, x.len())?;
    y.copy_from_slice(x);
    for row in y.chunks_mut(columns) {
        let max = row_max(row);
        let total = sum(row.iter_mut().map(|y| {
            *y = exp(Scalar, *y - max);
            *y
        }));
        for y in row {
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

/// As [`forward`], along the middle dimension of `x` of `[outer, length, inner]`.
///
/// # Errors
/// A slice's length differs from its shape's, or `length` is zero.
pub fn forward_along(
    isa: Isa,
    [outer, length, inner]: [usize; 3],
    x: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check_along("input", [outer, length, inner], x)?;
    check("output", y, x.len())?;
    isa.run(Along { length, inner, x, y });
    Ok(())
}

/// As [`grad`], along the middle dimension of `[outer, length, inner]`.
///
/// # Errors
/// A slice's length differs from its shape's, or `length` is zero.
pub fn grad_along(
    isa: Isa,
    [outer, length, inner]: [usize; 3],
    y: &[f32],
    d_y: &[f32],
    d_x: &mut [f32],
) -> Result<(), Error> {
    check_along("output", [outer, length, inner], y)?;
    check("output gradient", d_y, y.len())?;
    check("input gradient", d_x, y.len())?;
    isa.run(GradAlong { length, inner, y, d_y, d_x });
    Ok(())
}

fn check_along(what: &'static str, shape: [usize; 3], x: &[f32]) -> Result<(), Error> {
    if shape[1] == 0 {
        return Err(Error::ZeroSize { what: "length" });
    }
    check(what, x, elements(what, &shape)?)
}

struct Along<'a> {
    length: usize,
    inner: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Operation for Along<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Along { length, inner, .. } = self;
        if inner == 0 {
            return;
        }
        let blocks = self.x.chunks_exact(length * inner).zip(self.y.chunks_exact_mut(length * inner));
        for (x, y) in blocks {
            for column in (0..inner).step_by(S::LANES) {
                let n = S::LANES.min(inner - column);
                // SAFETY: a block has `length` rows of `inner` columns, of which `n` from this one on exist.
                unsafe { along(simd, length, inner, n, x.as_ptr().add(column), y.as_mut_ptr().add(column)) };
            }
        }
    }
}

/// `n` columns of a block.
///
/// # Safety
/// `x` can be read and `y` written for `n <= LANES` columns of `length` rows, `inner` from one to the next.
#[inline(always)]
unsafe fn along<S: Simd>(simd: S, length: usize, inner: usize, n: usize, x: *const f32, y: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut max = simd.splat(f32::NEG_INFINITY);
        for row in 0..length {
            max = simd.max_or_nan(max, simd.load_n(x.add(row * inner), n));
        }
        let mut total = Pairwise::<S, 1>::new(simd);
        for first in (0..length).step_by(CHAIN) {
            let mut block = simd.splat(0.0);
            for row in first..length.min(first + CHAIN) {
                let e = exp(simd, simd.sub(simd.load_n(x.add(row * inner), n), max));
                simd.store_n(y.add(row * inner), e, n);
                block = simd.add(block, e);
            }
            total.add(simd, [block]);
        }
        let [total] = total.total(simd);
        for row in 0..length {
            let y = y.add(row * inner);
            simd.store_n(y, simd.div(simd.load_n(y, n), total), n);
        }
    }
}

struct GradAlong<'a> {
    length: usize,
    inner: usize,
    y: &'a [f32],
    d_y: &'a [f32],
    d_x: &'a mut [f32],
}

impl Operation for GradAlong<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let GradAlong { length, inner, .. } = self;
        if inner == 0 {
            return;
        }
        let block = length * inner;
        let blocks = self.y.chunks_exact(block).zip(self.d_y.chunks_exact(block));
        for ((y, d_y), d_x) in blocks.zip(self.d_x.chunks_exact_mut(block)) {
            for column in (0..inner).step_by(S::LANES) {
                let n = S::LANES.min(inner - column);
                // SAFETY: a block has `length` rows of `inner` columns, of which `n` from this one on exist.
                unsafe {
                    let from = [y.as_ptr().add(column), d_y.as_ptr().add(column)];
                    grad_columns(simd, length, inner, n, from, d_x.as_mut_ptr().add(column));
                }
            }
        }
    }
}

/// `n` columns of a block.
///
/// # Safety
/// `y` and `d_y` can be read and `d_x` written for `n <= LANES` columns of `length` rows, `inner` from one to the next.
#[inline(always)]
unsafe fn grad_columns<S: Simd>(
    simd: S,
    length: usize,
    inner: usize,
    n: usize,
    [y, d_y]: [*const f32; 2],
    d_x: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut dot = Pairwise::<S, 1>::new(simd);
        for first in (0..length).step_by(CHAIN) {
            let mut block = simd.splat(0.0);
            for row in first..length.min(first + CHAIN) {
                let y = simd.load_n(y.add(row * inner), n);
                block = simd.mul_add(y, simd.load_n(d_y.add(row * inner), n), block);
            }
            dot.add(simd, [block]);
        }
        let [dot] = dot.total(simd);
        for row in 0..length {
            let difference = simd.sub(simd.load_n(d_y.add(row * inner), n), dot);
            let product = simd.mul(simd.load_n(y.add(row * inner), n), difference);
            simd.store_n(d_x.add(row * inner), product, n);
        }
    }
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
