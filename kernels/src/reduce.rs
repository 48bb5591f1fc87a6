//! Sums, in an order that depends on the shape and the instruction set alone.

use crate::error::{check, elements};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

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
    fn run<S: Simd>(self, simd: S) {
        let columns = self.y.len();
        self.y.fill(0.0);
        for first in (0..self.rows).step_by(ROWS) {
            let rows = first..self.rows.min(first + ROWS);
            let mut column = 0;
            while column < columns {
                let n = S::LANES.min(columns - column);
                // Four chains hide the latency of addition.
                let mut sums = [simd.splat(0.0); 4];
                for row in rows.clone() {
                    // SAFETY: `n` elements from this one on are in the same row of the matrix,
                    // whose length was checked.
                    let x = unsafe { simd.load_n(self.x.as_ptr().add(row * columns + column), n) };
                    sums.rotate_left(1);
                    sums[3] = simd.add(sums[3], x);
                }
                let [a, b, c, d] = sums;
                let sum = simd.add(simd.add(a, b), simd.add(c, d));
                // SAFETY: `n` columns from this one on exist.
                unsafe {
                    let slot = self.y.as_mut_ptr().add(column);
                    simd.store_n(slot, simd.add(simd.load_n(slot, n), sum), n);
                }
                column += S::LANES;
            }
        }
    }
}
