//! Pairwise sums, in an order that depends on the shape and the instruction set alone: rounding errors grow with
//! the logarithm of their length.

use crate::error::{check, elements};
use crate::pairwise::{CHAIN, Pairwise};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};
use core::ops::Range;

/// The sum of all elements.
///
/// ```
/// use bantam_kernels::{Isa, reduce};
/// assert_eq!(reduce::sum(Isa::detect(), &[1.0, 2.0, 3.0]), 6.0);
/// ```
pub fn sum(isa: Isa, x: &[f32]) -> f32 {
    isa.run(Sum::<false> { x })
}

/// The sum of all elements' squares; those of elements no larger than 2⁻⁶³ are zero.
pub fn sum_squares(isa: Isa, x: &[f32]) -> f32 {
    isa.run(Sum::<true> { x })
}

/// `l1 Σ|x| + l2 Σx²`: what regularisation adds to a loss.
///
/// ```
/// use bantam_kernels::{Isa, reduce};
/// assert_eq!(reduce::penalty(Isa::detect(), [1.0, 0.5], &[-1.0, 2.0]), 5.5);
/// ```
pub fn penalty(isa: Isa, l1_l2: [f32; 2], x: &[f32]) -> f32 {
    isa.run(Penalty { l1_l2, x })
}

struct Penalty<'a> {
    l1_l2: [f32; 2],
    x: &'a [f32],
}

impl Operation for Penalty<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let columns = 0..self.x.len();
        // SAFETY: the terms are as many as the elements.
        unsafe { row_sum(simd, &self, columns) }
    }
}

impl Terms for Penalty<'_> {
    #[inline(always)]
    unsafe fn load_n<S: Simd>(&self, simd: S, _: usize, column: usize, n: usize) -> S::Vector {
        // SAFETY: the caller's promise.
        let x = unsafe { simd.load_n(self.x.as_ptr().add(column), n) };
        let size = simd.max(simd.sub(simd.splat(0.0), x), x);
        let [l1, l2] = [simd.splat(self.l1_l2[0]), simd.splat(self.l1_l2[1])];
        simd.mul(size, simd.mul_add(size, l2, l1))
    }
}

/// The sum of each column of `x`, `[rows, columns]`, into `y`, `[columns]`: the gradient to a bias.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn sum_rows(isa: Isa, rows: usize, columns: usize, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check("matrix", x, elements("matrix", &[rows, columns])?)?;
    check("column sums", y, columns)?;
    isa.run(Columns { rows, x, y });
    Ok(())
}

struct Sum<'a, const SQUARES: bool> {
    x: &'a [f32],
}

impl<const SQUARES: bool> Sum<'_, SQUARES> {
    #[inline(always)]
    fn add<S: Simd>(simd: S, sum: S::Vector, x: S::Vector) -> S::Vector {
        if SQUARES {
            // No square is a subnormal number, which many CPUs are slow with.
            let x = simd.flush(x, simd.splat(LEAST_ROOT));
            simd.add(sum, simd.mul(x, x))
        } else {
            simd.add(sum, x)
        }
    }
}

/// 2⁻⁶³, whose square is a normal number.
const LEAST_ROOT: f32 = 1.0 / (1u64 << 63) as f32;

impl<const SQUARES: bool> Operation for Sum<'_, SQUARES> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut total = Pairwise::<S, 1>::new(simd);
        for block in self.x.chunks(4 * CHAIN * S::LANES) {
            // Four chains hide the latency of addition.
            let mut sums = [simd.splat(0.0); 4];
            let mut groups = block.chunks_exact(4 * S::LANES);
            for group in &mut groups {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: a group has four vectors.
                    let x = unsafe { simd.load(group.as_ptr().add(v * S::LANES)) };
                    *sum = Self::add(simd, *sum, x);
                }
            }
            for (rest, sum) in groups.remainder().chunks(S::LANES).zip(&mut sums) {
                // SAFETY: a chunk has at most as many elements as there are lanes.
                let x = unsafe { simd.load_n(rest.as_ptr(), rest.len()) };
                *sum = Self::add(simd, *sum, x);
            }
            let [a, b, c, d] = sums;
            total.add(simd, [simd.add(simd.add(a, b), simd.add(c, d))]);
        }
        let [total] = total.total(simd);
        simd.reduce_add(total)
    }
}

/// The sums of a matrix's columns.
struct Columns<'a> {
    rows: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Operation for Columns<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let terms = Matrix { x: self.x, columns: self.y.len() };
        // SAFETY: `sum_rows` checked the length of `x`.
        unsafe { SumRows { rows: self.rows, terms, y: self.y }.run(simd) };
    }
}

pub(crate) struct Matrix<'a> {
    pub x: &'a [f32],
    pub columns: usize,
}

impl Terms for Matrix<'_> {
    #[inline(always)]
    unsafe fn load_n<S: Simd>(&self, simd: S, row: usize, column: usize, n: usize) -> S::Vector {
        // SAFETY: the caller's promise.
        unsafe { simd.load_n(self.x.as_ptr().add(row * self.columns + column), n) }
    }
}

/// The terms of the columns' sums.
pub(crate) trait Terms {
    /// # Safety
    /// The row exists, and `n <= LANES` columns of it from that one on.
    unsafe fn load_n<S: Simd>(&self, simd: S, row: usize, column: usize, n: usize) -> S::Vector;
}

impl<T: Terms> Terms for &T {
    #[inline(always)]
    unsafe fn load_n<S: Simd>(&self, simd: S, row: usize, column: usize, n: usize) -> S::Vector {
        // SAFETY: the caller's promise.
        unsafe { T::load_n(self, simd, row, column, n) }
    }
}

/// The sum of some columns of the first row of terms.
///
/// # Safety
/// There are such columns.
#[inline(always)]
pub(crate) unsafe fn row_sum<S: Simd>(simd: S, terms: &impl Terms, columns: Range<usize>) -> f32 {
    let mut total = Pairwise::<S, 1>::new(simd);
    let mut next = columns.start;
    while next < columns.end {
        let end = columns.end.min(next + 4 * CHAIN * S::LANES);
        // Four chains hide the latency of addition.
        let mut sums = [simd.splat(0.0); 4];
        while next + 4 * S::LANES <= end {
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                let x = unsafe { terms.load_n(simd, 0, next + v * S::LANES, S::LANES) };
                *sum = simd.add(*sum, x);
            }
            next += 4 * S::LANES;
        }
        for sum in &mut sums {
            let n = S::LANES.min(end - next);
            if n > 0 {
                // SAFETY: the caller's promise.
                *sum = simd.add(*sum, unsafe { terms.load_n(simd, 0, next, n) });
                next += n;
            }
        }
        let [a, b, c, d] = sums;
        total.add(simd, [simd.add(simd.add(a, b), simd.add(c, d))]);
    }
    let [total] = total.total(simd);
    simd.reduce_add(total)
}

/// The sum of each column of `rows` rows of terms into `y`, which is as long as a row.
pub(crate) struct SumRows<'a, T> {
    pub rows: usize,
    pub terms: T,
    pub y: &'a mut [f32],
}

impl<T: Terms> SumRows<'_, T> {
    /// # Safety
    /// There are so many rows of terms, each as long as `y`.
    #[inline(always)]
    pub unsafe fn run<S: Simd>(mut self, simd: S) {
        let columns = self.y.len();
        let whole = columns / S::LANES;
        let mut vector = 0;
        // SAFETY: the caller's promise; these columns exist.
        unsafe {
            while vector + 4 <= whole {
                self.sum::<S, 4, 1>(simd, vector * S::LANES, S::LANES);
                vector += 4;
            }
            // Half as many times through memory as one by one.
            if vector + 2 <= whole {
                self.sum::<S, 2, 2>(simd, vector * S::LANES, S::LANES);
                vector += 2;
            }
            if vector < whole {
                self.sum::<S, 1, 4>(simd, vector * S::LANES, S::LANES);
            }
            let rest = columns - whole * S::LANES;
            if rest > 0 {
                self.sum::<S, 1, 4>(simd, whole * S::LANES, rest);
            }
        }
    }

    /// The sums of `V` vectors of columns, `n` in each, in `R` chains a vector: four in all hide the
    /// latency of addition.
    ///
    /// # Safety
    /// As [`run`](Self::run). `V * n` columns from `column` on exist; `n` is `LANES`, or `V` is 1.
    #[inline(always)]
    unsafe fn sum<S: Simd, const V: usize, const R: usize>(&mut self, simd: S, column: usize, n: usize) {
        let mut total = Pairwise::<S, V>::new(simd);
        let mut next = 0;
        while next < self.rows {
            let end = self.rows.min(next + R * CHAIN);
            let mut sums = [[simd.splat(0.0); V]; R];
            while next < end {
                for (row, sums) in (next..end).zip(&mut sums) {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: the caller's promise.
                        let x = unsafe { self.terms.load_n(simd, row, column + v * S::LANES, n) };
                        *sum = simd.add(*sum, x);
                    }
                }
                next += R;
            }
            let mut block = sums[0];
            for chain in &sums[1..] {
                for (sum, &x) in block.iter_mut().zip(chain) {
                    *sum = simd.add(*sum, x);
                }
            }
            total.add(simd, block);
        }
        for (v, sum) in total.total(simd).into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { simd.store_n(self.y.as_mut_ptr().add(column + v * S::LANES), sum, n) };
        }
    }
}
