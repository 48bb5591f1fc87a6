//! A direct convolution and the 2×2 max-pool of its output, whose windows' sums never leave the registers.

use super::activation::Activation;
use super::geometry::{Axis, Geometry};
use super::pack::packed_len;
use super::window::{Sweep, panels};
use crate::error::check;
use crate::simd::{Operation, Simd, Tile};
use crate::{Error, Isa};

/// The most products of an output: with more there is little to save, and tiles of six positions keep AVX2 busier.
const DEPTH: usize = 32;

/// Whether four windows by a panel fit the registers, and a product takes an input that is in all lanes.
struct FourWindows;

impl Operation for FourWindows {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> bool {
        matches!(S::TILE, Tile::R6V2 | Tile::R6V4)
    }
}

/// Whether there is such code for an instruction set, as [`RowTiles::run_on`](super::winograd::RowTiles).
#[inline]
pub(super) fn runs_on(isa: Isa) -> bool {
    isa.run(FourWindows)
}

/// Whether there is such code for the shape: few products an output, an even number of rows and columns.
pub(super) fn fits(isa: Isa, geometry: &Geometry) -> bool {
    let [rows, columns, channels, _] = geometry.weights();
    let halves =
        |axis: &Axis| axis.output.is_multiple_of(2) && axis.dilation == 1 && axis.stride <= axis.window;
    geometry.groups == 1
        && geometry.axes.iter().all(halves)
        && rows * columns * channels <= DEPTH
        && runs_on(isa)
}

/// As [`forward`](super::forward), and to `[N, OH / 2, OW / 2, Cout]` the maxima.
pub(super) fn forward(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    output: &mut [f32],
) -> Result<(), Error> {
    check("input", input, geometry.input().iter().product())?;
    check("packed weights", packed, packed_len(isa, geometry))?;
    check("output", output, geometry.output().iter().product::<usize>() / 4)?;
    if let Some(bias) = bias {
        check("bias", bias, geometry.channels_out)?;
    }
    isa.run(Pooled { geometry, input, packed, bias, activation, output });
    Ok(())
}

struct Pooled<'a> {
    geometry: &'a Geometry,
    input: &'a [f32],
    packed: &'a [f32],
    bias: Option<&'a [f32]>,
    activation: Activation,
    output: &'a mut [f32],
}

impl Operation for Pooled<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        // Asked of a constant, so that no code is made for those that there are no such tiles of.
        if const { !matches!(S::TILE, Tile::R6V2 | Tile::R6V4) } {
            return;
        }
        for panel in panels::<S>(self.geometry.channels_out.div_ceil(S::LANES)) {
            let first = panel.start * S::LANES;
            match panel.len() {
                1 => self.panel::<S, 1>(simd, first),
                2 => self.panel::<S, 2>(simd, first),
                3 if const { S::TILE.vectors() > 2 } => self.panel::<S, 3>(simd, first),
                _ if const { S::TILE.vectors() > 2 } => self.panel::<S, 4>(simd, first),
                _ => {}
            }
        }
    }
}

impl Pooled<'_> {
    /// All windows by the `V` vectors of features from `first` on.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, first: usize) {
        let [rows, columns, channels, _] = self.geometry.weights();
        match [rows, columns * channels] {
            [3, 3] => self.windows::<S, V, 3, 3>(simd, first),
            _ => self.windows::<S, V, 0, 0>(simd, first),
        }
    }

    /// Of `ROWS` runs of `RUN` products, or of any where these are zero.
    #[inline(always)]
    fn windows<S: Simd, const V: usize, const ROWS: usize, const RUN: usize>(
        &mut self,
        simd: S,
        first: usize,
    ) {
        let [rows, columns, channels, features] = self.geometry.weights();
        let [_, height, width, _] = self.geometry.input();
        let axes = self.geometry.axes;
        let [vertical, horizontal] = Sweep::forward(&axes);
        // What four windows see, less than twice a window in either direction.
        let [seen_rows, seen_columns] = axes.map(|axis| axis.window + axis.stride);
        let mut patch = [0.0; 4 * DEPTH];
        let (rows, run) = if ROWS > 0 { (ROWS, RUN) } else { (rows, columns * channels) };
        let panel_width = V * S::LANES;
        let last = (features - first).min(panel_width) - (V - 1) * S::LANES;
        let mut bias = [simd.splat(0.0); V];
        if let Some(all) = self.bias {
            for (v, bias) in bias.iter_mut().enumerate() {
                let n = if v + 1 < V { S::LANES } else { last };
                // SAFETY: so many features follow.
                *bias = unsafe { simd.load_n(all[first + v * S::LANES..].as_ptr(), n) };
            }
        }
        let weights = self.packed[rows * run * first..][..rows * run * panel_width].as_ptr();
        let row_len = width * channels;
        // Columns where nothing that is seen lies left or right of the input.
        let step = 2 * axes[1].stride;
        let whole_columns = axes[1].before.div_ceil(step)
            ..(axes[1].before + width).checked_sub(seen_columns).map_or(0, |end| end / step + 1);
        let mut pixels = self.output.chunks_exact_mut(features);
        for image in self.input.chunks_exact(height * row_len) {
            for row in 0..axes[0].output / 2 {
                let (top, inside_rows) = vertical.inside(2 * row, seen_rows);
                let whole_rows = inside_rows.len() == seen_rows;
                let line = image.as_ptr().wrapping_offset(top * row_len.cast_signed());
                for (column, pixel) in pixels.by_ref().take(axes[1].output / 2).enumerate() {
                    let (read, pitch) = if whole_rows && whole_columns.contains(&column) {
                        let left = (column * step - axes[1].before) * channels;
                        (line.wrapping_add(left), row_len)
                    } else {
                        // With zeros for what is outside.
                        patch.fill(0.0);
                        let (left, inside) = horizontal.inside(2 * column, seen_columns);
                        let pitch = seen_columns * channels;
                        let seeing = if inside.is_empty() { 0..0 } else { inside_rows.clone() };
                        for y in seeing {
                            let pixel = top.wrapping_add_unsigned(y) * width.cast_signed()
                                + left.wrapping_add_unsigned(inside.start);
                            let source =
                                &image[pixel.cast_unsigned() * channels..][..inside.len() * channels];
                            patch[y * pitch + inside.start * channels..][..source.len()]
                                .copy_from_slice(source);
                        }
                        (patch.as_ptr(), pitch)
                    };
                    let steps = [axes[0].stride * pitch, axes[1].stride * channels];
                    // SAFETY: four windows from `read` on lie inside the image or the patch; the panel has a row
                    // of weights for each product.
                    let mut best = unsafe {
                        maxima::<S, V, ROWS>(simd, read, pitch, steps, [rows, run], weights, &bias)
                    };
                    self.activation.apply(simd, &mut best);
                    for (v, &best) in best.iter().enumerate() {
                        let slot = pixel[first + v * S::LANES..].as_mut_ptr();
                        // SAFETY: so many features of the pixel follow.
                        unsafe {
                            if v + 1 < V || last == S::LANES {
                                simd.store(slot, best);
                            } else {
                                simd.store_n(slot, best, last);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The maxima of four neighbours' sums, each of `rows` runs of products.
///
/// # Safety
/// From `read` and, with either or both of `steps`, its neighbours on, runs `pitch` apart can be read; there are
/// `V` vectors of weights for each product.
#[inline(always)]
unsafe fn maxima<S: Simd, const V: usize, const ROWS: usize>(
    simd: S,
    read: *const f32,
    pitch: usize,
    [below, right]: [usize; 2],
    [rows, run]: [usize; 2],
    mut weights: *const f32,
    bias: &[S::Vector; V],
) -> [S::Vector; V] {
    let mut reads = [0, right, below, below + right].map(|step| read.wrapping_add(step));
    let mut sums = [*bias; 4];
    for _ in 0..rows {
        for k in 0..run {
            let mut w = [simd.splat(0.0); V];
            for (v, w) in w.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *w = unsafe { simd.load(weights.add(v * S::LANES)) };
            }
            weights = weights.wrapping_add(V * S::LANES);
            for (sums, read) in sums.iter_mut().zip(reads) {
                // SAFETY: the caller's promise.
                let x = simd.splat(unsafe { *read.add(k) });
                for (sum, &w) in sums.iter_mut().zip(&w) {
                    *sum = simd.mul_add(x, w, *sum);
                }
            }
        }
        for read in &mut reads {
            *read = read.wrapping_add(pitch);
        }
    }
    let [mut best, rest @ ..] = sums;
    for sums in rest {
        for (best, sum) in best.iter_mut().zip(sums) {
            *best = simd.max_or_nan(sum, *best);
        }
    }
    best
}
