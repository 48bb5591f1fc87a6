use super::{Geometry, POSITIONS, load};
use crate::conv2d::window::{Offsets, Order, Positions, Sweep, split};
use crate::error::check;
use crate::simd::{Operation, Simd, Tile};
use crate::{Error, Isa};
use core::mem::MaybeUninit;
use core::ops::Range;

/// Gradient of a depthwise convolution to its weights, from its input `[N, H, W, C]` and its
/// output's gradient `[N, OH, OW, C * M]`.
///
/// The gradient of some input `channels` is computed, `[KH, KW, channels, M]`, and overwrites
/// `d_weights`, so that threads can share the work. An element's bits do not depend on how the
/// channels are parted.
///
/// # Errors
/// A slice's length differs from the geometry's, or `channels` ends past the last.
pub fn grad_weights(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    d_output: &[f32],
    channels: Range<usize>,
    d_weights: &mut [f32],
) -> Result<(), Error> {
    let [kh, kw, max, multiplier] = geometry.weights();
    check("input", input, geometry.input().iter().product())?;
    check("output gradient", d_output, geometry.output().iter().product())?;
    if channels.end > max {
        return Err(Error::OutOfRange { what: "channels", max, got: channels.end });
    }
    check("weight gradient", d_weights, kh * kw * channels.len() * multiplier)?;
    d_weights.fill(0.0);
    if !channels.is_empty() {
        let features = channels.start * multiplier..channels.end * multiplier;
        geometry.isa(isa).run(GradWeights { geometry, input, d_output, features, d_weights });
    }
    Ok(())
}

/// Taps whose offsets are listed at a time.
const TAPS: usize = 64;

struct GradWeights<'a> {
    geometry: &'a Geometry,
    input: &'a [f32],
    d_output: &'a [f32],
    /// Channels of the output.
    features: Range<usize>,
    d_weights: &'a mut [f32],
}

impl Operation for GradWeights<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        match S::TILE {
            Tile::R4V4 => self.all_rectangles::<S, 4>(simd),
            _ => self.all_rectangles::<S, 9>(simd),
        }
    }
}

impl GradWeights<'_> {
    /// Tiles of at most `R` taps.
    #[inline(always)]
    fn all_rectangles<S: Simd, const R: usize>(&mut self, simd: S) {
        let sweeps = Sweep::forward(&self.geometry.axes);
        let [_, kw, channels, multiplier] = self.geometry.weights();
        let [down, across] = self.geometry.axes;
        let pitch = [down.dilation * across.input * channels, across.dilation * channels];
        for vertical in sweeps[0].rectangles(Order::Positions) {
            for horizontal in sweeps[1].rectangles(Order::Positions) {
                let (first, across) = (horizontal.taps.start, horizontal.taps.len());
                let mut list = [Offsets::default(); TAPS];
                for part in split(vertical.taps.len() * across, TAPS) {
                    let list = &mut list[..part.len()];
                    for (tap, offsets) in part.zip(&mut *list) {
                        let (y, x) = (tap / across, tap % across);
                        let tap = (vertical.taps.start + y) * kw + first + x;
                        *offsets =
                            Offsets { read: y * pitch[0] + x * pitch[1], write: tap * self.features.len() };
                    }
                    let rectangle = [&vertical, &horizontal];
                    let written = channels * multiplier;
                    let positions =
                        Positions::new(self.geometry.batch, &sweeps, rectangle, channels, written);
                    self.taps::<S, R>(simd, positions, list);
                }
            }
        }
    }

    /// Adds what the positions contribute to the listed taps.
    #[inline(always)]
    fn taps<S: Simd, const R: usize>(&mut self, simd: S, mut positions: Positions, taps: &[Offsets]) {
        let multiplier = self.geometry.multiplier;
        let mut list = [const { MaybeUninit::uninit() }; POSITIONS];
        for part in split(positions.count(), POSITIONS) {
            let list = positions.fill(&mut list[..part.len()]);
            for first in self.features.clone().step_by(S::LANES) {
                let panel = Panel {
                    input: self.input.as_ptr().wrapping_add(first / multiplier),
                    d_output: self.d_output.as_ptr().wrapping_add(first),
                    d_weights: self.d_weights.as_mut_ptr().wrapping_add(first - self.features.start),
                    positions: list,
                    n: S::LANES.min(self.features.end - first),
                };
                for part in split(taps.len(), R) {
                    // SAFETY: the offsets are those of taps and positions of these arrays, whose
                    // lengths `grad_weights` checked, and the vector lies among the channels.
                    unsafe {
                        if panel.n == S::LANES {
                            panel.tiles::<S, R, true>(simd, &taps[part]);
                        } else {
                            panel.tiles::<S, R, false>(simd, &taps[part]);
                        }
                    }
                }
            }
        }
    }
}

/// A vector of channels, of which `n` exist, at some positions.
struct Panel<'a> {
    input: *const f32,
    d_output: *const f32,
    d_weights: *mut f32,
    positions: &'a [Offsets],
    n: usize,
}

impl Panel<'_> {
    /// # Safety
    /// The sum of any tap's and any position's `read` lies inside the input, a position's `write`
    /// inside the output's gradient and a tap's inside that of the weights. `n` of the vector's
    /// channels exist: with `WHOLE` all. There are at most `R` taps.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const R: usize, const WHOLE: bool>(&self, simd: S, taps: &[Offsets]) {
        // SAFETY: the caller's promise.
        unsafe {
            match taps.len() {
                1 => self.tile::<S, 1, WHOLE>(simd, taps),
                2 => self.tile::<S, 2, WHOLE>(simd, taps),
                3 => self.tile::<S, 3, WHOLE>(simd, taps),
                4 if R > 4 => self.tile::<S, 4, WHOLE>(simd, taps),
                5 if R > 5 => self.tile::<S, 5, WHOLE>(simd, taps),
                6 if R > 6 => self.tile::<S, 6, WHOLE>(simd, taps),
                7 if R > 7 => self.tile::<S, 7, WHOLE>(simd, taps),
                8 if R > 8 => self.tile::<S, 8, WHOLE>(simd, taps),
                _ => self.tile::<S, R, WHOLE>(simd, taps),
            }
        }
    }

    /// `R` taps by a vector of channels, summed over the positions.
    ///
    /// # Safety
    /// As [`tiles`](Self::tiles). Of the taps the first `R` are used.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const WHOLE: bool>(&self, simd: S, taps: &[Offsets]) {
        // An array, so that all that follows is unrolled and the sums stay in registers.
        let Some(taps) = taps.first_chunk::<R>() else { return };
        let mut sums = [simd.splat(0.0); R];
        let mut inputs = [self.input; R];
        for (input, tap) in inputs.iter_mut().zip(taps) {
            *input = input.wrapping_add(tap.read);
        }
        for position in self.positions {
            // SAFETY: the caller's promise.
            let d = unsafe { load::<S, WHOLE>(simd, self.d_output.wrapping_add(position.write), self.n) };
            for r in 0..R {
                // SAFETY: the caller's promise.
                let x = unsafe { load::<S, WHOLE>(simd, inputs[r].wrapping_add(position.read), self.n) };
                sums[r] = simd.mul_add(x, d, sums[r]);
            }
        }
        for (tap, &sum) in taps.iter().zip(&sums) {
            let slot = self.d_weights.wrapping_add(tap.write);
            // SAFETY: the caller's promise.
            unsafe {
                let sum = simd.add(load::<S, WHOLE>(simd, slot, self.n), sum);
                if WHOLE { simd.store(slot, sum) } else { simd.store_n(slot, sum, self.n) }
            }
        }
    }
}
