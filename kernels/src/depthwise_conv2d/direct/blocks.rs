//! Windows of 3×3 and 5×5 beside and below each other, which share what they read.

use super::{Correlate, Lanes, next_tile};
use crate::conv2d::window::Segment;
use crate::simd::Simd;
use core::ops::Range;

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

impl Correlate<'_> {
    /// All rows of some columns, for windows of `K` by `K` taps, `D` pixels from each other, so that
    /// neighbours share what they read.
    #[inline(always)]
    pub(super) fn blocks<
        S: Simd,
        const Q: usize,
        const R: usize,
        const H: usize,
        const K: usize,
        const D: usize,
    >(
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
}
