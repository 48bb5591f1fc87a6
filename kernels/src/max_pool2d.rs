//! Maximum over windows of an image `[N, H, W, C]`, channel by channel.
//!
//! Padded places are never the maximum. A window that holds a NaN gives NaN, and its gradient goes
//! to the first one. Of equal maxima the first in row-major order wins.

use crate::conv2d::Activation;
use crate::error::check;
use crate::pool2d::{Sweep, Visitor, Window, live};
use crate::simd::Simd;
use crate::{Error, Isa};

pub use crate::pool2d::{Geometry, Windows};

/// The maximum of each window and an activation: `[N, H, W, C]` to `[N, OH, OW, C]`.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn forward(
    isa: Isa,
    geometry: &Geometry,
    activation: Activation,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), Error> {
    check("input", input, geometry.input().iter().product())?;
    check("output", output, geometry.output().iter().product())?;
    Sweep { geometry, visitor: Maximum { activation, input, output } }.run_on(isa);
    Ok(())
}

/// Bytes of the argmax that [`forward_argmax`] writes: one an output.
///
/// # Errors
/// The window has more than 256 cells, whose index a byte cannot hold.
pub fn argmax_len(geometry: &Geometry) -> Result<usize, Error> {
    let [rows, columns] = geometry.axes.map(|axis| axis.window);
    match rows.saturating_mul(columns) {
        0..=256 => Ok(geometry.output().iter().product()),
        got => Err(Error::OutOfRange { what: "window cells", max: 256, got }),
    }
}

/// As [`forward`], and for each output the index in its window, row by row, of the cell that it
/// came from.
///
/// # Errors
/// A slice's length differs from the geometry's, or as [`argmax_len`].
pub fn forward_argmax(
    isa: Isa,
    geometry: &Geometry,
    activation: Activation,
    input: &[f32],
    output: &mut [f32],
    argmax: &mut [u8],
) -> Result<(), Error> {
    check("input", input, geometry.input().iter().product())?;
    check("output", output, geometry.output().iter().product())?;
    check("argmax", argmax, argmax_len(geometry)?)?;
    Sweep { geometry, visitor: MaximumAndIndex { activation, input, output, argmax } }.run_on(isa);
    Ok(())
}

/// Gradient of the pool, without an activation, to its input: each output's gradient goes to the
/// cell that `argmax` names. `d_input` is overwritten. An index outside its window, which
/// [`forward_argmax`] never writes, adds to nothing.
///
/// # Errors
/// A slice's length differs from the geometry's, or as [`argmax_len`].
pub fn grad_input(
    isa: Isa,
    geometry: &Geometry,
    d_output: &[f32],
    argmax: &[u8],
    d_input: &mut [f32],
) -> Result<(), Error> {
    check("output gradient", d_output, geometry.output().iter().product())?;
    check("argmax", argmax, argmax_len(geometry)?)?;
    check("input gradient", d_input, geometry.input().iter().product())?;
    geometry.clear_unseen(d_input);
    if geometry.overlaps() {
        Sweep { geometry, visitor: Distribute::<true> { d_output, argmax, d_input } }.run_on(isa);
    } else {
        Sweep { geometry, visitor: Distribute::<false> { d_output, argmax, d_input } }.run_on(isa);
    }
    Ok(())
}

#[inline(always)]
fn index<S: Simd>(simd: S, window: &Window, row: usize, column: usize) -> S::Vector {
    simd.splat(f32::from(window.index(row, column) as u8))
}

struct Maximum<'a> {
    activation: Activation,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Visitor for Maximum<'_> {
    #[inline(always)]
    unsafe fn visit<S: Simd, const V: usize>(&mut self, simd: S, window: Window, last: usize) {
        let mut best = [simd.splat(f32::NEG_INFINITY); V];
        let mut row = self.input.as_ptr().wrapping_add(window.cell(0, 0));
        for _ in 0..window.len[0] {
            let mut cell = row;
            for _ in 0..window.len[1] {
                for (v, best) in best.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    let x = unsafe { simd.load_n(cell.add(v * S::LANES), live::<S, V>(v, last)) };
                    *best = simd.max_or_nan(x, *best);
                }
                cell = cell.wrapping_add(window.step);
            }
            row = row.wrapping_add(window.pitch);
        }
        self.activation.apply(simd, &mut best);
        for (v, &best) in best.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let output = self.output.as_mut_ptr().add(window.output + v * S::LANES);
                simd.store_n(output, best, live::<S, V>(v, last));
            }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    unsafe fn visit_run<S: Simd>(&mut self, _: S, mut window: Window, count: usize, stride: usize) -> bool {
        let floor = match self.activation {
            Activation::None => f32::NEG_INFINITY,
            Activation::Relu => 0.0,
            Activation::Relu6 => return false,
        };
        if window.len != [2, 2] {
            return false;
        }
        for _ in 0..count {
            let [a, b, c, d] = [(0, 0), (0, 1), (1, 0), (1, 1)]
                .map(|(row, column)| self.input.as_ptr().wrapping_add(window.cell(row, column)));
            // SAFETY: the caller's promise; no shape has zero channels.
            unsafe {
                let output = self.output.as_mut_ptr().add(window.output);
                crate::simd::vfp::largest_of_four(a, b, c, d, window.channels, output, floor);
            }
            window.advance(stride);
        }
        true
    }

    #[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
    #[inline(always)]
    unsafe fn visit_run<S: Simd>(&mut self, simd: S, window: Window, count: usize, stride: usize) -> bool {
        if window.step != window.channels {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe {
            match (window.len, stride) {
                ([2, 2], 2) if S::LANES == LINE && window.channels.is_multiple_of(4 * LINE) => {
                    self.side_by_side(simd, window, count);
                }
                ([3, 3], 1) if S::LANES > 1 => self.overlapping::<S, 1>(simd, window, count),
                ([3, 3], 2) if S::LANES > 1 => self.overlapping::<S, 2>(simd, window, count),
                _ => return false,
            }
        }
        true
    }

    // Where windows overlap, a row should still be in the first-level cache when the next windows see it.
    // In narrower strips that costs more than it saves.
    #[inline(always)]
    fn strip<S: Simd>(&self, _: S, geometry: &Geometry) -> usize {
        let [vertical, horizontal] = geometry.axes;
        if S::LANES == 1 || !geometry.overlaps() {
            return horizontal.output;
        }
        let row = horizontal.stride * geometry.input()[3] * size_of::<f32>();
        let strip = STRIP_BYTES / (vertical.window * row);
        if strip >= 8 { strip } else { horizontal.output }
    }
}

/// Of the input that a strip's windows of one row see: three quarters of a first-level cache.
const STRIP_BYTES: usize = 24 << 10;

/// Elements of a cache line.
#[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
const LINE: usize = 16;

/// How far ahead of its use the input of 2×2 windows is asked for.
#[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
const AHEAD: usize = 48 * LINE;

#[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
impl Maximum<'_> {
    /// 2×2 windows side by side, four vectors of channels at a time, where a vector is a cache line. Each
    /// number is used once, so that reading is what there is to wait for. With half a line in a vector it
    /// took longer.
    ///
    /// # Safety
    /// All channels of each window's output exist, and of each of its cells; they are a multiple of four
    /// vectors.
    #[inline(always)]
    unsafe fn side_by_side<S: Simd>(&mut self, simd: S, window: Window, count: usize) {
        let mut output = self.output.as_mut_ptr().wrapping_add(window.output);
        let mut cell = self.input.as_ptr().wrapping_add(window.cell(0, 0));
        for _ in 0..count {
            for _ in 0..window.channels / (4 * S::LANES) {
                let mut best = [simd.splat(0.0); 4];
                for best in &mut best {
                    let right = cell.wrapping_add(window.channels);
                    let below = cell.wrapping_add(window.pitch);
                    let last = below.wrapping_add(window.channels);
                    for cell in [cell, right, below, last] {
                        simd.prefetch_l1(cell.wrapping_add(AHEAD));
                    }
                    // SAFETY: the caller's promise.
                    unsafe {
                        *best = simd.max_or_nan(simd.load(right), simd.load(cell));
                        *best = simd.max_or_nan(simd.load(below), *best);
                        *best = simd.max_or_nan(simd.load(last), *best);
                    }
                    cell = cell.wrapping_add(S::LANES);
                }
                self.activation.apply(simd, &mut best);
                for best in best {
                    // SAFETY: the caller's promise.
                    unsafe { simd.store(output, best) };
                    output = output.wrapping_add(S::LANES);
                }
            }
            cell = cell.wrapping_add(window.channels);
        }
    }

    /// 3×3 windows that overlap: a column's maximum serves all windows that see it.
    ///
    /// # Safety
    /// All channels of each window's output exist, and of each of its cells.
    #[inline(always)]
    unsafe fn overlapping<S: Simd, const STRIDE: usize>(&mut self, simd: S, window: Window, count: usize) {
        let mut channel = 0;
        // SAFETY: the caller's promise; `window.channels - channel` channels are left.
        unsafe {
            while window.channels - channel >= 4 * S::LANES {
                self.columns::<S, STRIDE, 4>(simd, window, channel, S::LANES, count);
                channel += 4 * S::LANES;
            }
            if window.channels - channel >= 2 * S::LANES {
                self.columns::<S, STRIDE, 2>(simd, window, channel, S::LANES, count);
                channel += 2 * S::LANES;
            }
            // Where part of a vector takes several instructions, there is one copy of them.
            if S::MASKS && window.channels - channel >= S::LANES {
                self.columns::<S, STRIDE, 1>(simd, window, channel, S::LANES, count);
                channel += S::LANES;
            }
            while window.channels > channel {
                let n = S::LANES.min(window.channels - channel);
                self.columns::<S, STRIDE, 1>(simd, window, channel, n, count);
                channel += n;
            }
        }
    }

    /// # Safety
    /// As [`overlapping`](Self::overlapping); `V` vectors from `channel` on exist, of the last one `last`
    /// elements.
    #[inline(always)]
    unsafe fn columns<S: Simd, const STRIDE: usize, const V: usize>(
        &mut self,
        simd: S,
        window: Window,
        channel: usize,
        last: usize,
        count: usize,
    ) {
        let mut cell = self.input.as_ptr().wrapping_add(window.cell(0, 0) + channel);
        let mut output = self.output.as_mut_ptr().wrapping_add(window.output + channel);
        let mut columns = [[simd.splat(0.0); V]; 3];
        // SAFETY: the caller's promise. A window sees the columns that the one before it left, and `STRIDE`
        // more.
        unsafe {
            for column in &mut columns[STRIDE..] {
                *column = column_of_3(simd, cell, window.pitch, last);
                cell = cell.wrapping_add(window.channels);
            }
            for _ in 0..count {
                for _ in 0..STRIDE {
                    columns = [columns[1], columns[2], column_of_3(simd, cell, window.pitch, last)];
                    cell = cell.wrapping_add(window.channels);
                }
                let mut best = columns[0];
                for v in 0..V {
                    best[v] = simd.max_or_nan(columns[1][v], best[v]);
                    best[v] = simd.max_or_nan(columns[2][v], best[v]);
                }
                self.activation.apply(simd, &mut best);
                for (v, &best) in best.iter().enumerate() {
                    simd.store_n(output.add(v * S::LANES), best, live::<S, V>(v, last));
                }
                output = output.wrapping_add(window.channels);
            }
        }
    }
}

/// The maximum of three cells, one below the other.
///
/// # Safety
/// `V` vectors, of the last one `last` elements, can be read at `cell` and, `pitch` and twice `pitch`
/// further, below it.
#[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
#[inline(always)]
unsafe fn column_of_3<S: Simd, const V: usize>(
    simd: S,
    cell: *const f32,
    pitch: usize,
    last: usize,
) -> [S::Vector; V] {
    let mut best = [simd.splat(0.0); V];
    // SAFETY: the caller's promise.
    unsafe {
        for (v, best) in best.iter_mut().enumerate() {
            let (cell, n) = (cell.add(v * S::LANES), live::<S, V>(v, last));
            *best = simd.load_n(cell, n);
            *best = simd.max_or_nan(simd.load_n(cell.add(pitch), n), *best);
            *best = simd.max_or_nan(simd.load_n(cell.add(2 * pitch), n), *best);
        }
    }
    best
}

struct MaximumAndIndex<'a> {
    activation: Activation,
    input: &'a [f32],
    output: &'a mut [f32],
    argmax: &'a mut [u8],
}

impl Visitor for MaximumAndIndex<'_> {
    #[inline(always)]
    unsafe fn visit<S: Simd, const V: usize>(&mut self, simd: S, window: Window, last: usize) {
        let mut best = [simd.splat(f32::NEG_INFINITY); V];
        let mut chosen = [index(simd, &window, 0, 0); V];
        for row in 0..window.len[0] {
            for column in 0..window.len[1] {
                let cell = self.input.as_ptr().wrapping_add(window.cell(row, column));
                let here = index(simd, &window, row, column);
                for v in 0..V {
                    // SAFETY: the caller's promise.
                    let x = unsafe { simd.load_n(cell.add(v * S::LANES), live::<S, V>(v, last)) };
                    // A larger number or the first NaN takes over; from a NaN nothing does.
                    let takes = simd.not_le(x, best[v]);
                    let number = simd.eq(best[v], best[v]);
                    chosen[v] = simd.select(number, simd.select(takes, here, chosen[v]), chosen[v]);
                    best[v] = simd.select(number, simd.select(takes, x, best[v]), best[v]);
                }
            }
        }
        self.activation.apply(simd, &mut best);
        for v in 0..V {
            let n = live::<S, V>(v, last);
            // SAFETY: the caller's promise.
            unsafe {
                simd.store_n(self.output.as_mut_ptr().add(window.output + v * S::LANES), best[v], n);
                simd.store_u8(self.argmax.as_mut_ptr().add(window.output + v * S::LANES), chosen[v], n);
            }
        }
    }
}

/// `ADD`: windows overlap, so that a cell may get more than one output's gradient.
struct Distribute<'a, const ADD: bool> {
    d_output: &'a [f32],
    argmax: &'a [u8],
    d_input: &'a mut [f32],
}

impl<const ADD: bool> Visitor for Distribute<'_, ADD> {
    #[inline(always)]
    unsafe fn visit<S: Simd, const V: usize>(&mut self, simd: S, window: Window, last: usize) {
        for v in 0..V {
            let (at, n) = (window.output + v * S::LANES, live::<S, V>(v, last));
            // SAFETY: the caller's promise.
            let (d, chosen) = unsafe {
                let d = simd.load_n(self.d_output.as_ptr().add(at), n);
                (d, simd.load_u8(self.argmax.as_ptr().add(at), n))
            };
            for row in 0..window.len[0] {
                for column in 0..window.len[1] {
                    let here = simd.eq(chosen, index(simd, &window, row, column));
                    let share = simd.select(here, d, simd.splat(0.0));
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
