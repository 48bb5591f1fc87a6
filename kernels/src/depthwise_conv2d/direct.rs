use super::{Geometry, POSITIONS, load};
use crate::conv2d::Activation;
use crate::conv2d::window::{Offsets, Positions, Residue, Segment, Sweep, split, vector};
use crate::error::check;
use crate::simd::{Operation, Simd, Tile};
use crate::{Error, Isa};
use core::mem::MaybeUninit;
use core::ops::Range;

/// Convolution, bias and activation in one pass: `[N, H, W, C]` to `[N, OH, OW, C * M]`, with
/// weights `[KH, KW, C, M]` and a bias of `[C * M]`.
///
/// # Errors
/// A slice's length differs from the geometry's.
///
/// ```
/// use bantam_kernels::{Isa, depthwise_conv2d::{self, Geometry}};
/// use bantam_kernels::conv2d::{Activation, Padding};
/// let g = Geometry::new([1, 1, 3, 2], [1, 2], 1, [1, 1], Padding::Valid)?;
/// let (row, weights) = ([1.0, 10.0, 2.0, 20.0, 3.0, 30.0], [1.0, -1.0, 1.0, 1.0]);
/// let mut output = [0.0; 4];
/// let (isa, activation) = (Isa::detect(), Activation::Relu6);
/// depthwise_conv2d::forward(isa, &g, &row, &weights, Some(&[0.0, -8.0]), activation, &mut output)?;
/// assert_eq!(output, [3.0, 2.0, 5.0, 2.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn forward(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    output: &mut [f32],
) -> Result<(), Error> {
    let [_, kw, _, multiplier] = geometry.weights();
    let features = geometry.output()[3];
    check("input", input, geometry.input().iter().product())?;
    check("weights", weights, geometry.weights().iter().product())?;
    check("output", output, geometry.output().iter().product())?;
    if let Some(bias) = bias {
        check("bias", bias, features)?;
    }
    geometry.isa(isa).run(Correlate {
        batch: geometry.batch,
        sweeps: Sweep::forward(geometry.axes),
        features,
        group: multiplier,
        depth: 1,
        input,
        weights: Weights { start: weights, pitch: [kw * features, features].map(usize::cast_signed) },
        bias,
        activation,
        output,
    });
    Ok(())
}

/// Gradient of a depthwise convolution to its input: `[N, OH, OW, C * M]` to `[N, H, W, C]`, with
/// weights `[KH, KW, C, M]`. `d_input` is overwritten.
///
/// A convolution too: input pixels of equal residue modulo the stride see the same taps, so each
/// residue is a convolution of stride 1 over the output's gradient, with the taps from last to first.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn grad_input(
    isa: Isa,
    geometry: &Geometry,
    d_output: &[f32],
    weights: &[f32],
    d_input: &mut [f32],
) -> Result<(), Error> {
    let [_, kw, channels, multiplier] = geometry.weights();
    check("output gradient", d_output, geometry.output().iter().product())?;
    check("weights", weights, geometry.weights().iter().product())?;
    check("input gradient", d_input, geometry.input().iter().product())?;
    let tap = channels * multiplier;
    for residue in Residue::all(geometry.axes) {
        let [vertical, horizontal] = residue.taps;
        // With no tap on an axis no weight is read, so that any start will do.
        let last = if vertical.count > 0 && horizontal.count > 0 {
            (vertical.flipped(0) * kw + horizontal.flipped(0)) * tap
        } else {
            0
        };
        // A stride past the window, of which one tap at most is seen, might not fit.
        let [down, across] = geometry.axes.map(|axis| axis.stride.min(axis.window));
        geometry.isa(isa).run(Correlate {
            batch: geometry.batch,
            sweeps: residue.sweeps(geometry.axes),
            features: channels,
            group: 1,
            depth: multiplier,
            input: d_output,
            weights: Weights {
                start: &weights[last..],
                pitch: [down * kw * tap, across * tap].map(|pitch| -pitch.cast_signed()),
            },
            bias: None,
            activation: Activation::None,
            output: &mut *d_input,
        });
    }
    Ok(())
}

/// Windows slid over an array, each over channels of its own.
struct Correlate<'a> {
    batch: usize,
    sweeps: [Sweep; 2],
    /// Channels of the output.
    features: usize,
    /// Neighbouring channels of the output that read one channel of the input.
    group: usize,
    /// Neighbouring channels of the input that one channel of the output sums up.
    depth: usize,
    input: &'a [f32],
    weights: Weights<'a>,
    bias: Option<&'a [f32]>,
    activation: Activation,
    output: &'a mut [f32],
}

/// The weights from the sweeps' first tap on, and from one tap to the next, down and across.
struct Weights<'a> {
    start: &'a [f32],
    pitch: [isize; 2],
}

/// The part of a window that lies inside the input, `rows` by `columns`.
struct Reach {
    rows: usize,
    columns: usize,
    /// From one row and from one pixel to the next in the input.
    input_pitch: [usize; 2],
    weight_pitch: [isize; 2],
    depth: usize,
}

/// Windows beside and below each other.
struct Block {
    /// Where the first window's first tap reads, which may be outside the input, and where it writes.
    read: isize,
    write: usize,
    /// Rows of windows.
    height: usize,
    /// Rows and columns, from that tap on, that lie inside the input.
    inside: [Range<usize>; 2],
    /// From one row and from one column to the next in the input.
    pitch: [usize; 2],
    /// From one window to the next in the output.
    steps: [usize; 2],
}

/// No bias, for the widest vector.
const ZEROS: &[f32; 16] = &[0.0; 16];

/// A vector of channels from `first` on, of which `n` exist.
struct Lanes<S: Simd> {
    first: usize,
    input: *const f32,
    weights: *const f32,
    bias: S::Vector,
    output: *mut f32,
    n: usize,
}

impl Operation for Correlate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let whole = self.features >= S::LANES;
        match S::TILE {
            Tile::R4V4 => self.all_positions::<S, 1, 4, 2, true>(simd),
            Tile::R6V2 | Tile::R4V2 if whole => self.all_positions::<S, 1, 7, 4, true>(simd),
            Tile::R6V4 | Tile::R5V4 if whole => self.all_positions::<S, 2, 7, 4, true>(simd),
            _ => self.all_positions::<S, 1, 7, 4, false>(simd),
        }
    }
}

impl Correlate<'_> {
    /// Blocks of `Q` by `R` or `H` positions where the window is a usual one, else lists of positions.
    /// With `WHOLE` there are channels for a vector.
    #[inline(always)]
    fn all_positions<S: Simd, const Q: usize, const R: usize, const H: usize, const WHOLE: bool>(
        &mut self,
        simd: S,
    ) {
        let [vertical, horizontal] = self.sweeps;
        let usual = [vertical.taps, vertical.stride] == [horizontal.taps, horizontal.stride]
            && matches!((horizontal.taps, horizontal.stride), (3 | 5, 1 | 2));
        let plain = WHOLE && self.depth == 1 && self.group == 1 && usual && vertical.positions >= Q;
        // Vectors are worth a test of each column that may lie outside; numbers are not.
        let more_than_half = horizontal.taps / 2 + 1;
        let cut =
            S::LANES > 1 && plain && horizontal.positions >= H && horizontal.always_sees(more_than_half);
        let sixteen = matches!(S::TILE, Tile::R6V2 | Tile::R4V2);
        let mut whole = cut.then(|| horizontal.whole());
        let mut segments = (!cut).then(|| horizontal.segments());
        while let Some(columns) = whole.take().or_else(|| segments.as_mut()?.next()) {
            let blocks = plain && columns.taps.len() == horizontal.taps && columns.len >= H;
            match (horizontal.taps, horizontal.stride) {
                (3, 1) if blocks => self.blocks::<S, Q, R, H, 3, 1>(simd, &columns),
                (3, 2) if blocks => self.blocks::<S, Q, R, H, 3, 2>(simd, &columns),
                // Sixteen registers hold five inputs, five weights and five sums.
                (5, 1) if blocks && sixteen => self.blocks::<S, Q, 5, H, 5, 1>(simd, &columns),
                (5, 2) if blocks && sixteen => self.blocks::<S, Q, 5, H, 5, 2>(simd, &columns),
                (5, 1) if blocks => self.blocks::<S, Q, R, H, 5, 1>(simd, &columns),
                (5, 2) if blocks => self.blocks::<S, Q, R, H, 5, 2>(simd, &columns),
                _ => {
                    for rows in vertical.segments() {
                        self.lists::<S, R, H, WHOLE>(simd, [&rows, &columns]);
                    }
                }
            }
        }
    }

    /// Channels of the input.
    #[inline(always)]
    fn read_channels(&self) -> usize {
        self.features / self.group * self.depth
    }

    #[inline(always)]
    fn reach(&self, [vertical, horizontal]: [&Segment; 2]) -> Reach {
        let channels = self.read_channels();
        Reach {
            rows: vertical.taps.len(),
            columns: horizontal.taps.len(),
            input_pitch: [self.sweeps[1].read * channels, channels],
            weight_pitch: self.weights.pitch,
            depth: self.depth,
        }
    }

    /// The `index`th vector of channels, and their weights of the first tap that `rectangle` sees.
    #[inline(always)]
    fn lanes<S: Simd>(&mut self, simd: S, rectangle: [&Segment; 2], index: usize) -> Lanes<S> {
        let (first, n) = vector::<S>(index, self.features);
        let [down, across] = self.weights.pitch;
        let [vertical, horizontal] = rectangle.map(|segment| segment.taps.start.cast_signed());
        let tap = vertical.wrapping_mul(down).wrapping_add(horizontal.wrapping_mul(across));
        let read = first / self.group * self.depth;
        let weights = self.weights.start.as_ptr();
        Lanes {
            first,
            input: self.input.as_ptr().wrapping_add(read),
            weights: weights.wrapping_offset(tap).wrapping_add(first * self.depth),
            bias: match self.bias {
                // SAFETY: there is a bias for each of the channels.
                Some(bias) => unsafe { simd.load_n(bias.as_ptr().add(first), n) },
                None => simd.splat(0.0),
            },
            output: self.output.as_mut_ptr().wrapping_add(first),
            n,
        }
    }

    /// All rows of some columns, for windows of `K` by `K` taps, `D` pixels from each other, so that
    /// neighbours share what they read.
    #[inline(always)]
    fn blocks<S: Simd, const Q: usize, const R: usize, const H: usize, const K: usize, const D: usize>(
        &mut self,
        simd: S,
        columns: &Segment,
    ) {
        let [vertical, horizontal] = self.sweeps;
        let pitch = [horizontal.read * self.features, self.features];
        let steps = [vertical.step * horizontal.written * self.features, horizontal.step * self.features];
        let first_write = (vertical.first * horizontal.written + horizontal.first) * self.features;
        // With registers for two rows of 5×5 windows, 3×3 windows go down a strip.
        let strip = Q > 1 && K == 3;
        let height = if strip { vertical.positions } else { Q };
        let from_first_tap = [&vertical.unseeing(), &horizontal.unseeing()];
        for image in 0..self.batch {
            let image_read = image * vertical.read * pitch[0];
            let image_write = image * vertical.written * horizontal.written * self.features + first_write;
            let mut next_row = 0;
            while next_row < vertical.positions {
                let y = next_row.min(vertical.positions - height);
                next_row = y + height;
                let (top, rows) = vertical.inside(y, (height - 1) * D + K);
                let mut done = 0;
                while done < columns.len {
                    let (at, size) = next_tile::<R, H>(done, columns.len);
                    let x = columns.start + at;
                    let (left, columns) = horizontal.inside(x, (size - 1) * D + K);
                    let read = image_read.cast_signed()
                        + top * pitch[0].cast_signed()
                        + left * pitch[1].cast_signed();
                    let block = Block {
                        read,
                        write: image_write + y * steps[0] + x * steps[1],
                        height,
                        inside: [rows.clone(), columns],
                        pitch,
                        steps,
                    };
                    // All channels before the next tile. Tiles of one vector beside each other
                    // often have the same last address bits: loads then wait for stores, and lines
                    // fight for a set of the cache.
                    for index in 0..self.features.div_ceil(S::LANES) {
                        let lanes = self.lanes(simd, from_first_tap, index);
                        // SAFETY: the tile's windows lie inside the arrays as far as the block says,
                        // the kernels checked their lengths, and the vector lies among the channels.
                        unsafe {
                            match (strip, size == R) {
                                (true, true) => self.strip::<S, R, D>(simd, &lanes, &block),
                                (true, false) => self.strip::<S, H, D>(simd, &lanes, &block),
                                (false, true) => self.block::<S, Q, R, K, D>(simd, &lanes, &block),
                                (false, false) => self.block::<S, Q, H, K, D>(simd, &lanes, &block),
                            }
                        }
                    }
                    done = at + size;
                }
            }
        }
    }

    /// Any rectangle.
    #[inline(always)]
    fn lists<S: Simd, const R: usize, const H: usize, const WHOLE: bool>(
        &mut self,
        simd: S,
        rectangle: [&Segment; 2],
    ) {
        let reach = self.reach(rectangle);
        let mut positions =
            Positions::new(self.batch, &self.sweeps, rectangle, self.read_channels(), self.features);
        let mut list = [const { MaybeUninit::uninit() }; POSITIONS];
        for part in split(positions.count(), POSITIONS) {
            let list = positions.fill(&mut list[..part.len()]);
            for index in 0..self.features.div_ceil(S::LANES) {
                let lanes = self.lanes(simd, rectangle, index);
                let mut done = 0;
                while done < list.len() {
                    let (at, size) = next_tile::<R, H>(done, list.len());
                    let list = &list[at..at + size];
                    // SAFETY: the offsets come from `Positions` for these arrays, whose lengths the
                    // kernels checked, and the vector lies among the channels.
                    unsafe {
                        if size == R {
                            self.tile::<S, R, WHOLE>(simd, &lanes, &reach, list);
                        } else if size == H {
                            self.tile::<S, H, WHOLE>(simd, &lanes, &reach, list);
                        } else {
                            self.tile::<S, 1, WHOLE>(simd, &lanes, &reach, list);
                        }
                    }
                    done = at + size;
                }
            }
        }
    }

    /// `Q` by `R` windows of `K` by `K` taps, `D` pixels from each other, by a vector of channels.
    ///
    /// # Safety
    /// What the block has inside lies inside the input, its outputs exist, and so do the vector's
    /// channels. Each window sees more than half of its columns.
    #[inline(always)]
    unsafe fn block<S: Simd, const Q: usize, const R: usize, const K: usize, const D: usize>(
        &self,
        simd: S,
        lanes: &Lanes<S>,
        block: &Block,
    ) {
        let mut sums = [[lanes.bias; R]; Q];
        let rows = &block.inside[0];
        // SAFETY: the caller's promise, for rows that are inside.
        unsafe {
            if Q == 1 {
                for row in rows.clone() {
                    self.row::<S, R, K, D>(simd, lanes, block, row, &mut sums[0]);
                }
            } else {
                if 0 < (Q - 1) * D + K && rows.contains(&0) {
                    let w = self.weights::<S, 0, Q, K, D>(simd, lanes);
                    self.shared_row::<S, 0, Q, R, K, D>(simd, lanes, block, 0, &w, &mut sums);
                }
                if 1 < (Q - 1) * D + K && rows.contains(&1) {
                    let w = self.weights::<S, 1, Q, K, D>(simd, lanes);
                    self.shared_row::<S, 1, Q, R, K, D>(simd, lanes, block, 1, &w, &mut sums);
                }
                if 2 < (Q - 1) * D + K && rows.contains(&2) {
                    let w = self.weights::<S, 2, Q, K, D>(simd, lanes);
                    self.shared_row::<S, 2, Q, R, K, D>(simd, lanes, block, 2, &w, &mut sums);
                }
                if 3 < (Q - 1) * D + K && rows.contains(&3) {
                    let w = self.weights::<S, 3, Q, K, D>(simd, lanes);
                    self.shared_row::<S, 3, Q, R, K, D>(simd, lanes, block, 3, &w, &mut sums);
                }
                if 4 < (Q - 1) * D + K && rows.contains(&4) {
                    let w = self.weights::<S, 4, Q, K, D>(simd, lanes);
                    self.shared_row::<S, 4, Q, R, K, D>(simd, lanes, block, 4, &w, &mut sums);
                }
                if 5 < (Q - 1) * D + K && rows.contains(&5) {
                    let w = self.weights::<S, 5, Q, K, D>(simd, lanes);
                    self.shared_row::<S, 5, Q, R, K, D>(simd, lanes, block, 5, &w, &mut sums);
                }
                if 6 < (Q - 1) * D + K && rows.contains(&6) {
                    let w = self.weights::<S, 6, Q, K, D>(simd, lanes);
                    self.shared_row::<S, 6, Q, R, K, D>(simd, lanes, block, 6, &w, &mut sums);
                }
            }
        }
        let mut output = lanes.output.wrapping_add(block.write);
        for row in &mut sums {
            // SAFETY: the caller's promise.
            unsafe { self.finish(simd, row, output, block.steps[1]) };
            output = output.wrapping_add(block.steps[0]);
        }
    }

    /// As [`block`](Self::block), for 3×3 windows and all rows of a block. All weights and the sums of the
    /// three rows of windows that see a row of the input stay in registers, so that each is read once.
    ///
    /// # Safety
    /// As [`block`](Self::block).
    #[inline(always)]
    unsafe fn strip<S: Simd, const R: usize, const D: usize>(
        &self,
        simd: S,
        lanes: &Lanes<S>,
        block: &Block,
    ) {
        let rows = &block.inside[0];
        // Read for each row: with the bias in a register there would be one too few.
        let bias = match self.bias {
            Some(bias) => bias.as_ptr().wrapping_add(lanes.first),
            None => ZEROS.as_ptr(),
        };
        let mut output = lanes.output.wrapping_add(block.write);
        // SAFETY: the caller's promise, for rows that are inside.
        unsafe {
            let mut sums = [[simd.load(bias); R]; 3];
            // Row 2 of three rows of windows is seen with all weights. In the arrays below, what lies with a
            // row of windows that does not see the row is not used.
            let [w2, w1, w0] = self.weights::<S, 2, 3, 3, 1>(simd, lanes);
            let last = if D == 1 { [w2, w1, w0] } else { [w2, w0, w0] };
            if rows.contains(&0) {
                self.shared_row::<S, 0, 3, R, 3, D>(simd, lanes, block, 0, &[w0; 3], &mut sums);
            }
            if D == 1 && rows.contains(&1) {
                self.shared_row::<S, 1, 3, R, 3, D>(simd, lanes, block, 1, &[w1, w0, w0], &mut sums);
            }
            for y in 0..block.height {
                let row = y * D + 1;
                if D == 2 && rows.contains(&row) {
                    self.shared_row::<S, 1, 3, R, 3, D>(simd, lanes, block, row, &[w1, w0, w0], &mut sums);
                }
                if rows.contains(&(row + 1)) {
                    self.shared_row::<S, 2, 3, R, 3, D>(simd, lanes, block, row + 1, &last, &mut sums);
                }
                self.finish(simd, &mut sums[0], output, block.steps[1]);
                output = output.wrapping_add(block.steps[0]);
                sums = [sums[1], sums[2], [simd.load(bias); R]];
            }
        }
    }

    /// Adds what a row of a block's input contributes to a row of windows.
    ///
    /// # Safety
    /// As [`block`](Self::block); the row is inside.
    #[inline(always)]
    unsafe fn row<S: Simd, const R: usize, const K: usize, const D: usize>(
        &self,
        simd: S,
        lanes: &Lanes<S>,
        block: &Block,
        row: usize,
        sums: &mut [S::Vector; R],
    ) {
        let columns = &block.inside[1];
        let [down, across] = self.weights.pitch;
        let mut w = [simd.splat(0.0); K];
        for (k, w) in w.iter_mut().enumerate() {
            let tap = row.cast_signed() * down + k.cast_signed() * across;
            // SAFETY: the caller's promise.
            *w = unsafe { simd.load(lanes.weights.wrapping_offset(tap)) };
        }
        let start = block.read + (row * block.pitch[0]).cast_signed();
        let input = lanes.input.wrapping_offset(start);
        // The pixels that a window sees. The next window shares all of them but `D`.
        let mut x = [simd.splat(0.0); K];
        for (r, sum) in sums.iter_mut().enumerate() {
            for k in 0..K {
                let column = r * D + k;
                let before = column < K - 1 && column < columns.start;
                let behind = column > (R - 1) * D && column >= columns.end;
                if r > 0 && k + D < K {
                    x[k] = x[k + D];
                }
                if S::LANES > 1 && (before || behind) {
                    continue;
                }
                if r == 0 || k + D >= K {
                    // SAFETY: the caller's promise.
                    x[k] = unsafe { simd.load(input.wrapping_add(column * block.pitch[1])) };
                }
                *sum = simd.mul_add(x[k], w[k], *sum);
            }
        }
    }

    /// The weights with which rows of windows, `D` rows from each other, see row `I` of a block.
    ///
    /// # Safety
    /// A window has `K` by `K` weights for each of the vector's channels.
    #[inline(always)]
    unsafe fn weights<S: Simd, const I: usize, const Q: usize, const K: usize, const D: usize>(
        &self,
        simd: S,
        lanes: &Lanes<S>,
    ) -> [[S::Vector; K]; Q] {
        let [down, across] = self.weights.pitch;
        let mut w = [[simd.splat(0.0); K]; Q];
        for (q, w) in w.iter_mut().enumerate() {
            for (k, w) in w.iter_mut().enumerate() {
                if I >= q * D && I < q * D + K {
                    let tap = (I - q * D).cast_signed() * down + k.cast_signed() * across;
                    // SAFETY: the caller's promise.
                    *w = unsafe { simd.load(lanes.weights.wrapping_offset(tap)) };
                }
            }
        }
        w
    }

    /// Adds what a row of a block's input contributes to the rows of windows that see it: those that see
    /// row `I` of theirs.
    ///
    /// # Safety
    /// As [`block`](Self::block); the row is inside.
    #[inline(always)]
    unsafe fn shared_row<
        S: Simd,
        const I: usize,
        const Q: usize,
        const R: usize,
        const K: usize,
        const D: usize,
    >(
        &self,
        simd: S,
        lanes: &Lanes<S>,
        block: &Block,
        row: usize,
        w: &[[S::Vector; K]; Q],
        sums: &mut [[S::Vector; R]; Q],
    ) {
        let columns = &block.inside[1];
        let start = block.read + (row * block.pitch[0]).cast_signed();
        let input = lanes.input.wrapping_offset(start);
        // Column by column, so that one register holds the input.
        for r in 0..R {
            // All columns of the first window; the next ones see `D` that those before them do not.
            for k in 0..K {
                let column = r * D + k;
                let before = column < K / 2 && column < columns.start;
                let behind = column >= (R - 1) * D + K - K / 2 && column >= columns.end;
                if r > 0 && k + D < K || before || behind {
                    continue;
                }
                // SAFETY: the caller's promise.
                let x = unsafe { simd.load(input.wrapping_add(column * block.pitch[1])) };
                // It is tap `k` of window `r`, and an earlier one of those behind.
                for next in 0..K.div_ceil(D) {
                    if next * D > k || r + next >= R {
                        continue;
                    }
                    for q in 0..Q {
                        if I >= q * D && I < q * D + K {
                            sums[q][r + next] = simd.mul_add(x, w[q][k - next * D], sums[q][r + next]);
                        }
                    }
                }
            }
        }
    }

    /// Activation of a row of sums, and where they go.
    ///
    /// # Safety
    /// A vector can be written at `output` and, `step` from each other, for each sum that follows.
    #[inline(always)]
    unsafe fn finish<S: Simd, const R: usize>(
        &self,
        simd: S,
        sums: &mut [S::Vector; R],
        output: *mut f32,
        step: usize,
    ) {
        self.activation.apply(simd, sums);
        for (r, &sum) in sums.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { simd.store(output.wrapping_add(r * step), sum) };
        }
    }

    /// `R` windows by a vector of channels, in registers from bias to activation.
    ///
    /// # Safety
    /// For each of the `R` elements of `list`, `reach` from its `read` lies inside the input and its
    /// `write` inside the output. `lanes.n` of the vector's channels exist: with `WHOLE` all.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const WHOLE: bool>(
        &self,
        simd: S,
        lanes: &Lanes<S>,
        reach: &Reach,
        list: &[Offsets],
    ) {
        // An array, so that all that follows is unrolled and the sums stay in registers.
        let Some(list) = list.first_chunk::<R>() else { return };
        let [row_pitch, pixel] = reach.input_pitch;
        let [down, across] = reach.weight_pitch;
        let mut sums = [lanes.bias; R];
        let mut reads = [lanes.input; R];
        for (read, offsets) in reads.iter_mut().zip(list) {
            *read = read.wrapping_add(offsets.read);
        }
        for deep in 0..reach.depth {
            for row in 0..reach.rows {
                let mut at = row * row_pitch + deep;
                let mut weights = lanes.weights.wrapping_offset(row.cast_signed() * down).wrapping_add(deep);
                for _ in 0..reach.columns {
                    // SAFETY: the caller's promise.
                    let w = unsafe { load::<S, WHOLE>(simd, weights, lanes.n) };
                    for r in 0..R {
                        // SAFETY: the caller's promise.
                        let x = unsafe { load::<S, WHOLE>(simd, reads[r].wrapping_add(at), lanes.n) };
                        sums[r] = simd.mul_add(x, w, sums[r]);
                    }
                    at += pixel;
                    weights = weights.wrapping_offset(across);
                }
            }
        }
        self.activation.apply(simd, &mut sums);
        for (&sum, offsets) in sums.iter().zip(list) {
            let output = lanes.output.wrapping_add(offsets.write);
            // SAFETY: the caller's promise.
            unsafe { if WHOLE { simd.store(output, sum) } else { simd.store_n(output, sum, lanes.n) } };
        }
    }
}

/// Of `len` positions, `done` of them done, where the next tile starts and how many it takes: `R`,
/// `H`, or one if there are fewer in all. The last goes back over what is done rather than be cut.
#[inline(always)]
fn next_tile<const R: usize, const H: usize>(done: usize, len: usize) -> (usize, usize) {
    let size = if len < H {
        1
    } else if len < R || len - done <= H {
        H
    } else {
        R
    };
    (done.min(len - size), size)
}
