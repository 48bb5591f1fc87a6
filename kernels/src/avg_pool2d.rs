//! Mean over windows of an image `[N, H, W, C]`, channel by channel, padding left out unless it is to
//! [count](Windows::count_padding). A window as large as the image gives the global average pool.

use crate::error::check;
use crate::pairwise::{CHAIN, Pairwise};
use crate::pool2d::{Sweep, Visitor, Window, live};
use crate::simd::Simd;
use crate::{Error, Isa};
use core::ops::Range;

pub use crate::pool2d::{Geometry, Windows};

/// The mean of each window: `[N, H, W, C]` to `[N, OH, OW, C]`.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn forward(isa: Isa, geometry: &Geometry, input: &[f32], output: &mut [f32]) -> Result<(), Error> {
    check("input", input, geometry.input().iter().product())?;
    check("output", output, geometry.output().iter().product())?;
    Sweep { geometry, visitor: Mean { input, output, divisor: 1.0 } }.run_on(isa);
    Ok(())
}

/// Gradient of the pool to its input: each output's gradient in equal shares to the cells of its
/// window. `d_input` is overwritten.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn grad_input(isa: Isa, geometry: &Geometry, d_output: &[f32], d_input: &mut [f32]) -> Result<(), Error> {
    check("output gradient", d_output, geometry.output().iter().product())?;
    check("input gradient", d_input, geometry.input().iter().product())?;
    geometry.clear_unseen(d_input);
    if geometry.overlaps() {
        Sweep { geometry, visitor: Share::<true> { d_output, d_input, divisor: 1.0 } }.run_on(isa);
    } else {
        Sweep { geometry, visitor: Share::<false> { d_output, d_input, divisor: 1.0 } }.run_on(isa);
    }
    Ok(())
}

struct Mean<'a> {
    input: &'a [f32],
    output: &'a mut [f32],
    /// What sums are divided by.
    divisor: f32,
}

impl Visitor for Mean<'_> {
    #[inline(always)]
    fn begin(&mut self, geometry: &Geometry, position: [usize; 2], inside: [usize; 2]) {
        self.divisor = geometry.divisor(position, inside);
    }

    #[inline(always)]
    unsafe fn visit<S: Simd, const V: usize>(&mut self, simd: S, window: Window, last: usize) {
        let [rows, columns] = window.len;
        let sums = if rows * columns <= CHAIN {
            let mut sums = [simd.splat(0.0); V];
            for row in 0..rows {
                // SAFETY: the caller's promise.
                unsafe { self.add::<S, V>(simd, &mut sums, &window, row, 0..columns, last) };
            }
            sums
        } else {
            let mut total = Pairwise::<S, V>::new(simd);
            for row in 0..rows {
                for first in (0..columns).step_by(CHAIN) {
                    let mut sums = [simd.splat(0.0); V];
                    let some = first..columns.min(first + CHAIN);
                    // SAFETY: the caller's promise.
                    unsafe { self.add::<S, V>(simd, &mut sums, &window, row, some, last) };
                    total.add(simd, sums);
                }
            }
            total.total(simd)
        };
        for (v, &sum) in sums.iter().enumerate() {
            let mean = simd.div(sum, simd.splat(self.divisor));
            // SAFETY: the caller's promise.
            unsafe {
                let output = self.output.as_mut_ptr().add(window.output + v * S::LANES);
                simd.store_n(output, mean, live::<S, V>(v, last));
            }
        }
    }
}

impl Mean<'_> {
    /// Adds the cells of some columns of a row to the sums of their channels.
    ///
    /// # Safety
    /// As [`Visitor::visit`]; the row and the columns are the window's.
    #[inline(always)]
    unsafe fn add<S: Simd, const V: usize>(
        &self,
        simd: S,
        sums: &mut [S::Vector; V],
        window: &Window,
        row: usize,
        columns: Range<usize>,
        last: usize,
    ) {
        for column in columns {
            let cell = self.input.as_ptr().wrapping_add(window.cell(row, column));
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                let x = unsafe { simd.load_n(cell.add(v * S::LANES), live::<S, V>(v, last)) };
                *sum = simd.add(*sum, x);
            }
        }
    }
}

/// `ADD`: windows overlap, so that a cell may get more than one output's gradient.
struct Share<'a, const ADD: bool> {
    d_output: &'a [f32],
    d_input: &'a mut [f32],
    divisor: f32,
}

impl<const ADD: bool> Visitor for Share<'_, ADD> {
    #[inline(always)]
    fn begin(&mut self, geometry: &Geometry, position: [usize; 2], inside: [usize; 2]) {
        self.divisor = geometry.divisor(position, inside);
    }

    #[inline(always)]
    unsafe fn visit<S: Simd, const V: usize>(&mut self, simd: S, window: Window, last: usize) {
        for v in 0..V {
            let n = live::<S, V>(v, last);
            // SAFETY: the caller's promise.
            let d = unsafe { simd.load_n(self.d_output.as_ptr().add(window.output + v * S::LANES), n) };
            let share = simd.div(d, simd.splat(self.divisor));
            for row in 0..window.len[0] {
                for column in 0..window.len[1] {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let slot = self.d_input.as_mut_ptr().add(window.cell(row, column) + v * S::LANES);
                        let sum = if ADD { simd.add(simd.load_n(slot, n), share) } else { share };
                        simd.store_n(slot, sum, n);
                    }
                }
            }
        }
    }
}
