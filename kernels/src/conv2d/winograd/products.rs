use super::super::activation::Activation;
use super::super::tiles::{Compiled, Ends, Panel, Prefetch, Reach, Tiles};
use super::super::window::{Offsets, panels, split};
use crate::simd::{Operation, Simd, Tile};
use core::ops::Range;

/// At each point `[rows, channels]` times packed weights of `[channels, features]`.
pub(super) struct Products<'a> {
    pub points: usize,
    pub rows: usize,
    pub channels: usize,
    pub features: usize,
    /// From one point to the next is the whole by the number of points.
    pub samples: &'a [f32],
    pub packed: &'a [f32],
    pub products: &'a mut [f32],
    /// What is read and written after it, which comes from beyond the second-level cache meanwhile.
    pub fetched: [&'a [f32]; 2],
}

/// Rows at a time: they use a panel again from the first-level cache.
const ROWS: usize = 64;
/// Up to so many the usual panel is not called: that takes a twelfth of the time of 32 channels and four tiles. In
/// code of its own the loop is a little faster, by 4 % with 256 channels.
const FEW_CHANNELS: usize = 64;

impl Operation for Products<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // Asked of constants, so that no code is made for the tiles of others.
        match () {
            () if const { matches!(S::TILE, Tile::R4V2) } => self.all_points::<S, 4, 2, 8>(simd),
            () if const { matches!(S::TILE, Tile::R6V2) } => self.all_points::<S, 6, 2, 8>(simd),
            () if const { matches!(S::TILE, Tile::R6V4) } => self.all_points::<S, 6, 4, 8>(simd),
            () => self.all_points::<S, 5, 4, 6>(simd),
        }
    }
}

impl Products<'_> {
    /// Tiles of `R` rows by `V` vectors; of `N` rows by fewer vectors.
    #[inline(always)]
    fn all_points<S: Simd, const R: usize, const V: usize, const N: usize>(self, simd: S) {
        let Products { points, rows, channels, features, samples, packed, products, fetched } = self;
        let [sample_pitch, weight_pitch, product_pitch] =
            [samples.len(), packed.len(), products.len()].map(|len| len / points);
        let vectors = features.div_ceil(S::LANES);
        assert!(rows * channels <= sample_pitch && rows * features <= product_pitch);
        assert!(vectors * S::LANES * channels <= weight_pitch);
        let reach = Reach { rows: 1, run: channels, input_pitch: channels, weight_pitch: channels };
        let tiles: usize = split(rows, ROWS).map(|part| part.len().div_ceil(R)).sum();
        let steps = points * tiles * panels::<S>(vectors).count() * channels;
        // Taking turns, point by point.
        let mut fetched = fetched
            .map(|array| Prefetch { next: array.as_ptr(), step: array.len().div_ceil((steps / 2).max(1)) });
        let mut list = [Offsets::default(); ROWS];
        for part in split(rows, ROWS) {
            let list = &mut list[..part.len()];
            for (slot, row) in list.iter_mut().zip(part) {
                *slot = Offsets { read: row * channels, write: row * features };
            }
            for point in 0..points {
                let prefetch = &mut fetched[point % 2];
                let mut panels = panels::<S>(vectors);
                while let Some(Range { start, end }) = panels.next() {
                    let (first, width) = (start * S::LANES, (end - start) * S::LANES);
                    // SAFETY: the lengths were checked above; a panel has `channels * width` weights, and
                    // those before it `channels * first`.
                    let (input, panel) = unsafe {
                        let panel = Panel {
                            weights: packed.as_ptr().add(point * weight_pitch + channels * first),
                            step: width,
                            pitch: channels * width,
                            bias: core::ptr::null(),
                            output: products.as_mut_ptr().add(point * product_pitch + first),
                            live: width.min(features - first),
                            ends: Ends { resume: false, finish: false },
                        };
                        (samples.as_ptr().add(point * sample_pitch), panel)
                    };
                    let activation = Activation::None;
                    let tiles =
                        Tiles { input, list, reach: &reach, panel: &panel, activation, prefetch: *prefetch };
                    prefetch.next =
                        prefetch.next.wrapping_add(list.len().div_ceil(R) * channels * prefetch.step);
                    let fills = |next: Range<usize>| next.len() == V && next.end * S::LANES <= features;
                    let pair =
                        list.len() == 1 && fills(start..end) && panels.clone().next().is_some_and(fills);
                    match end - start {
                        _ if pair => {
                            panels.next();
                            simd.call(Compiled::<1, V, 2>(tiles));
                        }
                        1 if const { V > 1 } => simd.call(Compiled::<N, 1, 1>(tiles)),
                        2 if const { V > 2 } => simd.call(Compiled::<N, 2, 1>(tiles)),
                        3 if const { V > 3 } => simd.call(Compiled::<N, 3, 1>(tiles)),
                        // SAFETY: as in `Compiled`.
                        _ if S::MASKS && channels <= FEW_CHANNELS => unsafe {
                            tiles.compiled::<S, R, V, 1>(simd)
                        },
                        _ => simd.call(Compiled::<R, V, 1>(tiles)),
                    }
                }
            }
        }
    }
}
