//! Sums, in an order that depends on the shape and the instruction set alone.

use crate::error::{check, elements};
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
    isa.run(Sum { x })
}

/// The sum of each column of `x`, `[rows, columns]`, into `y`, `[columns]`: the gradient to a bias.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn sum_rows(isa: Isa, rows: usize, columns: usize, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check("matrix", x, elements("matrix", &[rows, columns])?)?;
    check("column sums", y, columns)?;
    isa.run(SumRows { rows, x, y });
    Ok(())
}

/// Elements that are added up in registers before their sum is added to the total, so that the
/// error grows with their number and the number of blocks, not with their product.
const BLOCK: usize = 4096;

struct Sum<'a> {
    x: &'a [f32],
}

impl Operation for Sum<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut total = 0.0;
        for block in self.x.chunks(BLOCK) {
            let mut sums = [simd.splat(0.0); 4];
            let mut groups = block.chunks_exact(4 * S::LANES);
            for group in &mut groups {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: a group has four vectors.
                    *sum = simd.add(*sum, unsafe { simd.load(group.as_ptr().add(v * S::LANES)) });
                }
            }
            for rest in groups.remainder().chunks(S::LANES) {
                // SAFETY: a chunk has at most as many elements as there are lanes.
                sums[0] = simd.add(sums[0], unsafe { simd.load_n(rest.as_ptr(), rest.len()) });
            }
            let [a, b, c, d] = sums;
            total += simd.reduce_add(simd.add(simd.add(a, b), simd.add(c, d)));
        }
        total
    }
}

/// Rows whose sum is taken in registers at a time.
const ROWS: usize = 256;

struct SumRows<'a> {
    rows: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Operation for SumRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let columns = self.y.len();
        let whole = columns / S::LANES;
        self.y.fill(0.0);
        for first in (0..self.rows).step_by(ROWS) {
            let rows = first..self.rows.min(first + ROWS);
            let mut vector = 0;
            // SAFETY: these columns exist.
            unsafe {
                while vector + 4 <= whole {
                    self.add::<S, 4, 1>(simd, rows.clone(), vector * S::LANES, S::LANES);
                    vector += 4;
                }
                while vector < whole {
                    self.add::<S, 1, 4>(simd, rows.clone(), vector * S::LANES, S::LANES);
                    vector += 1;
                }
                let rest = columns - whole * S::LANES;
                if rest > 0 {
                    self.add::<S, 1, 4>(simd, rows, whole * S::LANES, rest);
                }
            }
        }
    }
}

impl SumRows<'_> {
    /// Adds `rows` of `V` vectors of columns, `n` in each, to their sums, in `R` chains a vector:
    /// four in all hide the latency of addition.
    ///
    /// # Safety
    /// `V * n` columns from `column` on exist; `n` is `LANES`, or `V` is 1.
    #[inline(always)]
    unsafe fn add<S: Simd, const V: usize, const R: usize>(
        &mut self,
        simd: S,
        rows: Range<usize>,
        column: usize,
        n: usize,
    ) {
        let columns = self.y.len();
        let mut sums = [[simd.splat(0.0); V]; R];
        let mut next = rows.start;
        while next < rows.end {
            for (row, sums) in (next..rows.end).zip(&mut sums) {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise; the length of `x` was checked.
                    let x =
                        unsafe { simd.load_n(self.x.as_ptr().add(row * columns + column + v * S::LANES), n) };
                    *sum = simd.add(*sum, x);
                }
            }
            next += R;
        }
        for v in 0..V {
            let mut sum = sums[0][v];
            for chain in &sums[1..] {
                sum = simd.add(sum, chain[v]);
            }
            // SAFETY: the caller's promise.
            unsafe {
                let slot = self.y.as_mut_ptr().add(column + v * S::LANES);
                simd.store_n(slot, simd.add(simd.load_n(slot, n), sum), n);
            }
        }
    }
}
