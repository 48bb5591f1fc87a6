use super::super::activation::Finish;
use super::super::geometry::span;
use super::super::window::{panels, vector};
use super::Map;
use super::points::{self, Filter, MOST_POINTS, Points};
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
        if S::MASKS {
            self.0.transform::<S, T>(simd, const { &Points::<T>::FILTER });
        } else {
            simd.call(AnyFilterToPoints(self.0, &Points::<T>::FILTER));
        }
    }
}

/// The same for all sizes, where code is worth more than the time that it takes once.
struct AnyFilterToPoints<'a>(TransformFilter<'a>, &'static Filter);

impl Operation for AnyFilterToPoints<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let AnyFilterToPoints(source, filter) = self;
        source.transform::<S, MOST_POINTS>(simd, filter);
    }
}

impl TransformFilter<'_> {
    /// By a filter's transform to `MOST` points along a side, or fewer.
    #[inline(always)]
    fn transform<S: Simd, const MOST: usize>(self, simd: S, transform: &Filter) {
        let filter = self;
        let points = transform.points();
        let whole = filter.features.next_multiple_of(S::LANES);
        let pitch = filter.packed.len() / (points * points);
        assert!(filter.weights.len() == 9 * filter.channels * filter.features);
        assert!(filter.channels * whole <= pitch);
        for panel in panels::<S>(whole / S::LANES) {
            let width = panel.len() * S::LANES;
            for channel in 0..filter.channels {
                for vector in panel.clone() {
                    let mut columns = [[simd.splat(0.0); 3]; MOST];
                    for kx in 0..3 {
                        let mut taps = [simd.splat(0.0); 3];
                        for (ky, weight) in taps.iter_mut().enumerate() {
                            // SAFETY: the length of the weights was checked above.
                            *weight = unsafe { filter.tap(simd, ky * 3 + kx, channel, vector * S::LANES) };
                        }
                        let column: [_; MOST] = transform.transform(simd, &taps);
                        for (row, &sample) in columns.iter_mut().zip(&column) {
                            row[kx] = sample;
                        }
                    }
                    let at = panel.start * S::LANES * filter.channels
                        + channel * width
                        + (vector - panel.start) * S::LANES;
                    for (i, row) in columns.iter().enumerate().take(points) {
                        let row: [_; MOST] = transform.transform(simd, row);
                        for (j, &sample) in row.iter().enumerate().take(points) {
                            // SAFETY: each point has `pitch` elements, in panels of `width`
                            // for each channel.
                            unsafe {
                                let packed = filter.packed.as_mut_ptr();
                                simd.store(packed.add((i * points + j) * pitch + at), sample);
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
            channels if S::MASKS && channels < S::LANES => self.vectors_of(simd, channels),
            _ => self.vectors_of(simd, S::LANES),
        }
    }
}

/// Elements of a vector where there are no masks, at the most.
const FEW: usize = 4;

/// A vector of `n` elements from each of `at` on. Part of a vector takes several instructions where there are no
/// masks: there the transforms know whole ones alone, of copies.
///
/// # Safety
/// `n` elements can be read at each of `at`.
#[inline(never)]
unsafe fn gather(at: &[*const f32], n: usize, vectors: &mut [[f32; FEW]]) {
    for (&at, vector) in at.iter().zip(vectors) {
        for (lane, slot) in vector.iter_mut().enumerate().take(n) {
            // SAFETY: the caller's promise.
            *slot = unsafe { at.add(lane).read() };
        }
    }
}

/// Of rows of `width` vectors the first `rows` and `columns`, `n` elements of each, to places `pitches` apart.
///
/// # Safety
/// `n` elements can be written at each of the places.
#[inline(never)]
unsafe fn scatter(
    vectors: &[[f32; FEW]],
    width: usize,
    [rows, columns, n]: [usize; 3],
    to: *mut f32,
    pitches: [usize; 2],
) {
    for (y, row) in vectors.chunks_exact(width).enumerate().take(rows) {
        for (x, vector) in row.iter().enumerate().take(columns) {
            for (lane, &element) in vector.iter().enumerate().take(n) {
                // SAFETY: the caller's promise.
                unsafe { to.add(y * pitches[0] + x * pitches[1] + lane).write(element) };
            }
        }
    }
}

/// The part of a patch's rows or columns that lies in an image of that extent.
pub(super) fn inside(first: isize, patch: usize, extent: usize) -> Range<usize> {
    let start = (-first).clamp(0, patch.cast_signed());
    let end = (extent.cast_signed() - first).clamp(start, patch.cast_signed());
    start.cast_unsigned()..end.cast_unsigned()
}

impl<const P: usize, const T: usize> PatchesToPoints<'_, P, T> {
    /// Every vector has `n` elements. Where that is a constant nothing asks for it.
    #[inline(always)]
    fn vectors_of<S: Simd>(self, simd: S, n: usize) {
        let TransformPatches { map, tiles, channels, input, samples } = self.0;
        let (pixel_pitch, first, channels) = (map.pitches.read, channels.start, channels.len());
        assert!(first + channels <= map.channels);
        let pitch = samples.len() / (T * T);
        assert!(tiles.end <= map.all_tiles() && tiles.len() * channels <= pitch);
        let [height, width] = map.read;
        assert!(input.len() == span([map.batch, height, width, map.channels], pixel_pitch));
        let few = !S::MASKS && channels < n;
        let mut few_points = [[[0.0; FEW]; T]; T];
        // A copy of a patch that reaches over the edges, with zeros beyond them.
        let mut copy = [[simd.splat(0.0); P]; P];
        for (slot, [image, tile_row, tile_column]) in map.places(tiles).enumerate() {
            let top = map.origin[0] + (tile_row * (T - 2)).cast_signed();
            let left = map.origin[1] + (tile_column * (T - 2)).cast_signed();
            let rows = inside(top, P, height);
            let columns = inside(left, P, width);
            let corner = ((image * height).cast_signed() + top) * width.cast_signed() + left;
            let corner =
                input.as_ptr().wrapping_add(first).wrapping_offset(corner * pixel_pitch.cast_signed());
            let whole = rows.len() == P && columns.len() == P;
            let copied = !const { masks_edges::<S>() } && (!whole || few);
            if copied {
                copy = [[simd.splat(0.0); P]; P];
            }
            let all = samples.as_mut_ptr().wrapping_add(slot * channels);
            let mut target = Target { samples: all, pitch, n };
            if few {
                (target.samples, target.pitch) = (few_points.as_mut_ptr().cast(), FEW);
            }
            for index in 0..channels.div_ceil(n) {
                // The last overlaps the one before it rather than being cut.
                let channel = (index * n).min(channels.saturating_sub(n));
                let corner = corner.wrapping_add(channel);
                let mut patch =
                    Patch { corner, pitches: [width * pixel_pitch, pixel_pitch], inside: [&rows, &columns] };
                if copied {
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let pixel = corner.wrapping_add(y * patch.pitches[0] + x * patch.pitches[1]);
                            let slot: *mut f32 = (&raw mut copy[y][x]).cast();
                            // SAFETY: the pixel lies in the image, and has so many elements from `channel` on.
                            unsafe {
                                if few {
                                    for lane in 0..channels {
                                        slot.add(lane).write(pixel.add(lane).read());
                                    }
                                } else {
                                    copy[y][x] = load(simd, pixel, n);
                                }
                            }
                        }
                    }
                    (patch.corner, patch.pitches) = (copy.as_ptr().cast(), [P * S::LANES, S::LANES]);
                }
                // SAFETY: `n` elements can be read at every pixel of the patch, or of its part inside the image, and written
                // from `channel` on at every point of the target.
                unsafe {
                    if const { masks_edges::<S>() } && !whole {
                        target.points::<S, P, T, true>(simd, &patch, channel);
                    } else {
                        target.points::<S, P, T, false>(simd, &patch, channel);
                    }
                }
            }
            if few {
                // SAFETY: a point has `channels` elements for the tile.
                unsafe { scatter(few_points.as_flattened(), T, [T, T, channels], all, [T * pitch, pitch]) };
            }
        }
    }
}

/// Whether what lies beyond an edge is masked, rather than zeros in a copy: with 256 bits a mask takes a register and as long.
const fn masks_edges<S: Simd>() -> bool {
    S::MASKS && S::LANES == 16
}

/// A patch of vectors whose rows and columns lie `pitches` apart. Those that are not `inside` lie beyond the edges of the image,
/// where there are zeros.
struct Patch<'a> {
    corner: *const f32,
    pitches: [usize; 2],
    inside: [&'a Range<usize>; 2],
}

/// Where the points of vectors go, `pitch` apart.
struct Target {
    samples: *mut f32,
    pitch: usize,
    n: usize,
}

impl Target {
    /// The points of a patch, which is at the `EDGE` of an image or lies inside.
    ///
    /// # Safety
    /// `n` elements can be read at each pixel of the patch, at the edge at each that is inside, and written `channel` after
    /// each of the points.
    #[inline(always)]
    unsafe fn points<S: Simd, const P: usize, const T: usize, const EDGE: bool>(
        &self,
        simd: S,
        patch: &Patch<'_>,
        channel: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            self.two_rows::<S, P, T, EDGE>(simd, patch, channel, 0);
            self.two_rows::<S, P, T, EDGE>(simd, patch, channel, 2);
            self.two_rows::<S, P, T, EDGE>(simd, patch, channel, 4);
            self.two_rows::<S, P, T, EDGE>(simd, patch, channel, 6);
        }
    }

    /// The rows `first` and `first + 1` of the points, if there are such: two rows fit into registers where all do not.
    ///
    /// # Safety
    /// As [`points`](Self::points).
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "ranges of constants are unrolled, iterators not always")]
    unsafe fn two_rows<S: Simd, const P: usize, const T: usize, const EDGE: bool>(
        &self,
        simd: S,
        patch: &Patch<'_>,
        channel: usize,
        first: usize,
    ) {
        if first >= T {
            return;
        }
        let &Patch { corner, pitches, inside: [rows, columns] } = patch;
        let mut half = [[simd.splat(0.0); P]; 2];
        for j in 0..P {
            let mut column = [simd.splat(0.0); P];
            if !EDGE || columns.contains(&j) {
                for (i, sample) in column.iter_mut().enumerate() {
                    let pixel = corner.wrapping_add(i * pitches[0] + j * pitches[1]);
                    // SAFETY: the caller's promise; beyond the edge nothing is read.
                    *sample = unsafe {
                        if EDGE {
                            simd.load_n(pixel, if rows.contains(&i) { self.n } else { 0 })
                        } else {
                            load(simd, pixel, self.n)
                        }
                    };
                }
            }
            let pair = points::patch_pair::<S, P, T>(simd, &column, first);
            (half[0][j], half[1][j]) = (pair[0], pair[1]);
        }
        let mut point = self.samples.wrapping_add(first * T * self.pitch + channel);
        for row in half.iter().take(T - first) {
            for sample in points::patch::<S, P, T>(simd, row) {
                // SAFETY: the caller's promise.
                unsafe { store(simd, point, sample, self.n) };
                point = point.wrapping_add(self.pitch);
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
    pub finish: Finish,
    /// Of the first pixel: the map's features can be written in each.
    pub output: *mut f32,
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
            features if S::MASKS && features < S::LANES => self.vectors_of(simd, features),
            _ => self.vectors_of(simd, S::LANES),
        }
    }
}

impl<const T: usize, const M: usize> OutputFromPoints<'_, T, M> {
    /// As [`PatchesToPoints::vectors_of`].
    #[inline(always)]
    fn vectors_of<S: Simd>(self, simd: S, n: usize) -> bool {
        let TransformOutput { map, tiles, products, bias, finish, output } = self.0;
        let (features, pixel_pitch) = (map.features, map.pitches.write);
        let pitch = products.len() / (T * T);
        assert!(tiles.end <= map.all_tiles() && tiles.len() * features <= pitch);
        assert!(bias.is_none_or(|bias| bias.len() == features));
        let row_pitch = map.written[1] * pixel_pitch;
        let mut finite = Finite::new(simd);
        let few = !S::MASKS && features < n;
        let (mut few_products, mut few_outputs) = ([[[0.0; FEW]; T]; T], [[[0.0; FEW]; M]; M]);
        let mut few_biases = [[0.0; FEW]];
        if let (true, Some(bias)) = (few, bias) {
            // SAFETY: there is a bias for each feature.
            unsafe { gather(&[bias.as_ptr()], features, &mut few_biases) };
        }
        for (slot, [image, tile_row, tile_column]) in map.places(tiles).enumerate() {
            let (top, left) = (tile_row * M, tile_column * M);
            let (rows, columns) = (M.min(map.computed[0] - top), M.min(map.computed[1] - left));
            let first = (image * map.written[0] + top) * row_pitch + left * pixel_pitch;
            // SAFETY: a point has `pitch` elements, enough for all tiles; rows and columns lie inside the output.
            let (mut products, all) = unsafe { (products.as_ptr().add(slot * features), output.add(first)) };
            let (mut pitch, mut output, mut pitches) = (pitch, all, [row_pitch, pixel_pitch]);
            if few {
                let mut points = [[products; T]; T];
                for (i, point) in points.as_flattened_mut().iter_mut().enumerate() {
                    *point = products.wrapping_add(i * pitch);
                }
                // SAFETY: a point has `features` elements for the tile.
                unsafe { gather(points.as_flattened(), features, few_products.as_flattened_mut()) };
                (products, pitch) = (few_products.as_ptr().cast(), FEW);
                (output, pitches) = (few_outputs.as_mut_ptr().cast(), [M * FEW, FEW]);
            }
            for index in 0..features.div_ceil(n) {
                let feature = (index * n).min(features.saturating_sub(n));
                // SAFETY: there is a bias for each feature; `n` elements follow `feature` at each point and at
                // each output.
                unsafe {
                    let bias = match bias {
                        Some(_) if few => load(simd, few_biases.as_ptr().cast(), n),
                        Some(bias) => load(simd, bias.as_ptr().add(feature), n),
                        None => simd.splat(0.0),
                    };
                    let outputs = Outputs {
                        products: products.add(feature),
                        pitch,
                        bias,
                        finish,
                        output: output.add(feature),
                        pitches,
                        rows,
                        columns,
                        n,
                    };
                    outputs.every_other_row::<S, T, M>(simd, 0, &mut finite);
                    outputs.every_other_row::<S, T, M>(simd, 1, &mut finite);
                }
            }
            if few {
                let written = [rows, columns, features];
                // SAFETY: rows and columns lie inside the output.
                unsafe { scatter(few_outputs.as_flattened(), M, written, all, [row_pitch, pixel_pitch]) };
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
    finish: Finish,
    output: *mut f32,
    /// From one row to the next, and from one column to the next.
    pitches: [usize; 2],
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
        let output = self.output.wrapping_add(y * self.pitches[0]);
        if const { Finish::can_add::<S>() } && self.finish.adds {
            for (x, sum) in sums.iter_mut().enumerate() {
                if x < self.columns {
                    // SAFETY: the caller's promise.
                    let held = unsafe { load(simd, output.add(x * self.pitches[1]), self.n) };
                    *sum = simd.add(*sum, held);
                }
            }
        }
        self.finish.activation.apply(simd, &mut sums);
        // SAFETY: the caller's promise.
        unsafe {
            if self.columns == M {
                for (x, &sum) in sums.iter().enumerate() {
                    store(simd, output.add(x * self.pitches[1]), sum, self.n);
                }
            } else {
                for (x, &sum) in sums.iter().enumerate() {
                    if x < self.columns {
                        store(simd, output.add(x * self.pitches[1]), sum, self.n);
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
