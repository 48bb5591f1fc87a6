use super::Geometry;
use super::window::{Offsets, Positions, Segment, Sweep, split};
use crate::error::check;
use crate::simd::{Operation, Simd, Tile};
use crate::{Error, Isa};
use core::ops::Range;

/// Gradient of a convolution to its weights, from its input `[N, H, W, Cin]` and its output's
/// gradient `[N, OH, OW, Cout]`, both read in place.
///
/// Seen as a matrix, the weights are `[KH * KW * Cin, Cout]`; `rows` of it are computed and
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
    isa.run(GradWeights { geometry, input, d_output, rows, d_weights });
    Ok(())
}

/// Positions that are summed in registers before the sum goes to memory.
const POSITIONS: usize = 256;
/// Fewer would spend too much time on memory.
const FEWEST_POSITIONS: usize = 64;
/// What the listed positions touch should stay in the first-level cache.
const TOUCHED_BYTES: usize = 24 * 1024;
/// Rows of the weights whose offsets are listed at a time.
const ROWS: usize = 96;

struct GradWeights<'a> {
    geometry: &'a Geometry,
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
            Tile::R4V4 => self.rectangles::<S, 4, 4>(simd),
            Tile::R6V2 => self.rectangles::<S, 6, 2>(simd),
            Tile::R8V3 => self.rectangles::<S, 8, 3>(simd),
        }
    }
}

impl GradWeights<'_> {
    #[inline(always)]
    fn rectangles<S: Simd, const R: usize, const V: usize>(&mut self, simd: S) {
        let sweeps = Sweep::forward(self.geometry);
        let [cin, cout] = [self.geometry.channels_in, self.geometry.channels_out];
        let stride: usize = sweeps.iter().map(|sweep| sweep.stride.min(sweep.taps)).product();
        let touched = size_of::<f32>() * (stride * cin + V * S::LANES);
        let block = (TOUCHED_BYTES / touched).clamp(FEWEST_POSITIONS, POSITIONS);
        for vertical in sweeps[0].segments() {
            for horizontal in sweeps[1].segments() {
                let rectangle = [&vertical, &horizontal];
                let mut positions = Positions::new(self.geometry.batch, &sweeps, rectangle, cin, cout);
                let mut list = [Offsets::default(); POSITIONS];
                loop {
                    let filled = positions.fill(&mut list[..block]);
                    if filled == 0 {
                        break;
                    }
                    self.block::<S, R, V>(simd, rectangle, &list[..filled]);
                }
            }
        }
    }

    /// Adds what the listed positions of a rectangle contribute.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        rectangle: [&Segment; 2],
        positions: &[Offsets],
    ) {
        let mut rows = [Offsets::default(); ROWS];
        let mut filled = 0;
        let [vertical, horizontal] = rectangle;
        let [_, kw, cin, cout] = self.geometry.weights();
        let input_row = self.geometry.axes[1].input * cin;
        for ky in vertical.taps.clone() {
            // In one row of the window, taps and channels are contiguous in input and weights.
            let first = (ky * kw + horizontal.taps.start) * cin;
            let end = (ky * kw + horizontal.taps.end) * cin;
            let input_first = (ky - vertical.taps.start) * input_row;
            for row in first.max(self.rows.start)..end.min(self.rows.end) {
                rows[filled] =
                    Offsets { read: input_first + row - first, write: (row - self.rows.start) * cout };
                filled += 1;
                if filled == ROWS {
                    self.panels::<S, R, V>(simd, &rows, positions);
                    filled = 0;
                }
            }
        }
        self.panels::<S, R, V>(simd, &rows[..filled], positions);
    }

    #[inline(always)]
    fn panels<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        rows: &[Offsets],
        positions: &[Offsets],
    ) {
        let cout = self.geometry.channels_out;
        for vectors in split(cout.div_ceil(S::LANES), V) {
            let first = vectors.start * S::LANES;
            let live = (vectors.len() * S::LANES).min(cout - first);
            // SAFETY: `grad_weights` checked that the slices have the lengths of the geometry, to
            // which all offsets belong; `first` is below `cout`.
            unsafe {
                let panel = Panel {
                    input: self.input.as_ptr(),
                    d_output: self.d_output.as_ptr().add(first),
                    d_weights: self.d_weights.as_mut_ptr().add(first),
                    live,
                };
                match vectors.len() {
                    1 => panel.tiles::<S, R, 1>(simd, rows, positions),
                    2 if V >= 2 => panel.tiles::<S, R, 2>(simd, rows, positions),
                    3 if V >= 3 => panel.tiles::<S, R, 3>(simd, rows, positions),
                    _ => panel.tiles::<S, R, V>(simd, rows, positions),
                }
            }
        }
    }
}

/// Up to `V` vectors of output channels, of which `live` channels exist.
struct Panel {
    input: *const f32,
    d_output: *const f32,
    d_weights: *mut f32,
    live: usize,
}

impl Panel {
    /// # Safety
    /// The sum of any row's and any position's `read` lies inside the input; `live` elements from
    /// any position's `write` inside the output's gradient and from any row's `write` inside the
    /// weights' gradient; `live` fills all of `V` vectors but the last.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        rows: &[Offsets],
        positions: &[Offsets],
    ) {
        for part in split(rows.len(), R) {
            let rows = &rows[part];
            // SAFETY: the caller's promise, for a part of the rows.
            unsafe {
                match rows.len() {
                    1 => self.tile::<S, 1, V>(simd, rows, positions),
                    2 => self.tile::<S, 2, V>(simd, rows, positions),
                    3 => self.tile::<S, 3, V>(simd, rows, positions),
                    4 => self.tile::<S, 4, V>(simd, rows, positions),
                    5 if R > 5 => self.tile::<S, 5, V>(simd, rows, positions),
                    6 if R > 6 => self.tile::<S, 6, V>(simd, rows, positions),
                    7 if R > 7 => self.tile::<S, 7, V>(simd, rows, positions),
                    _ => self.tile::<S, R, V>(simd, rows, positions),
                }
            }
        }
    }

    /// `R` rows of the weights by `V` vectors of output channels, summed over the positions.
    ///
    /// # Safety
    /// As [`tiles`](Self::tiles); `rows` has `R` elements.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        rows: &[Offsets],
        positions: &[Offsets],
    ) {
        let last = self.live - (V - 1) * S::LANES;
        let mut sums = [[simd.splat(0.0); V]; R];
        let mut inputs = [self.input; R];
        for (input, row) in inputs.iter_mut().zip(rows) {
            // SAFETY: with a position's offset added it lies inside the input.
            *input = self.input.wrapping_add(row.read);
        }
        // SAFETY: the caller's promise.
        unsafe {
            if last == S::LANES {
                for position in positions {
                    let mut d = [simd.splat(0.0); V];
                    for (v, d) in d.iter_mut().enumerate() {
                        *d = simd.load(self.d_output.add(position.write + v * S::LANES));
                    }
                    accumulate(simd, &inputs, position.read, &d, &mut sums);
                }
            } else {
                for position in positions {
                    let mut d = [simd.splat(0.0); V];
                    for (v, d) in d.iter_mut().enumerate() {
                        let n = if v + 1 < V { S::LANES } else { last };
                        *d = simd.load_n(self.d_output.add(position.write + v * S::LANES), n);
                    }
                    accumulate(simd, &inputs, position.read, &d, &mut sums);
                }
            }
            for (row, sums) in rows.iter().zip(&sums) {
                for (v, &sum) in sums.iter().enumerate() {
                    let n = if v + 1 < V { S::LANES } else { last };
                    let slot = self.d_weights.add(row.write + v * S::LANES);
                    if n == S::LANES {
                        simd.store(slot, simd.add(simd.load(slot), sum));
                    } else {
                        simd.store_n(slot, simd.add(simd.load_n(slot, n), sum), n);
                    }
                }
            }
        }
    }
}

/// # Safety
/// Each of `inputs`, moved by `offset`, can be read.
#[inline(always)]
unsafe fn accumulate<S: Simd, const R: usize, const V: usize>(
    simd: S,
    inputs: &[*const f32; R],
    offset: usize,
    d: &[S::Vector; V],
    sums: &mut [[S::Vector; V]; R],
) {
    for r in 0..R {
        // SAFETY: the caller's promise.
        let x = simd.splat(unsafe { *inputs[r].wrapping_add(offset) });
        for v in 0..V {
            sums[r][v] = simd.mul_add(x, d[v], sums[r][v]);
        }
    }
}
