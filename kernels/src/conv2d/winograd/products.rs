use super::super::activation::Activation;
use super::super::tiles::{Compiled, Ends, Panel, Prefetch, Reach, Tiles};
use super::super::window::{Offsets, panels, split};
use crate::simd::{Operation, Simd, Tile};
use core::mem::MaybeUninit;
use core::ops::Range;

/// At each point rows of samples times packed weights, to `[rows, features]`. A row is what `reach` says, of all channels.
pub(super) struct Products<'a> {
    pub points: usize,
    pub rows: usize,
    pub places: Places,
    pub reach: Reach,
    pub features: usize,
    /// From one point to the next is the whole by the number of points.
    pub samples: &'a [f32],
    /// From the first feature's on, and so many from one point to the next.
    pub packed: &'a [f32],
    pub weight_pitch: usize,
    pub products: &'a mut [f32],
    /// What is read and written after it, which comes from beyond the second-level cache meanwhile.
    pub fetched: [*const [f32]; 2],
}

/// Where rows begin: `of_line` of them, `step` elements apart, then the same from the next line on.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub of_line: usize,
    pub step: usize,
    pub line: usize,
}

impl Places {
    fn of(&self, row: usize) -> usize {
        row / self.of_line * self.line + row % self.of_line * self.step
    }
}

/// Rows at a time: they use a panel again from the first-level cache.
const ROWS: usize = 64;
/// Weights that the second-level cache has no room for.
const SECOND_LEVEL: usize = 256 * 1024;
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
        let Products {
            points,
            rows,
            places,
            reach,
            features,
            samples,
            packed,
            weight_pitch,
            products,
            fetched,
        } = self;
        let [sample_pitch, product_pitch] = [samples.len(), products.len()].map(|len| len / points);
        let vectors = features.div_ceil(S::LANES);
        let depth = reach.rows * reach.run;
        let weights = vectors * S::LANES * depth;
        let last =
            if rows == 0 { 0 } else { places.of(rows - 1).max(places.of(places.of_line.min(rows) - 1)) };
        assert!(last + (reach.rows - 1) * reach.input_pitch + reach.run <= sample_pitch);
        assert!(reach.weight_pitch == reach.run && rows * features <= product_pitch);
        assert!(weights <= weight_pitch && (points - 1) * weight_pitch + weights <= packed.len());
        let tiles: usize = split(rows, ROWS).map(|part| part.len().div_ceil(R)).sum();
        let steps = points * tiles * panels::<S>(vectors).count() * depth;
        // Taking turns, point by point.
        let mut fetched = fetched
            .map(|array| Prefetch { next: array.cast(), step: array.len().div_ceil((steps / 2).max(1)) });
        // Many weights that are used once do too.
        let once = points * weights >= SECOND_LEVEL && rows <= ROWS;
        let mut list = [Offsets::default(); ROWS];
        for part in split(rows, ROWS) {
            let list = &mut list[..part.len()];
            for (slot, row) in list.iter_mut().zip(part) {
                *slot = Offsets { read: places.of(row), write: row * features };
            }
            for point in 0..points {
                let prefetch = &mut fetched[point % 2];
                let mut panels = panels::<S>(vectors);
                while let Some(Range { start, end }) = panels.next() {
                    let (first, width) = (start * S::LANES, (end - start) * S::LANES);
                    // SAFETY: the lengths were checked above; a panel has `depth * width` weights, and
                    // those before it `depth * first`.
                    let (input, panel) = unsafe {
                        let panel = Panel {
                            weights: packed.as_ptr().add(point * weight_pitch + depth * first),
                            step: width,
                            pitch: depth * width,
                            bias: core::ptr::null(),
                            output: products.as_mut_ptr().add(point * product_pitch + first),
                            live: width.min(features - first),
                            ends: Ends { resume: false, finish: false },
                        };
                        (samples.as_ptr().add(point * sample_pitch), panel)
                    };
                    let finish = Activation::None.into();
                    let tiles = list.len().div_ceil(R);
                    let prefetch = if once {
                        let next = panel.weights.wrapping_add(panel.pitch);
                        Prefetch { next, step: width.div_ceil(tiles) }
                    } else {
                        let next = *prefetch;
                        prefetch.next = next.next.wrapping_add(tiles * depth * next.step);
                        next
                    };
                    let tiles = Tiles { input, list, reach: &reach, panel: &panel, finish, prefetch };
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
                        _ if S::MASKS && depth <= FEW_CHANNELS => unsafe {
                            tiles.compiled::<S, R, V, 1>(simd)
                        },
                        _ => simd.call(Compiled::<R, V, 1>(tiles)),
                    }
                }
            }
        }
    }
}

/// The same where channels and features are a vector each: at each point rows of samples become rows of products.
pub(super) struct ProductsInPlace<'a> {
    pub points: usize,
    pub rows: usize,
    /// From one point to the next is the whole by the number of points.
    pub packed: &'a [f32],
    pub samples: &'a mut [f32],
}

/// Whether there is such code for so many channels and features.
pub(super) struct InPlace {
    pub channels: usize,
    pub features: usize,
}

impl Operation for InPlace {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> bool {
        S::MASKS && [self.channels, self.features] == [S::LANES; 2]
    }
}

impl Operation for ProductsInPlace<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match S::LANES {
            16 if const { S::MASKS } => self.all_points::<S, 16, 16>(simd),
            8 if const { S::MASKS } => self.all_points::<S, 8, 8>(simd),
            _ => {}
        }
    }
}

impl ProductsInPlace<'_> {
    /// `R` rows at a time, of `C` channels.
    #[inline(always)]
    fn all_points<S: Simd, const C: usize, const R: usize>(self, simd: S) {
        let ProductsInPlace { points, rows, packed, samples } = self;
        let [weight_pitch, pitch] = [packed.len(), samples.len()].map(|len| len / points);
        assert!(C == S::LANES && C * C <= weight_pitch && rows * C <= pitch);
        for point in 0..points {
            // SAFETY: the lengths were checked above.
            unsafe {
                let weights = packed.as_ptr().add(point * weight_pitch);
                let samples = samples.as_mut_ptr().add(point * pitch);
                let mut row = 0;
                while row + R <= rows {
                    multiply::<S, C, R>(simd, weights, samples.add(row * C));
                    row += R;
                }
                if R > 8 && row + 8 <= rows {
                    multiply::<S, C, 8>(simd, weights, samples.add(row * C));
                    row += 8;
                }
                while row + 2 <= rows {
                    multiply::<S, C, 2>(simd, weights, samples.add(row * C));
                    row += 2;
                }
                if row < rows {
                    multiply::<S, C, 1>(simd, weights, samples.add(row * C));
                }
            }
        }
    }
}

/// `R` rows of `C` channels, by weights.
///
/// # Safety
/// The rows can be read and written, and a vector of weights be read for each channel.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "ranges of constants are unrolled, iterators not always")]
unsafe fn multiply<S: Simd, const C: usize, const R: usize>(simd: S, weights: *const f32, rows: *mut f32) {
    let mut sums = [simd.splat(0.0); R];
    for channel in 0..C {
        // SAFETY: the caller's promise.
        let w = unsafe { simd.load(weights.add(channel * C)) };
        for r in 0..R {
            // SAFETY: the caller's promise.
            let x = simd.splat(unsafe { *rows.add(r * C + channel) });
            sums[r] = simd.mul_add(x, w, sums[r]);
        }
    }
    for (r, &sum) in sums.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { simd.store(rows.add(r * C), sum) };
    }
}

/// At each point the gradient to weights of `[channels, features]`, summed over rows: of samples `[rows, channels]` and of
/// the output's gradients `[rows, features]`.
pub(super) struct GradientProducts<'a> {
    pub points: usize,
    pub rows: usize,
    pub channels: usize,
    pub features: usize,
    /// From one point to the next is the whole by the number of points.
    pub samples: &'a [f32],
    pub gradients: &'a [f32],
    pub sums: &'a mut [f32],
    /// Whether what `sums` hold is overwritten; else it is added to.
    pub fresh: bool,
}

/// Rows that are summed in registers before the sum goes to memory.
const SUMMED_ROWS: usize = 128;

impl Operation for GradientProducts<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match S::TILE {
            Tile::R4V4 | Tile::R4V2 => self.all_points::<S, 4, 2, 8>(simd),
            Tile::R6V2 => self.all_points::<S, 6, 2, 8>(simd),
            Tile::R6V4 => self.all_points::<S, 6, 4, 16>(simd),
            Tile::R5V4 => self.all_points::<S, 8, 3, 8>(simd),
        }
    }
}

impl GradientProducts<'_> {
    /// Tiles of `R` channels by `V` vectors of features, of 8 by fewer, and of `N` by one.
    #[inline(always)]
    fn all_points<S: Simd, const R: usize, const V: usize, const N: usize>(mut self, simd: S) {
        let GradientProducts { points, rows, channels, features, .. } = self;
        let [sample_pitch, gradient_pitch, sum_pitch] =
            [self.samples.len(), self.gradients.len(), self.sums.len()].map(|len| len / points);
        assert!(rows * channels <= sample_pitch && rows * features <= gradient_pitch);
        assert!(channels * features <= sum_pitch);
        let mut copy = [const { MaybeUninit::<[S::Vector; V]>::uninit() }; SUMMED_ROWS];
        for part in split(rows, SUMMED_ROWS) {
            for point in 0..points {
                for vectors in split(features.div_ceil(S::LANES), V) {
                    let first = vectors.start * S::LANES;
                    // SAFETY: the lengths were checked above.
                    unsafe {
                        let panel = GradientPanel {
                            rows: part.len(),
                            channels,
                            features,
                            samples: self.samples.as_ptr().add(point * sample_pitch + part.start * channels),
                            gradients: self
                                .gradients
                                .as_ptr()
                                .add(point * gradient_pitch + part.start * features + first),
                            gradient_pitch: features,
                            sums: self.sums.as_mut_ptr().add(point * sum_pitch + first),
                            live: (vectors.len() * S::LANES).min(features - first),
                            fresh: self.fresh,
                        };
                        let copy = copy.as_mut_ptr().cast();
                        match vectors.len() {
                            1 if V > 1 => panel.tiles::<S, N, 1>(simd, copy),
                            2 if V > 2 => panel.tiles::<S, 8, 2>(simd, copy),
                            3 if V > 3 => panel.tiles::<S, 8, 3>(simd, copy),
                            _ => panel.tiles::<S, R, V>(simd, copy),
                        }
                    }
                }
            }
            self.fresh = false;
        }
    }
}

/// Some vectors of features at a point.
struct GradientPanel {
    rows: usize,
    channels: usize,
    features: usize,
    samples: *const f32,
    gradients: *const f32,
    /// From one row of gradients to the next.
    gradient_pitch: usize,
    sums: *mut f32,
    /// Features of the panel.
    live: usize,
    fresh: bool,
}

impl GradientPanel {
    /// In tiles of `R` channels by `V` vectors, and of fewer channels for what is left.
    ///
    /// # Safety
    /// The rows have `channels` samples and `live` gradients, which fill `V` vectors but the last; there are as many sums,
    /// `features` apart, for each channel; `copy` has room for as many vectors as the rows have.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const R: usize, const V: usize>(mut self, simd: S, copy: *mut S::Vector) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.live < self.features || self.live < V * S::LANES {
                // All channels read it again, and rows that lie a power of two apart would fight for a few lines of the
                // cache.
                for row in 0..self.rows {
                    for v in 0..V {
                        let gradients = self.gradients.add(row * self.gradient_pitch + v * S::LANES);
                        let n = (self.live - v * S::LANES).min(S::LANES);
                        let vector =
                            if n == S::LANES { simd.load(gradients) } else { simd.load_n(gradients, n) };
                        copy.add(row * V + v).write(vector);
                    }
                }
                (self.gradients, self.gradient_pitch) = (copy.cast_const().cast(), V * S::LANES);
            }
            let mut channel = 0;
            while channel + R <= self.channels {
                self.tile::<S, R, V>(simd, channel);
                channel += R;
            }
            if R > 8 && channel + 8 <= self.channels {
                self.tile::<S, 8, V>(simd, channel);
                channel += 8;
            }
            if R > 4 && channel + 4 <= self.channels {
                self.tile::<S, 4, V>(simd, channel);
                channel += 4;
            }
            if channel + 2 <= self.channels {
                self.tile::<S, 2, V>(simd, channel);
                channel += 2;
            }
            if channel < self.channels {
                self.tile::<S, 1, V>(simd, channel);
            }
        }
    }

    /// `R` channels from that one on, summed over the rows.
    ///
    /// # Safety
    /// As [`tiles`](Self::tiles), with whole vectors of gradients; the channels exist.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "ranges of constants are unrolled, iterators not always")]
    unsafe fn tile<S: Simd, const R: usize, const V: usize>(&self, simd: S, channel: usize) {
        let mut sums = [[simd.splat(0.0); V]; R];
        let mut samples = self.samples.wrapping_add(channel);
        let mut gradients = self.gradients;
        for _ in 0..self.rows {
            let mut d = [simd.splat(0.0); V];
            for (v, d) in d.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *d = unsafe { simd.load(gradients.add(v * S::LANES)) };
            }
            for r in 0..R {
                // SAFETY: the caller's promise.
                let x = simd.splat(unsafe { *samples.add(r) });
                for v in 0..V {
                    sums[r][v] = simd.mul_add(x, d[v], sums[r][v]);
                }
            }
            samples = samples.wrapping_add(self.channels);
            gradients = gradients.wrapping_add(self.gradient_pitch);
        }
        let whole = self.live == V * S::LANES;
        for (r, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe {
                    let slot = self.sums.add((channel + r) * self.features + v * S::LANES);
                    let n = if whole || v + 1 < V { S::LANES } else { self.live - v * S::LANES };
                    match n == S::LANES {
                        true if self.fresh => simd.store(slot, sum),
                        true => simd.store(slot, simd.add(simd.load(slot), sum)),
                        false if self.fresh => simd.store_n(slot, sum, n),
                        false => simd.store_n(slot, simd.add(simd.load_n(slot, n), sum), n),
                    }
                }
            }
        }
    }
}
