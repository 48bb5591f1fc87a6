use super::super::activation::Activation;
use super::super::geometry::{Axis, Geometry};
use super::super::pack::WholeVectors;
use super::super::window::{split, vector};
use super::transform::{load, store};
use super::{pitch, points};
use crate::error::check;
use crate::simd::{Operation, Simd, Tile};
use crate::{Error, Isa};
use core::ops::Range;

/// Convolution by Winograd's algorithm along the rows alone: four neighbours in a row of the output cost 6
/// multiplications in place of 12 for windows three columns wide, 14 in place of 28 for windows of seven with
/// stride 2, 9 in place of 12 for windows of three with stride 2.
///
/// Sums at the points stay in registers until they are transformed, so that it serves few channels too. A
/// stride of two parts the columns into even and odd ones, over each of which a window slides by one: F(4, 4)
/// for both of seven columns, whose sums are transformed together; F(4, 2) for the even ones of three, with
/// the middle tap multiplied as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowTiles {
    isa: Isa,
    geometry: Geometry,
    form: Form,
    pooled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// F(4, 3).
    Three,
    /// F(4, 4), for every other column.
    SevenByTwo,
    /// F(4, 2), for every other column.
    ThreeByTwo,
}

impl Form {
    fn of(axis: &Axis) -> Option<Form> {
        match [axis.window, axis.stride, axis.dilation] {
            [3, 1, 1] => Some(Form::Three),
            [7, 2, 1] => Some(Form::SevenByTwo),
            [3, 2, 1] => Some(Form::ThreeByTwo),
            _ => None,
        }
    }

    const fn points(self) -> usize {
        match self {
            Form::Three => 6,
            Form::SevenByTwo => 7,
            Form::ThreeByTwo => 5,
        }
    }

    /// Of how many columns in a row each second or only one is transformed.
    const fn phases(self) -> usize {
        match self {
            Form::SevenByTwo => 2,
            Form::Three | Form::ThreeByTwo => 1,
        }
    }

    /// Columns, one for each output, that are multiplied as they are.
    const fn plain(self) -> usize {
        match self {
            Form::ThreeByTwo => OUTPUTS,
            Form::Three | Form::SevenByTwo => 0,
        }
    }

    const fn planes(self) -> usize {
        self.points() + self.plain()
    }

    /// Vectors of weights for each product of a tile.
    const fn weights(self) -> usize {
        self.points() + self.plain() / OUTPUTS
    }

    /// As [`Tile::growth`](super::Tile), for one dimension.
    const fn growth(self) -> f64 {
        match self {
            Form::Three => 13.0,
            Form::SevenByTwo => 23.0,
            Form::ThreeByTwo => 10.0,
        }
    }
}

/// Outputs of a tile.
const OUTPUTS: usize = 4;
/// Tiles whose places are listed at a time, a multiple of all that are computed at once.
const TILES: usize = 60;
/// Numbers of rows that are transformed together.
const PARTED: usize = 4 * 1024;
/// What the transformed rows of a block take should stay in the second-level cache.
const BLOCK_BYTES: usize = 512 * 1024;

/// Whether the registers hold the sums of several tiles, and a product takes an input from memory for all lanes.
///
/// With AVX2's sixteen registers a weight that is loaded meets two inputs: 3 channels to 64, windows of 7×7 and
/// 112×112 outputs take 2.24 ms, directly 2.09. NEON takes one instruction for the address and one for the load of
/// each input: 0.47 for a multiply-add of that layer, directly 0.36.
struct ProductsFromMemory;

impl Operation for ProductsFromMemory {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> bool {
        matches!(S::TILE, Tile::R6V4)
    }
}

impl RowTiles {
    /// For the shape of a convolution.
    ///
    /// # Errors
    /// The windows are not three columns wide with stride 1 or 2 or seven with stride 2, there are dilation or
    /// groups, or the instruction set is not AVX-512.
    pub fn new(isa: Isa, geometry: &Geometry) -> Result<RowTiles, Error> {
        let [vertical, horizontal] = geometry.axes;
        match Form::of(&horizontal) {
            Some(form) if geometry.groups == 1 && vertical.dilation == 1 && isa.run(ProductsFromMemory) => {
                Ok(RowTiles { isa, geometry: *geometry, form, pooled: false })
            }
            _ => Err(Error::NotWinograd),
        }
    }

    /// The same convolution and a max-pool of its output with windows of 2×2 and as large a stride, which takes the
    /// outputs from registers. `None` if a window would lack a row or column, or the sums are too many for four
    /// tiles at a time.
    pub fn pooled(mut self) -> Option<RowTiles> {
        let [_, height, width, _] = self.geometry.output();
        self.pooled = self.form.plain() == 0 && height.is_multiple_of(2) && width.is_multiple_of(2);
        self.pooled.then_some(self)
    }

    /// How far a result may be from the true one, in the units of
    /// [`Winograd::error_bound`](super::Winograd::error_bound).
    pub fn error_bound(&self) -> f64 {
        // Roundings along a path through the three transforms, at the most.
        const TRANSFORMS: usize = 32;
        // The sums of both phases are one.
        self.form.growth() * (self.depth() + TRANSFORMS) as f64
    }

    /// Multiplications of an image for each pair of channels.
    pub(in super::super) fn multiplications(&self) -> u64 {
        let [rows, columns] = self.geometry.axes;
        let tiles = columns.output.div_ceil(OUTPUTS) * rows.output;
        (tiles * self.form.planes() * self.form.phases() * rows.window) as u64
    }

    /// Products that are summed at a point.
    fn depth(&self) -> usize {
        self.geometry.axes[0].window * self.form.phases() * self.geometry.channels_in
    }

    /// Elements of the packed weights that [`forward`](Self::forward) takes.
    pub fn packed_len(&self) -> usize {
        self.depth() * self.form.weights() * self.isa.run(WholeVectors(self.geometry.channels_out))
    }

    /// Tiles in a row.
    pub(in super::super) fn tiles(&self) -> usize {
        self.geometry.axes[1].output.div_ceil(OUTPUTS)
    }

    /// Elements of a row at a point: tiles, and one more that the last reads.
    fn line(&self) -> usize {
        (self.tiles() + 1) * self.geometry.channels_in
    }

    /// Rows of the input that are transformed together, from the first-level cache.
    fn together(&self) -> usize {
        if self.form.phases() > 1 {
            return 1;
        }
        let columns = OUTPUTS * self.geometry.axes[1].stride;
        (PARTED / (columns * self.line())).clamp(1, self.seen())
    }

    /// Rows of the convolution's output that are worked on together: an even number, or all.
    pub(in super::super) fn block(&self) -> usize {
        let rows = self.geometry.axes[0];
        let row_bytes = size_of::<f32>() * self.form.planes() * self.form.phases() * self.line();
        let more = (BLOCK_BYTES / row_bytes).saturating_sub(rows.window) / rows.stride;
        (1 + more).next_multiple_of(2).min(rows.output)
    }

    /// Rows of the input that a block sees.
    fn seen(&self) -> usize {
        let rows = self.geometry.axes[0];
        (self.block() - 1) * rows.stride + rows.window
    }

    /// Rows and columns of what is written for an image.
    fn written(&self) -> [usize; 2] {
        let [_, height, width, _] = self.geometry.output();
        if self.pooled { [height / 2, width / 2] } else { [height, width] }
    }

    /// Elements of scratch that [`forward`](Self::forward) takes.
    pub fn scratch_len(&self) -> usize {
        self.scratch().iter().sum()
    }

    /// Elements of a row parted into columns, and of a block's rows at the points.
    fn scratch(&self) -> [usize; 2] {
        let parted = OUTPUTS * self.geometry.axes[1].stride * self.together() * self.line();
        [parted, self.form.planes() * pitch(self.seen() * self.form.phases() * self.line())]
    }

    /// Transforms weights `[KH, KW, Cin, Cout]` and packs them.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn pack(&self, weights: &[f32], packed: &mut [f32]) -> Result<(), Error> {
        check("weights", weights, self.geometry.weights().iter().product())?;
        check("packed weights", packed, self.packed_len())?;
        match self.form {
            Form::Three => self.isa.run(Pack::<6, 3> { tiles: self, weights, packed }),
            Form::SevenByTwo => self.isa.run(Pack::<7, 4> { tiles: self, weights, packed }),
            Form::ThreeByTwo => self.isa.run(Pack::<5, 2> { tiles: self, weights, packed }),
        }
        Ok(())
    }

    /// Convolution, bias and activation: `[N, H, W, Cin]` to `[N, OH, OW, Cout]`, or to half the rows and columns if
    /// [`pooled`](Self::pooled), with weights from [`pack`](Self::pack) and a bias of `[Cout]`. What `scratch` holds
    /// does not matter.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn forward(
        &self,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let [batch, h, w, channels] = self.geometry.input();
        let ([height, width], features) = (self.written(), self.geometry.channels_out);
        check("input", input, batch * h * w * channels)?;
        check("packed weights", packed, self.packed_len())?;
        check("output", output, batch * height * width * features)?;
        check("scratch", scratch, self.scratch_len())?;
        if let Some(bias) = bias {
            check("bias", bias, features)?;
        }
        let (parted, samples) = scratch.split_at_mut(self.scratch()[0]);
        let (all, block) = (self.geometry.axes[0].output, self.block());
        let images = input.chunks_exact(h * w * channels);
        for (image, output) in images.zip(output.chunks_exact_mut(height * width * features)) {
            let mut rest = output;
            for first in (0..all).step_by(block) {
                let rows = first..all.min(first + block);
                let (output, behind) = rest.split_at_mut(rows.len() * height / all * width * features);
                rest = behind;
                let transform = Transform { tiles: self, rows: rows.clone(), image, parted, samples };
                self.transform(transform);
                let rows = rows.len();
                self.multiply(Product { tiles: self, rows, samples, packed, bias, activation, output });
            }
        }
        Ok(())
    }

    fn transform(&self, transform: Transform<'_>) {
        match self.form {
            Form::Three => self.isa.run(ToPoints::<6, 4>(transform)),
            Form::SevenByTwo => self.isa.run(ToPoints::<7, 8>(transform)),
            Form::ThreeByTwo => self.isa.run(ToPoints::<5, 8>(transform)),
        }
    }

    fn multiply(&self, product: Product<'_>) {
        match (self.form, self.pooled) {
            (Form::Three, false) => self.isa.run(ToOutputs::<6, 0, 1>(product)),
            (Form::Three, true) => self.isa.run(ToOutputs::<6, 0, 2>(product)),
            (Form::SevenByTwo, false) => self.isa.run(ToOutputs::<7, 0, 1>(product)),
            (Form::SevenByTwo, true) => self.isa.run(ToOutputs::<7, 0, 2>(product)),
            (Form::ThreeByTwo, _) => self.isa.run(ToOutputs::<5, 4, 1>(product)),
        }
    }
}

/// Weights `[KH, KW, Cin, Cout]` to `[vectors, KH, phases, Cin, points, LANES]`, with `R` taps a phase.
struct Pack<'a, const T: usize, const R: usize> {
    tiles: &'a RowTiles,
    weights: &'a [f32],
    packed: &'a mut [f32],
}

impl<const T: usize, const R: usize> Operation for Pack<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
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
                        let points = points::filter::<S, T, R>(simd, &taps);
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
struct Transform<'a> {
    tiles: &'a RowTiles,
    /// Of the output.
    rows: Range<usize>,
    image: &'a [f32],
    parted: &'a mut [f32],
    samples: &'a mut [f32],
}

impl Transform<'_> {
    /// Rows by columns, `[OUTPUTS * stride, rows, tiles + 1, Cin]`: the same columns of all tiles lie beside each
    /// other, and are transformed a vector at a time. Columns outside the image are left as they are.
    ///
    /// `C` is the number of channels, or zero for any.
    #[inline(always)]
    fn part<const PERIOD: usize, const C: usize>(&mut self, rows: Range<usize>) {
        let channels = if C > 0 { C } else { self.tiles.geometry.channels_in };
        let axis = self.tiles.geometry.axes[1];
        let line = self.tiles.line();
        let column_len = self.parted.len() / PERIOD;
        let row_len = axis.input * channels;
        for first in 0..PERIOD {
            let outside = axis.before.saturating_sub(first).div_ceil(PERIOD);
            let inside = (axis.input + axis.before).saturating_sub(first).div_ceil(PERIOD);
            let inside = inside.min(self.tiles.tiles() + 1);
            if outside >= inside {
                continue;
            }
            let start = (outside * PERIOD + first - axis.before) * channels;
            let column = self.parted[first * column_len..].chunks_exact_mut(line);
            for (column, y) in column.zip(rows.clone()) {
                let samples = self.image[y * row_len..][..row_len][start..].chunks(PERIOD * channels);
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
struct ToPoints<'a, const T: usize, const PERIOD: usize>(Transform<'a>);

impl<const T: usize, const PERIOD: usize> Operation for ToPoints<'_, T, PERIOD> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
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
            match channels {
                1 => transform.part::<PERIOD, 1>(y..y + count),
                3 => transform.part::<PERIOD, 3>(y..y + count),
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

/// Rows at the points times packed weights, transformed to rows of the output.
struct Product<'a> {
    tiles: &'a RowTiles,
    /// Of the convolution's output.
    rows: usize,
    samples: &'a [f32],
    packed: &'a [f32],
    bias: Option<&'a [f32]>,
    activation: Activation,
    output: &'a mut [f32],
}

/// Where a tile reads and writes, in elements, and how many of its columns are written.
#[derive(Clone, Copy, Default)]
struct Place {
    read: usize,
    write: usize,
    columns: usize,
}

/// What the tiles of a vector of features have in common.
struct Shared<V> {
    /// The first planes' samples, and from one plane, and one row of a plane, to the next.
    samples: *const f32,
    pitch: usize,
    line: usize,
    /// Rows of all phases that a window sees.
    lines: usize,
    channels: usize,
    weights: *const f32,
    bias: V,
    activation: Activation,
    output: *mut f32,
    features: usize,
    /// Features of the vector.
    n: usize,
}

/// With `T` points and `P` plain columns. If `ROWS` is two, tiles of two rows give one row of maxima.
struct ToOutputs<'a, const T: usize, const P: usize, const ROWS: usize>(Product<'a>);

impl<const T: usize, const P: usize, const ROWS: usize> Operation for ToOutputs<'_, T, P, ROWS> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // Asked of constants, so that no code is made for those that there are no such tiles of.
        match () {
            () if const { !matches!(S::TILE, Tile::R6V4) } => {}
            () if const { P > 0 } => self.all::<S, 3>(simd),
            () => self.all::<S, 4>(simd),
        }
    }
}

impl<const T: usize, const P: usize, const ROWS: usize> ToOutputs<'_, T, P, ROWS> {
    /// `G` tiles at a time.
    #[inline(always)]
    fn all<S: Simd, const G: usize>(self, simd: S) {
        match self.0.tiles.geometry.channels_out {
            features if features < S::LANES => self.vectors_of::<S, G>(simd, features),
            _ => self.vectors_of::<S, G>(simd, S::LANES),
        }
    }

    /// Every vector has `n` features. Where that is a constant nothing asks for it.
    #[inline(always)]
    fn vectors_of<S: Simd, const G: usize>(self, simd: S, n: usize) {
        let product = self.0;
        let RowTiles { geometry, form, .. } = *product.tiles;
        let [vertical, horizontal] = geometry.axes;
        let [features, tiles, line] = [geometry.channels_out, product.tiles.tiles(), product.tiles.line()];
        let pitch = product.samples.len() / form.planes();
        let panel = product.tiles.depth() * form.weights() * S::LANES;
        let seen = (product.rows - 1) * vertical.stride + vertical.window;
        let [columns, width] = [OUTPUTS / ROWS, horizontal.output / ROWS];
        assert!(form.phases() * seen * line <= pitch);
        assert!(product.packed.len() == panel * features.div_ceil(S::LANES));
        assert!(product.output.len() == product.rows / ROWS * width * features);
        let mut list = [Place::default(); TILES];
        let (mut row, mut tile) = (0, 0);
        while row < product.rows / ROWS * ROWS {
            let mut count = 0;
            while count < TILES && row < product.rows / ROWS * ROWS {
                let run = (tiles - tile).min((TILES - count) / ROWS);
                let next_row = vertical.stride * form.phases() * line;
                let mut read = row * next_row + tile * geometry.channels_in;
                let mut write = (row / ROWS * width + tile * columns) * features;
                for places in list[count..count + run * ROWS].chunks_exact_mut(ROWS) {
                    for (i, place) in places.iter_mut().enumerate() {
                        *place = Place { read: read + i * next_row, write, columns };
                    }
                    read += geometry.channels_in;
                    write += columns * features;
                }
                (count, tile) = (count + run * ROWS, tile + run);
                if tile == tiles {
                    list[count - ROWS].columns = width - (tiles - 1) * columns;
                    (row, tile) = (row + ROWS, 0);
                }
            }
            for index in 0..features.div_ceil(n) {
                // The last overlaps the one before it rather than being cut.
                let first = (index * n).min(features - n);
                // SAFETY: there is a bias for each of the features, and a panel for each vector of them.
                let shared = unsafe {
                    Shared {
                        samples: product.samples.as_ptr(),
                        pitch,
                        line,
                        lines: vertical.window * form.phases(),
                        channels: geometry.channels_in,
                        weights: product.packed.as_ptr().add(index * panel),
                        bias: match product.bias {
                            Some(bias) => load(simd, bias.as_ptr().add(first), n),
                            None => simd.splat(0.0),
                        },
                        activation: product.activation,
                        output: product.output.as_mut_ptr().add(first),
                        features,
                        n,
                    }
                };
                let mut done = 0;
                while done < count {
                    // The last tiles go back over what is done rather than be fewer.
                    let at = done.min(count.saturating_sub(G));
                    // SAFETY: the rows that a place's tile sees are there, and the columns that it writes; the
                    // lengths were checked above.
                    unsafe {
                        if let Some(list) = list[at..count].first_chunk::<G>() {
                            shared.tiles::<S, T, P, ROWS, G>(simd, list);
                            done = at + G;
                        } else if let Some(list) = list[done..count].first_chunk::<ROWS>() {
                            shared.tiles::<S, T, P, ROWS, ROWS>(simd, list);
                            done += ROWS;
                        }
                    }
                }
            }
        }
    }
}

/// The samples of the points, and of the columns that are multiplied as they are.
struct Planes<const T: usize, const P: usize> {
    points: [*const f32; T],
    plain: [*const f32; P],
}

impl<const T: usize, const P: usize> Planes<T, P> {
    /// Adds the products of a sample of `G` tiles at each point, and moves on to the next weights.
    ///
    /// # Safety
    /// There is a sample in each plane at each of `at`, and a vector of weights for each point and for `P` plain
    /// columns.
    #[inline(always)]
    unsafe fn add_products<S: Simd, const G: usize>(
        &self,
        simd: S,
        weights: &mut *const f32,
        at: &[usize; G],
        sums: &mut [[S::Vector; G]; T],
        plain_sums: &mut [[S::Vector; G]; P],
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            for (sums, plane) in sums.iter_mut().zip(&self.points) {
                let w = simd.load(*weights);
                *weights = weights.add(S::LANES);
                for (sum, &at) in sums.iter_mut().zip(at) {
                    *sum = simd.mul_add(simd.splat(*plane.add(at)), w, *sum);
                }
            }
            if P > 0 {
                let w = simd.load(*weights);
                *weights = weights.add(S::LANES);
                for (sums, plane) in plain_sums.iter_mut().zip(&self.plain) {
                    for (sum, &at) in sums.iter_mut().zip(at) {
                        *sum = simd.mul_add(simd.splat(*plane.add(at)), w, *sum);
                    }
                }
            }
        }
    }
}

impl<V: Copy> Shared<V> {
    /// `G` tiles by a vector of features, in registers from the first product to the activation.
    ///
    /// # Safety
    /// `lines` rows of each plane can be read from each place on, and as many columns as each `ROWS`th says be
    /// written; the weights are those of as many rows of all channels.
    #[inline(always)]
    unsafe fn tiles<
        S: Simd<Vector = V>,
        const T: usize,
        const P: usize,
        const ROWS: usize,
        const G: usize,
    >(
        &self,
        simd: S,
        list: &[Place; G],
    ) {
        let mut sums = [[simd.splat(0.0); G]; T];
        let mut plain_sums = [[simd.splat(0.0); G]; P];
        let mut planes = Planes { points: [self.samples; T], plain: [self.samples; P] };
        for (i, plane) in planes.points.iter_mut().chain(&mut planes.plain).enumerate() {
            *plane = self.samples.wrapping_add(i * self.pitch);
        }
        let mut at = [0; G];
        for (at, place) in at.iter_mut().zip(list) {
            *at = place.read;
        }
        let mut weights = self.weights;
        // SAFETY: the caller's promise.
        unsafe {
            if T == 6 && self.channels == 1 {
                for _ in 0..self.lines {
                    planes.add_products::<S, G>(simd, &mut weights, &at, &mut sums, &mut plain_sums);
                    for at in &mut at {
                        *at += self.line;
                    }
                }
            } else {
                for _ in 0..self.lines {
                    for _ in 0..self.channels {
                        planes.add_products::<S, G>(simd, &mut weights, &at, &mut sums, &mut plain_sums);
                        for at in &mut at {
                            *at += 1;
                        }
                    }
                    for at in &mut at {
                        *at += self.line - self.channels;
                    }
                }
            }
        }
        // One by one, or the sums would be an array in memory.
        let sums = Sums { points: sums, plain: plain_sums };
        // SAFETY: the caller's promise.
        unsafe {
            self.finish::<S, T, P, ROWS, G>(simd, list, 0, &sums);
            self.finish::<S, T, P, ROWS, G>(simd, list, 1, &sums);
            self.finish::<S, T, P, ROWS, G>(simd, list, 2, &sums);
            self.finish::<S, T, P, ROWS, G>(simd, list, 3, &sums);
        }
    }

    /// From the sums of tile `g` to its outputs, or of it and the next to their maxima, if there is one and a pair
    /// begins with it.
    ///
    /// # Safety
    /// The place's columns can be written.
    #[inline(always)]
    unsafe fn finish<
        S: Simd<Vector = V>,
        const T: usize,
        const P: usize,
        const ROWS: usize,
        const G: usize,
    >(
        &self,
        simd: S,
        list: &[Place; G],
        g: usize,
        sums: &Sums<V, T, P, G>,
    ) {
        if g >= G || !g.is_multiple_of(ROWS) {
            return;
        }
        let outputs = sums.outputs(simd, g);
        // SAFETY: the caller's promise.
        unsafe {
            if ROWS == 1 {
                self.write(simd, &list[g], outputs);
            } else {
                let below = sums.outputs(simd, g + 1);
                let mut maxima = [self.bias; OUTPUTS / 2];
                for (x, maximum) in maxima.iter_mut().enumerate() {
                    let upper = simd.max_or_nan(outputs[2 * x], outputs[2 * x + 1]);
                    let lower = simd.max_or_nan(below[2 * x], below[2 * x + 1]);
                    *maximum = simd.max_or_nan(upper, lower);
                }
                self.write(simd, &list[g], maxima);
            }
        }
    }

    /// Bias and activation of neighbours in a row, and where they go.
    ///
    /// # Safety
    /// As many of them as the place says can be written.
    #[inline(always)]
    unsafe fn write<S: Simd<Vector = V>, const N: usize>(&self, simd: S, place: &Place, mut outputs: [V; N]) {
        for output in &mut outputs {
            *output = simd.add(*output, self.bias);
        }
        self.activation.apply(simd, &mut outputs);
        let start = self.output.wrapping_add(place.write);
        if place.columns == N {
            for (x, &output) in outputs.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { store(simd, start.add(x * self.features), output, self.n) };
            }
        } else {
            for (x, &output) in outputs.iter().enumerate() {
                if x < place.columns {
                    // SAFETY: the caller's promise.
                    unsafe { store(simd, start.add(x * self.features), output, self.n) };
                }
            }
        }
    }
}

/// The sums of `G` tiles at the points and in the plain columns.
struct Sums<V, const T: usize, const P: usize, const G: usize> {
    points: [[V; G]; T],
    plain: [[V; G]; P],
}

impl<V: Copy, const T: usize, const P: usize, const G: usize> Sums<V, T, P, G> {
    /// The outputs of tile `g`, without the bias.
    #[inline(always)]
    fn outputs<S: Simd<Vector = V>>(&self, simd: S, g: usize) -> [V; OUTPUTS] {
        let mut column = [simd.splat(0.0); T];
        for (sum, sums) in column.iter_mut().zip(&self.points) {
            *sum = sums[g];
        }
        let mut outputs = points::output(simd, &column);
        for (output, sums) in outputs.iter_mut().zip(&self.plain) {
            *output = simd.add(*output, sums[g]);
        }
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::tests::growth;
    use super::Form;

    #[test]
    fn growth_is_as_stated() {
        let computed = [growth::<6, 4, 3>(), growth::<7, 4, 4>(), growth::<5, 4, 2>()];
        for (form, computed) in [Form::Three, Form::SevenByTwo, Form::ThreeByTwo].into_iter().zip(computed) {
            let stated = form.growth();
            assert!(computed <= stated && stated < computed + 1.0, "{form:?}: {computed}, stated {stated}");
        }
    }
}
