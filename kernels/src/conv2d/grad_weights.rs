use super::Geometry;
use super::window::{Offsets, Order, Positions, Segment, Sweep, split};
use crate::error::check;
use crate::simd::{Operation, Simd, Tile};
use crate::{Error, Isa};
use core::mem::MaybeUninit;
use core::ops::Range;

/// Gradient of a convolution to its weights, from its input `[N, H, W, Cin]` and its output's
/// gradient `[N, OH, OW, Cout]`, both read in place.
///
/// Seen as a matrix, the weights are `[KH * KW * Cin / groups, Cout]`; `rows` of it are computed and
/// overwrite `d_weights`, so that threads can share the work. An element's bits do not depend on
/// how the rows are parted.
///
/// # Errors
/// A slice's length differs from the geometry's, or `rows` ends past the last row.
pub fn grad_weights(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    d_output: &[f32],
    rows: Range<usize>,
    d_weights: &mut [f32],
) -> Result<(), Error> {
    let [kh, kw, cin, cout] = geometry.weights();
    check("input", input, geometry.input().iter().product())?;
    check("output gradient", d_output, geometry.output().iter().product())?;
    if rows.end > kh * kw * cin {
        return Err(Error::OutOfRange { what: "rows", max: kh * kw * cin, got: rows.end });
    }
    check("weight gradient", d_weights, rows.len() * cout)?;
    d_weights.fill(0.0);
    for group in 0..geometry.groups {
        let (rows, d_weights) = (rows.clone(), &mut *d_weights);
        isa.run(GradWeights { geometry, group, input, d_output, rows, d_weights });
    }
    Ok(())
}

/// Positions that are summed in registers before the sum goes to memory.
const POSITIONS: usize = 128;
const FEWEST_POSITIONS: usize = 64;
/// What those positions touch should stay in the first-level cache.
const TOUCHED_BYTES: usize = 24 * 1024;
/// A weight gradient that is no larger stays in the second-level cache.
const SMALL_GRADIENT_BYTES: usize = 256 * 1024;
/// Rows of the weights whose offsets are listed at a time.
const ROWS: usize = 96;

struct GradWeights<'a> {
    geometry: &'a Geometry,
    group: usize,
    input: &'a [f32],
    d_output: &'a [f32],
    rows: Range<usize>,
    d_weights: &'a mut [f32],
}

impl Operation for GradWeights<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        match S::TILE {
            Tile::R4V4 => self.all_rectangles::<S, 4, 4, 4>(simd),
            Tile::R4V2 => self.all_rectangles::<S, 4, 2, 8>(simd),
            Tile::R6V2 => self.all_rectangles::<S, 6, 2, 8>(simd),
            Tile::R6V4 => self.all_rectangles::<S, 6, 4, 8>(simd),
            Tile::R5V4 => self.all_rectangles::<S, 8, 3, 8>(simd),
        }
    }
}

impl GradWeights<'_> {
    /// Tiles of `R` rows by `V` vectors; of `N` rows by fewer vectors.
    #[inline(always)]
    fn all_rectangles<S: Simd, const R: usize, const V: usize, const N: usize>(&mut self, simd: S) {
        let sweeps = Sweep::forward(&self.geometry.axes);
        let [kh, kw, cin, cout] = self.geometry.weights();
        // Either all taps are summed at once, and the gradient is passed over once for every few
        // positions, or tap by tap, and the arrays are passed over once for every tap.
        let small = size_of::<f32>() * kh * kw * cin * cout <= SMALL_GRADIENT_BYTES;
        let order = match self.geometry.has_runs() {
            false => Order::Taps,
            true if small => Order::Positions,
            true => Order::TapGroups,
        };
        for vertical in sweeps[0].rectangles(order) {
            for horizontal in sweeps[1].rectangles(order) {
                self.rectangle::<S, R, V, N>(simd, &sweeps, [&vertical, &horizontal]);
            }
        }
    }

    /// Adds what the positions of a rectangle contribute to its taps.
    #[inline(always)]
    fn rectangle<S: Simd, const R: usize, const V: usize, const N: usize>(
        &mut self,
        simd: S,
        sweeps: &[Sweep; 2],
        rectangle: [&Segment; 2],
    ) {
        let (Geometry { channels_in, channels_out, .. }, [channels, features]) =
            (*self.geometry, self.geometry.group());
        let touched = size_of::<f32>() * (channels.min(ROWS) + V * S::LANES);
        let together = (TOUCHED_BYTES / touched).clamp(FEWEST_POSITIONS, POSITIONS);
        let mut positions = Positions::new(self.geometry.batch, sweeps, rectangle, channels_in, channels_out);
        let mut list = [const { MaybeUninit::uninit() }; POSITIONS];
        let mut copy = [const { MaybeUninit::<[S::Vector; V]>::uninit() }; POSITIONS];
        let copy = copy.as_mut_ptr().cast::<MaybeUninit<S::Vector>>();
        // SAFETY: the same memory, vector by vector.
        let copy = unsafe { core::slice::from_raw_parts_mut(copy, POSITIONS * V) };
        for part in split(positions.count(), together) {
            let list = positions.fill(&mut list[..part.len()]);
            for vectors in split(features.div_ceil(S::LANES), V) {
                let first = vectors.start * S::LANES;
                match vectors.len() {
                    1 if V > 1 => self.panel::<S, N, 1>(simd, rectangle, list, first, copy),
                    2 if V > 2 => self.panel::<S, N, 2>(simd, rectangle, list, first, copy),
                    3 if V > 3 => self.panel::<S, N, 3>(simd, rectangle, list, first, copy),
                    _ => self.panel::<S, R, V>(simd, rectangle, list, first, copy),
                }
            }
        }
    }

    /// Adds what the listed positions contribute to the taps of a rectangle and the `V` vectors of the group's output channels from `first` on.
    #[inline(always)]
    fn panel<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        rectangle: [&Segment; 2],
        positions: &[Offsets],
        first: usize,
        copy: &mut [MaybeUninit<S::Vector>],
    ) {
        let [vertical, horizontal] = rectangle;
        let ([_, kw, cin, cout], [_, features]) = (self.geometry.weights(), self.geometry.group());
        let live = (V * S::LANES).min(features - first);
        let first = first + self.group * features;
        // A copy of the output's gradient, because every row of the weights reads it, and channels
        // that are a power of two would fight for a few lines of the cache.
        let (d_output, _) = copy.as_chunks_mut::<V>();
        let d_output = &mut d_output[..positions.len()];
        let whole = live == V * S::LANES;
        for (d, position) in d_output.iter_mut().zip(positions) {
            for (v, d) in d.iter_mut().enumerate() {
                let lane = v * S::LANES;
                // SAFETY: `position.write` is a pixel of the output's gradient, whose length was
                // checked; it has `live` channels from `first` on, filling all vectors but the last.
                d.write(unsafe {
                    let source = self.d_output.as_ptr().add(position.write + first + lane);
                    if whole { simd.load(source) } else { simd.load_n(source, (live - lane).min(S::LANES)) }
                });
            }
        }
        // SAFETY: the loop has written all of it, one for each position.
        let d_output: &[[S::Vector; V]] =
            unsafe { core::slice::from_raw_parts(d_output.as_ptr().cast(), positions.len()) };
        let panel = Panel {
            input: self.input.as_ptr().wrapping_add(self.group * cin),
            positions,
            d_output,
            d_weights: self.d_weights.as_mut_ptr().wrapping_add(first),
            live,
        };

        let mut rows = [Offsets::default(); ROWS];
        let mut filled = 0;
        let [vertical_axis, horizontal_axis] = self.geometry.axes;
        let input_row = vertical_axis.dilation * horizontal_axis.input * self.geometry.channels_in;
        for ky in vertical.taps.clone() {
            // In one row of the window, taps and channels are contiguous in input and weights.
            let start = (ky * kw + horizontal.taps.start) * cin;
            let end = (ky * kw + horizontal.taps.end) * cin;
            let read = (ky - vertical.taps.start) * input_row;
            for row in start.max(self.rows.start)..end.min(self.rows.end) {
                rows[filled] = Offsets { read: read + row - start, write: (row - self.rows.start) * cout };
                filled += 1;
                if filled == ROWS {
                    // SAFETY: as below.
                    unsafe { panel.tiles::<R>(simd, &rows) };
                    filled = 0;
                }
            }
        }
        // SAFETY: a tap's offset added to a position's lies inside the input, and a row's `live`
        // channels from `first` on inside the weights' gradient; both lengths were checked.
        unsafe { panel.tiles::<R>(simd, &rows[..filled]) };
    }
}

/// `V` vectors of output channels, of which `live` channels exist, at some positions.
struct Panel<'a, S: Simd, const V: usize> {
    input: *const f32,
    positions: &'a [Offsets],
    d_output: &'a [[S::Vector; V]],
    d_weights: *mut f32,
    live: usize,
}

impl<S: Simd, const V: usize> Panel<'_, S, V> {
    /// # Safety
    /// The sum of any row's and any position's `read` lies inside the input, and `live` elements
    /// from any row's `write` inside the weights' gradient; `live` fills all of `V` vectors but
    /// the last.
    #[inline(always)]
    unsafe fn tiles<const R: usize>(&self, simd: S, rows: &[Offsets]) {
        for part in split(rows.len(), R) {
            let rows = &rows[part];
            // SAFETY: the caller's promise, for a part of the rows.
            unsafe {
                match rows.len() {
                    1 => self.tile::<1>(simd, rows),
                    2 => self.tile::<2>(simd, rows),
                    3 => self.tile::<3>(simd, rows),
                    4 if R > 4 => self.tile::<4>(simd, rows),
                    5 if R > 5 => self.tile::<5>(simd, rows),
                    6 if R > 6 => self.tile::<6>(simd, rows),
                    7 if R > 7 => self.tile::<7>(simd, rows),
                    _ => self.tile::<R>(simd, rows),
                }
            }
        }
    }

    /// `R` rows of the weights by `V` vectors of output channels, summed over the positions.
    ///
    /// # Safety
    /// As [`tiles`](Self::tiles). Of the rows the first `R` are used.
    #[inline(always)]
    unsafe fn tile<const R: usize>(&self, simd: S, rows: &[Offsets]) {
        // An array, so that all that follows is unrolled and the sums stay in registers.
        let Some(rows) = rows.first_chunk::<R>() else { return };
        let mut sums = [[simd.splat(0.0); V]; R];
        let mut inputs = [self.input; R];
        for (input, row) in inputs.iter_mut().zip(rows) {
            *input = self.input.wrapping_add(row.read);
        }
        for (position, d) in self.positions.iter().zip(self.d_output) {
            for r in 0..R {
                // SAFETY: the caller's promise.
                let x = simd.splat(unsafe { *inputs[r].wrapping_add(position.read) });
                for v in 0..V {
                    sums[r][v] = simd.mul_add(x, d[v], sums[r][v]);
                }
            }
        }
        let last = self.live - (V - 1) * S::LANES;
        for (row, sums) in rows.iter().zip(&sums) {
            for (v, &sum) in sums.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe {
                    let slot = self.d_weights.add(row.write + v * S::LANES);
                    if v + 1 < V || last == S::LANES {
                        simd.store(slot, simd.add(simd.load(slot), sum));
                    } else {
                        simd.store_n(slot, simd.add(simd.load_n(slot, last), sum), last);
                    }
                }
            }
        }
    }
}
