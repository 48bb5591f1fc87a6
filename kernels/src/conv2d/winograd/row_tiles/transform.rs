use super::super::super::geometry::span;
use super::super::super::window::{split, vector};
use super::super::points::{self, Points};
use super::super::transform::{load, store};
use super::{OUTPUTS, RowTiles};
use crate::simd::{Operation, Simd, Tile};
use core::ops::Range;

/// Weights `[KH, KW, Cin, Cout]` to `[vectors, KH, phases, Cin, points, LANES]`, with `R` taps a phase.
pub(super) struct Pack<'a, const T: usize, const R: usize> {
    pub tiles: &'a RowTiles,
    pub weights: &'a [f32],
    pub packed: &'a mut [f32],
}

impl<const T: usize, const R: usize> Operation for Pack<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // Asked of a constant, so that no code is made for those that there are no such tiles of.
        if const { !matches!(S::TILE, Tile::R6V4) } {
            return;
        }
        let RowTiles { geometry, form, .. } = *self.tiles;
        let [rows, window, channels, features] = geometry.weights();
        let stride = geometry.axes[1].stride;
        assert!(self.weights.len() == rows * window * channels * features);
        let mut slots = self.packed.chunks_exact_mut(S::LANES);
        for index in 0..features.div_ceil(S::LANES) {
            let (first, live) = vector::<S>(index, features);
            for (row, phase) in (0..rows).flat_map(|row| (0..form.phases()).map(move |phase| (row, phase))) {
                for channel in 0..channels {
                    // SAFETY: a tap of the window has weights for all channels and features, of which `live`
                    // follow the first; a slot has room for a vector.
                    unsafe {
                        let tap = |tap: usize| {
                            let at = ((row * window + tap) * channels + channel) * features + first;
                            load(simd, self.weights.as_ptr().add(at), live)
                        };
                        let mut taps = [simd.splat(0.0); R];
                        for (i, weight) in taps.iter_mut().enumerate() {
                            if stride * i + phase < window {
                                *weight = tap(stride * i + phase);
                            }
                        }
                        let points: [_; T] = const { &Points::<T>::FILTER }.transform(simd, &taps);
                        for (&point, slot) in points.iter().zip(&mut slots) {
                            simd.store(slot.as_mut_ptr(), point);
                        }
                        if form.plain() > 0
                            && let Some(slot) = slots.next()
                        {
                            simd.store(slot.as_mut_ptr(), tap(1));
                        }
                    }
                }
            }
        }
    }
}

/// Rows of an image to points: `[planes, rows, phases, tiles + 1, Cin]`, each plane at a multiple of the pitch.
/// What is behind the last tile means nothing.
pub(super) struct Transform<'a> {
    pub tiles: &'a RowTiles,
    /// Of the output.
    pub rows: Range<usize>,
    pub image: &'a [f32],
    /// From one pixel of the image to the next.
    pub pixel_pitch: usize,
    pub parted: &'a mut [f32],
    pub samples: &'a mut [f32],
}

impl Transform<'_> {
    /// Rows by columns, `[OUTPUTS * stride, rows, tiles + 1, Cin]`: the same columns of all tiles lie beside each
    /// other, and are transformed a vector at a time. Columns outside the image are left as they are.
    ///
    /// `C` is the number of channels of pixels that lie beside each other, or zero for any.
    #[inline(always)]
    fn part<const PERIOD: usize, const C: usize>(&mut self, rows: Range<usize>) {
        let [channels, pitch] =
            if C > 0 { [C, C] } else { [self.tiles.geometry.channels_in, self.pixel_pitch] };
        let axis = self.tiles.geometry.axes[1];
        let line = self.tiles.line();
        let column_len = self.parted.len() / PERIOD;
        let row_len = span([1, 1, axis.input, channels], pitch);
        for first in 0..PERIOD {
            let outside = axis.before.saturating_sub(first).div_ceil(PERIOD);
            let inside = (axis.input + axis.before).saturating_sub(first).div_ceil(PERIOD);
            let inside = inside.min(self.tiles.tiles() + 1);
            if outside >= inside {
                continue;
            }
            let start = (outside * PERIOD + first - axis.before) * pitch;
            let column = self.parted[first * column_len..].chunks_exact_mut(line);
            for (column, y) in column.zip(rows.clone()) {
                let row = &self.image[y * axis.input * pitch..][..row_len];
                let samples = row[start..].chunks(PERIOD * pitch);
                let pixels = column[outside * channels..inside * channels].chunks_exact_mut(channels);
                for (pixel, samples) in pixels.zip(samples) {
                    match (pixel.first_chunk_mut::<C>(), samples.first_chunk::<C>()) {
                        (Some(pixel), Some(samples)) if C > 0 => *pixel = *samples,
                        _ => pixel.copy_from_slice(&samples[..channels]),
                    }
                }
            }
        }
    }
}

/// `T` points; each `PERIOD` columns a tile begins.
pub(super) struct ToPoints<'a, const T: usize, const PERIOD: usize>(pub Transform<'a>);

impl<const T: usize, const PERIOD: usize> Operation for ToPoints<'_, T, PERIOD> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // Asked of a constant, so that no code is made for those that there are no such tiles of.
        if const { !matches!(S::TILE, Tile::R6V4) } {
            return;
        }
        let mut transform = self.0;
        let RowTiles { geometry, form, .. } = *transform.tiles;
        let [vertical, horizontal] = geometry.axes;
        let channels = geometry.channels_in;
        let line = transform.tiles.line();
        let pitch = transform.samples.len() / form.planes();
        let seen = (transform.rows.len() - 1) * vertical.stride + vertical.window;
        // The first of the rows that are seen, from the image's first on, and those inside.
        let top = (transform.rows.start * vertical.stride).cast_signed() - vertical.before.cast_signed();
        let within = |row: isize| (row - top).clamp(0, seen.cast_signed()).cast_unsigned();
        let inside = within(0)..within(vertical.input.cast_signed());
        assert!(form.phases() * seen * line <= pitch);
        for plane in transform.samples.chunks_exact_mut(pitch) {
            let row_len = form.phases() * line;
            let (above, rest) = plane.split_at_mut(inside.start * row_len);
            above.fill(0.0);
            rest[inside.len() * row_len..].fill(0.0);
        }
        let column_len = transform.parted.len() / PERIOD;
        transform.parted.fill(0.0);
        for rows in split(inside.len(), column_len / line) {
            let first = inside.start + rows.start;
            let y = top.wrapping_add_unsigned(first).cast_unsigned();
            let count = rows.len();
            match transform.pixel_pitch {
                1 => transform.part::<PERIOD, 1>(y..y + count),
                3 if channels == 3 => transform.part::<PERIOD, 3>(y..y + count),
                _ => transform.part::<PERIOD, 0>(y..y + count),
            }
            let len = count * line;
            assert!(PERIOD == OUTPUTS * horizontal.stride && len <= column_len);
            let parted = transform.parted.as_ptr();
            for phase in 0..form.phases() {
                let samples = transform.samples[(first * form.phases() + phase) * line..].as_mut_ptr();
                for index in 0..len.div_ceil(S::LANES) {
                    let (at, n) = vector::<S>(index, len);
                    let mut d = [simd.splat(0.0); T];
                    // SAFETY: the last column that a tile sees is less than two periods behind its first, and then
                    // not the last of a period; a plane has room for `len` elements from `samples` on.
                    unsafe {
                        for (j, d) in d.iter_mut().enumerate() {
                            let column = horizontal.stride * j + phase;
                            let next = column >= PERIOD;
                            let start = if next {
                                (column - PERIOD) * column_len + channels
                            } else {
                                column * column_len
                            };
                            *d = load(simd, parted.add(start + at), n);
                        }
                        let points = points::patch::<S, T, T>(simd, &d);
                        for (plane, &point) in points.iter().enumerate() {
                            store(simd, samples.add(plane * pitch + at), point, n);
                        }
                    }
                }
            }
            for plain in 0..form.plain() {
                let plane = &mut transform.samples[(T + plain) * pitch + first * line..][..len];
                plane.copy_from_slice(
                    &transform.parted[(horizontal.stride * plain + 1) * column_len..][..len],
                );
            }
        }
    }
}
