use super::super::super::activation::Activation;
use super::super::super::geometry::span;
use super::super::super::window::panels;
use super::super::points::{self, Points};
use super::super::transform::{Finite, inside, load};
use super::{Lines, OUTPUTS};
use crate::simd::{Operation, Simd};
use core::ops::Range;

/// Weights `[KH, KW, Cin, Cout]` to `T` points, of `R` taps at a time.
pub(super) struct Pack<'a, const T: usize, const R: usize> {
    pub lines: &'a Lines,
    pub weights: &'a [f32],
    pub packed: &'a mut [f32],
}

impl<const T: usize, const R: usize> Operation for Pack<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Pack { lines, weights, packed } = self;
        let [_, _, channels, features] = lines.geometry.weights();
        let [across, line] = lines.axes();
        // From a tap to the next, across the lines and along them.
        let [next_row, next_tap] = lines.steps(lines.geometry.axes[1].window, channels * features);
        let (depth, pitch) = (lines.depth(), packed.len() / T);
        assert!(weights.len() == across.window * line.window * channels * features);
        assert!(depth * features.next_multiple_of(S::LANES) <= pitch);
        for panel in panels::<S>(features.div_ceil(S::LANES)) {
            let width = panel.len() * S::LANES;
            let mut at = panel.start * S::LANES * depth;
            for row in 0..across.window {
                for phase in 0..lines.phases() {
                    for channel in 0..channels {
                        for vector in panel.clone() {
                            let first = vector * S::LANES;
                            let live = (features - first).min(S::LANES);
                            let mut taps = [simd.splat(0.0); R];
                            for (i, weight) in taps.iter_mut().enumerate() {
                                let tap = phase * R + i;
                                if tap < line.window {
                                    let from = row * next_row + tap * next_tap + channel * features + first;
                                    // SAFETY: `live` features of the tap and channel lie there.
                                    *weight = unsafe { load(simd, weights.as_ptr().add(from), live) };
                                }
                            }
                            let points: [_; T] = const { &Points::<T>::FILTER }.transform(simd, &taps);
                            for (i, &point) in points.iter().enumerate() {
                                let to = i * pitch + at + first - panel.start * S::LANES;
                                // SAFETY: each point has `pitch` elements, in panels of `width` for each of `depth`.
                                unsafe { simd.store(packed.as_mut_ptr().add(to), point) };
                            }
                        }
                        at += width;
                    }
                }
            }
        }
    }
}

/// Lines of an image to points: `[T, lines, tiles, Cin]`, each point at a multiple of the pitch.
pub(super) struct ToPoints<'a, const T: usize> {
    pub of: &'a Lines,
    /// Of the output.
    pub lines: Range<usize>,
    pub image: &'a [f32],
    /// From a pixel of the image to the next.
    pub pitch: usize,
    pub samples: &'a mut [f32],
}

impl<const T: usize> Operation for ToPoints<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let ToPoints { of, lines, image, pitch: pixel_pitch, samples } = self;
        let [_, height, width, channels] = of.geometry.input();
        let [across, line] = of.axes();
        let steps = of.steps(width, pixel_pitch).map(usize::cast_signed);
        let (seen, tiles, pitch) = (of.seen(lines.len()), of.tiles_read(), samples.len() / T);
        assert!(image.len() >= span([1, height, width, channels], pixel_pitch));
        assert!(S::LANES <= channels && seen * tiles * channels <= pitch);
        for index in 0..seen {
            let y = (lines.start * across.stride + index).cast_signed() - across.before.cast_signed();
            let there = (0..across.input.cast_signed()).contains(&y);
            for tile in 0..tiles {
                let x = (tile * OUTPUTS).cast_signed() - line.before.cast_signed();
                let inside = if there { inside(x, T, line.input) } else { 0..0 };
                let first = image.as_ptr().wrapping_offset(y * steps[0] + x * steps[1]);
                let target = samples.as_mut_ptr().wrapping_add((index * tiles + tile) * channels);
                for vector in 0..channels.div_ceil(S::LANES) {
                    // The last overlaps the one before it rather than being cut.
                    let channel = (vector * S::LANES).min(channels - S::LANES);
                    let first = first.wrapping_add(channel);
                    let mut d = [simd.splat(0.0); T];
                    for (j, d) in d.iter_mut().enumerate() {
                        if inside.contains(&j) {
                            let pixel = first.wrapping_offset(j.cast_signed() * steps[1]);
                            // SAFETY: the pixel lies in the image, and has a vector's channels from `channel` on.
                            *d = unsafe { simd.load(pixel) };
                        }
                    }
                    let points = points::patch::<S, T, T>(simd, &d);
                    for (i, &point) in points.iter().enumerate() {
                        // SAFETY: a point has `pitch` elements, enough for all tiles of the lines.
                        unsafe { simd.store(target.add(i * pitch + channel), point) };
                    }
                }
            }
        }
    }
}

/// Products at the points, `[T, lines, tiles, features]`, to lines of the output.
pub(super) struct FromPoints<'a, const T: usize>(pub Target<'a>);

/// What products become.
pub(super) struct Target<'a> {
    pub of: &'a Lines,
    /// Of the output.
    pub lines: Range<usize>,
    pub products: &'a [f32],
    pub features: usize,
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
    /// Of the image's first pixel: all these features can be written in each.
    pub output: *mut f32,
    /// From a pixel of the output to the next.
    pub pitch: usize,
}

impl<const T: usize> Operation for FromPoints<'_, T> {
    /// Whether all are finite before the activation, which would hide some that are not.
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Target { of, lines, products, features, bias, activation, output, pitch: pixel_pitch } = self.0;
        let [_, _, width, _] = of.geometry.output();
        let [across, line] = of.axes();
        let steps = of.steps(width, pixel_pitch);
        let (tiles, pitch) = (of.tiles(), products.len() / T);
        assert!(
            lines.end <= across.output && lines.len() * tiles * features <= pitch && S::LANES <= features
        );
        assert!(bias.is_none_or(|bias| bias.len() == features));
        let mut finite = Finite::new(simd);
        for (index, y) in lines.enumerate() {
            for tile in 0..tiles {
                let x = tile * OUTPUTS;
                let count = OUTPUTS.min(line.output - x);
                let from = products[(index * tiles + tile) * features..].as_ptr();
                let to = output.wrapping_add(y * steps[0] + x * steps[1]);
                for vector in 0..features.div_ceil(S::LANES) {
                    let feature = (vector * S::LANES).min(features - S::LANES);
                    let mut column = [simd.splat(0.0); T];
                    // SAFETY: at each point there are `features` products of the tile, and as many biases; `count` pixels of
                    // the line from `x` on have as many outputs.
                    unsafe {
                        for (i, product) in column.iter_mut().enumerate() {
                            *product = simd.load(from.add(i * pitch + feature));
                        }
                        let mut sums: [_; OUTPUTS] = points::output::<S, T, OUTPUTS>(simd, &column);
                        if let Some(bias) = bias {
                            let bias = simd.load(bias.as_ptr().add(feature));
                            for sum in &mut sums {
                                *sum = simd.add(*sum, bias);
                            }
                        }
                        finite.see(simd, &sums);
                        activation.apply(simd, &mut sums);
                        for (i, &sum) in sums.iter().enumerate() {
                            if i < count {
                                simd.store(to.add(i * steps[1] + feature), sum);
                            }
                        }
                    }
                }
            }
        }
        finite.all(simd)
    }
}
