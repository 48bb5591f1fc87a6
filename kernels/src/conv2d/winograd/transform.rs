use super::super::activation::Activation;
use super::super::geometry::span;
use super::super::window::{panels, vector};
use super::{Map, points};
use crate::simd::{Operation, Simd};
use core::ops::Range;

/// # Safety
/// `p` is valid for reading `n <= LANES` elements.
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(simd: S, p: *const f32, n: usize) -> S::Vector {
    // SAFETY: the caller's promise.
    unsafe { if n == S::LANES { simd.load(p) } else { simd.load_n(p, n) } }
}

/// # Safety
/// `p` is valid for writing `n <= LANES` elements.
#[inline(always)]
pub(super) unsafe fn store<S: Simd>(simd: S, p: *mut f32, v: S::Vector, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { if n == S::LANES { simd.store(p, v) } else { simd.store_n(p, v, n) } }
}

/// Zeros, until a number is seen that is not finite: zero times that is NaN, and stays so.
pub(super) struct Finite<V>(V);

impl<V: Copy> Finite<V> {
    #[inline(always)]
    pub fn new<S: Simd<Vector = V>>(simd: S) -> Finite<V> {
        Finite(simd.splat(0.0))
    }

    #[inline(always)]
    pub fn see<S: Simd<Vector = V>, const N: usize>(&mut self, simd: S, numbers: &[V; N]) {
        let mut sum = numbers[0];
        for &x in &numbers[1..] {
            sum = simd.add(sum, x);
        }
        self.0 = simd.mul_add(sum, simd.splat(0.0), self.0);
    }

    /// Whether all that was seen is finite.
    #[inline(always)]
    pub fn all<S: Simd<Vector = V>>(self, simd: S) -> bool {
        simd.reduce_add(self.0) == 0.0
    }
}

/// Weights `[3, 3, Cin, Cout]` to points, packed as the direct convolution packs a window of one tap.
pub(super) struct TransformFilter<'a> {
    pub weights: &'a [f32],
    /// Of the convolution that will read `packed`.
    pub channels: usize,
    pub features: usize,
    /// The weights are turned by 180° and the channels of the convolution are their last axis.
    pub transposed: bool,
    pub packed: &'a mut [f32],
}

pub(super) struct FilterToPoints<'a, const T: usize>(TransformFilter<'a>);

impl<'a> TransformFilter<'a> {
    pub fn sized<const T: usize>(self) -> FilterToPoints<'a, T> {
        FilterToPoints(self)
    }

    /// The weight of tap `tap`, `channel` and the features from `first` on, zeros after the last.
    ///
    /// # Safety
    /// `weights` has nine times `channels` times `features` elements.
    #[inline(always)]
    unsafe fn tap<S: Simd>(&self, simd: S, tap: usize, channel: usize, first: usize) -> S::Vector {
        let live = (self.features - first).min(S::LANES);
        if !self.transposed {
            // SAFETY: the features of one tap and channel lie beside each other.
            return unsafe {
                let row = (tap * self.channels + channel) * self.features;
                load(simd, self.weights.as_ptr().add(row + first), live)
            };
        }
        let row = (8 - tap) * self.channels * self.features + channel;
        let mut lanes = [0.0; 16];
        for (lane, slot) in lanes[..live].iter_mut().enumerate() {
            *slot = self.weights[row + (first + lane) * self.channels];
        }
        // SAFETY: no vector has more than 16 lanes.
        unsafe { simd.load(lanes.as_ptr()) }
    }
}

impl<const T: usize> Operation for FilterToPoints<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let filter = self.0;
        let whole = filter.features.next_multiple_of(S::LANES);
        let pitch = filter.packed.len() / (T * T);
        assert!(filter.weights.len() == 9 * filter.channels * filter.features);
        assert!(filter.channels * whole <= pitch);
        for panel in panels::<S>(whole / S::LANES) {
            let width = panel.len() * S::LANES;
            for channel in 0..filter.channels {
                for vector in panel.clone() {
                    let mut columns = [[simd.splat(0.0); 3]; T];
                    for kx in 0..3 {
                        let mut taps = [simd.splat(0.0); 3];
                        for (ky, weight) in taps.iter_mut().enumerate() {
                            // SAFETY: the length of the weights was checked above.
                            *weight = unsafe { filter.tap(simd, ky * 3 + kx, channel, vector * S::LANES) };
                        }
                        let column = points::filter::<S, T, 3>(simd, &taps);
                        for (row, &sample) in columns.iter_mut().zip(&column) {
                            row[kx] = sample;
                        }
                    }
                    let at = panel.start * S::LANES * filter.channels
                        + channel * width
                        + (vector - panel.start) * S::LANES;
                    for (i, row) in columns.iter().enumerate() {
                        let row = points::filter::<S, T, 3>(simd, row);
                        for (j, &sample) in row.iter().enumerate() {
                            // SAFETY: each point has `pitch` elements, in panels of `width`
                            // for each channel.
                            unsafe {
                                let packed = filter.packed.as_mut_ptr();
                                simd.store(packed.add((i * T + j) * pitch + at), sample);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Patches of an array to points: `[T², tiles, channels]`, each point at a multiple of the pitch.
pub(super) struct TransformPatches<'a> {
    pub map: &'a Map,
    pub tiles: Range<usize>,
    /// Of the array's channels those to transform.
    pub channels: Range<usize>,
    pub input: &'a [f32],
    /// What is read outside the input: a zero for each channel.
    pub zeros: &'a [f32],
    pub samples: &'a mut [f32],
}

pub(super) struct PatchesToPoints<'a, const P: usize, const T: usize>(TransformPatches<'a>);

impl<'a> TransformPatches<'a> {
    /// Patches of `P`×`P`.
    pub fn sized<const P: usize, const T: usize>(self) -> PatchesToPoints<'a, P, T> {
        PatchesToPoints(self)
    }
}

impl<const P: usize, const T: usize> Operation for PatchesToPoints<'_, P, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.0.channels.len() {
            channels if channels < S::LANES => self.vectors_of(simd, channels),
            _ => self.vectors_of(simd, S::LANES),
        }
    }
}

impl<const P: usize, const T: usize> PatchesToPoints<'_, P, T> {
    /// Every vector has `n` elements. Where that is a constant nothing asks for it.
    #[inline(always)]
    fn vectors_of<S: Simd>(self, simd: S, n: usize) {
        let TransformPatches { map, tiles, channels, input, zeros, samples } = self.0;
        let (pixel_pitch, first, channels) = (map.pitches.read, channels.start, channels.len());
        assert!(first + channels <= map.channels);
        let pitch = samples.len() / (T * T);
        assert!(tiles.end <= map.all_tiles() && tiles.len() * channels <= pitch);
        let shape = [map.batch, map.read[0], map.read[1], map.channels];
        assert!(input.len() == span(shape, pixel_pitch) && zeros.len() >= channels);
        for (slot, tile) in tiles.enumerate() {
            let [image, tile_row, tile_column] = map.place(tile);
            let top = map.origin[0] + (tile_row * (T - 2)).cast_signed();
            let left = map.origin[1] + (tile_column * (T - 2)).cast_signed();
            let mut patch = [[zeros.as_ptr(); P]; P];
            for (i, row) in patch.iter_mut().enumerate() {
                let y = top + i.cast_signed();
                if y < 0 || y >= map.read[0].cast_signed() {
                    continue;
                }
                for (j, pixel) in row.iter_mut().enumerate() {
                    let x = left + j.cast_signed();
                    if x >= 0 && x < map.read[1].cast_signed() {
                        let at = (image * map.read[0] + y.cast_unsigned()) * map.read[1] + x.cast_unsigned();
                        *pixel = input.as_ptr().wrapping_add(at * pixel_pitch + first);
                    }
                }
            }
            for index in 0..channels.div_ceil(n) {
                // The last overlaps the one before it rather than being cut.
                let channel = (index * n).min(channels - n);
                // SAFETY: every pixel of the patch has `channels` elements, of which `n` follow `channel`; a
                // point has `pitch` elements, enough for all tiles.
                unsafe {
                    let samples = samples.as_mut_ptr().add(slot * channels + channel);
                    let target = Target { samples, pitch, n };
                    target.two_rows::<S, P, T>(simd, &patch, channel, 0);
                    target.two_rows::<S, P, T>(simd, &patch, channel, 2);
                    target.two_rows::<S, P, T>(simd, &patch, channel, 4);
                    target.two_rows::<S, P, T>(simd, &patch, channel, 6);
                }
            }
        }
    }
}

/// Where a vector's points go, `pitch` apart.
struct Target {
    samples: *mut f32,
    pitch: usize,
    n: usize,
}

impl Target {
    /// The points of the rows `first` and `first + 1`, if there are such: two rows fit into registers where all
    /// do not.
    ///
    /// # Safety
    /// `n` elements can be read `channel` after each pixel of the patch, and written at each of the points.
    #[inline(always)]
    unsafe fn two_rows<S: Simd, const P: usize, const T: usize>(
        &self,
        simd: S,
        patch: &[[*const f32; P]; P],
        channel: usize,
        first: usize,
    ) {
        if first >= T {
            return;
        }
        let mut half = [[simd.splat(0.0); P]; 2];
        for j in 0..P {
            let mut column = [simd.splat(0.0); P];
            for (i, sample) in column.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *sample = unsafe { load(simd, patch[i][j].add(channel), self.n) };
            }
            let pair = points::patch_pair::<S, P, T>(simd, &column, first);
            (half[0][j], half[1][j]) = (pair[0], pair[1]);
        }
        for (i, row) in half.iter().enumerate().take(T - first) {
            let row = points::patch::<S, P, T>(simd, row);
            for (j, &sample) in row.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { store(simd, self.samples.add(((first + i) * T + j) * self.pitch), sample, self.n) };
            }
        }
    }
}

/// Products at the points, `[T², tiles, features]`, to outputs.
pub(super) struct TransformOutput<'a> {
    pub map: &'a Map,
    pub tiles: Range<usize>,
    pub products: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
    pub output: &'a mut [f32],
}

pub(super) struct OutputFromPoints<'a, const T: usize, const M: usize>(TransformOutput<'a>);

impl<'a> TransformOutput<'a> {
    pub fn sized<const T: usize, const M: usize>(self) -> OutputFromPoints<'a, T, M> {
        OutputFromPoints(self)
    }
}

impl<const T: usize, const M: usize> Operation for OutputFromPoints<'_, T, M> {
    /// Whether all are finite before the activation, which would hide some that are not.
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        match self.0.map.features {
            features if features < S::LANES => self.vectors_of(simd, features),
            _ => self.vectors_of(simd, S::LANES),
        }
    }
}

impl<const T: usize, const M: usize> OutputFromPoints<'_, T, M> {
    /// As [`PatchesToPoints::vectors_of`].
    #[inline(always)]
    fn vectors_of<S: Simd>(self, simd: S, n: usize) -> bool {
        let TransformOutput { map, tiles, products, bias, activation, output } = self.0;
        let (features, pixel_pitch) = (map.features, map.pitches.write);
        let pitch = products.len() / (T * T);
        assert!(tiles.end <= map.all_tiles() && tiles.len() * features <= pitch);
        assert!(output.len() == span([map.batch, map.written[0], map.written[1], features], pixel_pitch));
        assert!(bias.is_none_or(|bias| bias.len() == features));
        let row_pitch = map.written[1] * pixel_pitch;
        let mut finite = Finite::new(simd);
        for (slot, tile) in tiles.enumerate() {
            let [image, tile_row, tile_column] = map.place(tile);
            let (top, left) = (tile_row * M, tile_column * M);
            let (rows, columns) = (M.min(map.computed[0] - top), M.min(map.computed[1] - left));
            let first = (image * map.written[0] + top) * row_pitch + left * pixel_pitch;
            for index in 0..features.div_ceil(n) {
                let feature = (index * n).min(features - n);
                // SAFETY: there is a bias for each feature; a point has `pitch` elements, enough for all tiles;
                // rows and columns lie inside the output.
                unsafe {
                    let bias = match bias {
                        Some(bias) => load(simd, bias.as_ptr().add(feature), n),
                        None => simd.splat(0.0),
                    };
                    let products = products.as_ptr().add(slot * features + feature);
                    let output = output.as_mut_ptr().add(first + feature);
                    let outputs = Outputs {
                        products,
                        pitch,
                        bias,
                        activation,
                        output,
                        row_pitch,
                        pixel_pitch,
                        rows,
                        columns,
                        n,
                    };
                    outputs.every_other_row::<S, T, M>(simd, 0, &mut finite);
                    outputs.every_other_row::<S, T, M>(simd, 1, &mut finite);
                }
            }
        }
        finite.all(simd)
    }
}

/// A vector of features of one tile: its points, `pitch` apart, and where its outputs go.
struct Outputs<V> {
    products: *const f32,
    pitch: usize,
    bias: V,
    activation: Activation,
    output: *mut f32,
    /// From one row to the next, and from one column to the next.
    row_pitch: usize,
    pixel_pitch: usize,
    rows: usize,
    columns: usize,
    n: usize,
}

impl<V: Copy> Outputs<V> {
    /// The rows `first`, which is 0 or 1, `first + 2` and so on. They share the most, and half of the rows fit
    /// into registers where all do not.
    ///
    /// # Safety
    /// `n` elements can be read at each of the points, and written at each of the outputs.
    #[inline(always)]
    unsafe fn every_other_row<S: Simd<Vector = V>, const T: usize, const M: usize>(
        &self,
        simd: S,
        first: usize,
        finite: &mut Finite<V>,
    ) {
        let mut half = [[simd.splat(0.0); T]; MOST_ROWS];
        for j in 0..T {
            let mut column = [simd.splat(0.0); T];
            for (i, sample) in column.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *sample = unsafe { load(simd, self.products.add((i * T + j) * self.pitch), self.n) };
            }
            for (i, row) in half.iter_mut().enumerate() {
                if first + 2 * i < M {
                    row[j] = points::output_at::<S, T, M>(simd, &column, first + 2 * i);
                }
            }
        }
        // One by one, or the rows would be an array in memory.
        // SAFETY: the caller's promise.
        unsafe {
            self.row::<S, T, M>(simd, &half[0], first, finite);
            self.row::<S, T, M>(simd, &half[1], first + 2, finite);
            self.row::<S, T, M>(simd, &half[2], first + 4, finite);
        }
    }

    /// From a row's points to its outputs, if there is a row `y`.
    ///
    /// # Safety
    /// `n` elements can be written at each of the outputs.
    #[inline(always)]
    unsafe fn row<S: Simd<Vector = V>, const T: usize, const M: usize>(
        &self,
        simd: S,
        points: &[V; T],
        y: usize,
        finite: &mut Finite<V>,
    ) {
        if y >= M || y >= self.rows {
            return;
        }
        let mut sums: [_; M] = points::output(simd, points);
        for sum in &mut sums {
            *sum = simd.add(*sum, self.bias);
        }
        finite.see(simd, &sums);
        self.activation.apply(simd, &mut sums);
        // SAFETY: the caller's promise.
        unsafe {
            let output = self.output.add(y * self.row_pitch);
            if self.columns == M {
                for (x, &sum) in sums.iter().enumerate() {
                    store(simd, output.add(x * self.pixel_pitch), sum, self.n);
                }
            } else {
                for (x, &sum) in sums.iter().enumerate() {
                    if x < self.columns {
                        store(simd, output.add(x * self.pixel_pitch), sum, self.n);
                    }
                }
            }
        }
    }
}

/// Of a tile's rows every other one, of the largest tile.
const MOST_ROWS: usize = 3;

/// Sums at the points, `[T², channels, features]`, to the gradient of weights
/// `[3, 3, channels, features]`.
pub(super) struct TransformGradient<'a> {
    /// Channels times features.
    pub pairs: usize,
    pub sums: &'a [f32],
    pub d_weights: &'a mut [f32],
}

pub(super) struct GradientFromPoints<'a, const T: usize>(TransformGradient<'a>);

impl<'a> TransformGradient<'a> {
    pub fn sized<const T: usize>(self) -> GradientFromPoints<'a, T> {
        GradientFromPoints(self)
    }
}

impl<const T: usize> Operation for GradientFromPoints<'_, T> {
    /// Whether it is finite.
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let TransformGradient { pairs, sums, d_weights } = self.0;
        let pitch = sums.len() / (T * T);
        assert!(pairs <= pitch && d_weights.len() == 9 * pairs);
        let mut finite = Finite::new(simd);
        for index in 0..pairs.div_ceil(S::LANES) {
            let (pair, n) = vector::<S>(index, pairs);
            let mut half = [[simd.splat(0.0); T]; 3];
            for j in 0..T {
                let mut column = [simd.splat(0.0); T];
                for (i, sum) in column.iter_mut().enumerate() {
                    // SAFETY: each point has `pairs` elements at the least, of which `n` follow `pair`.
                    *sum = unsafe { load(simd, sums.as_ptr().add((i * T + j) * pitch + pair), n) };
                }
                let column = points::filter_transposed::<S, T>(simd, &column);
                for (row, &sum) in half.iter_mut().zip(&column) {
                    row[j] = sum;
                }
            }
            for (ky, row) in half.iter().enumerate() {
                let row = points::filter_transposed::<S, T>(simd, row);
                finite.see(simd, &row);
                for (kx, &tap) in row.iter().enumerate() {
                    // SAFETY: each tap has `pairs` elements.
                    unsafe {
                        store(simd, d_weights.as_mut_ptr().add((ky * 3 + kx) * pairs + pair), tap, n);
                    }
                }
            }
        }
        finite.all(simd)
    }
}
