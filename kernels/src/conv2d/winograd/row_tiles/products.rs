use super::super::super::activation::Activation;
use super::super::super::geometry::span;
use super::super::points;
use super::super::transform::{Finite, load, store};
use super::{OUTPUTS, RowTiles};
use crate::simd::{Operation, Simd, Tile};

/// Tiles whose places are listed at a time, a multiple of all that are computed at once.
const TILES: usize = 60;

/// Rows at the points times packed weights, transformed to rows of the output.
pub(super) struct Product<'a> {
    pub tiles: &'a RowTiles,
    /// Of the convolution's output.
    pub rows: usize,
    pub samples: &'a [f32],
    pub packed: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
    pub output: &'a mut [f32],
    /// From one pixel of the output to the next.
    pub pixel_pitch: usize,
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
    pixel_pitch: usize,
    /// Features of the vector.
    n: usize,
}

/// With `T` points and `P` plain columns. If `ROWS` is two, tiles of two rows give one row of maxima.
pub(super) struct ToOutputs<'a, const T: usize, const P: usize, const ROWS: usize>(pub Product<'a>);

impl<const T: usize, const P: usize, const ROWS: usize> Operation for ToOutputs<'_, T, P, ROWS> {
    /// Whether all sums are finite before pool and activation, which would hide some that are not.
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        // Asked of constants, so that no code is made for those that there are no such tiles of.
        match () {
            () if const { !matches!(S::TILE, Tile::R6V4) } => true,
            () if const { P > 0 } => self.all::<S, 3>(simd),
            () => self.all::<S, 4>(simd),
        }
    }
}

impl<const T: usize, const P: usize, const ROWS: usize> ToOutputs<'_, T, P, ROWS> {
    /// `G` tiles at a time.
    #[inline(always)]
    fn all<S: Simd, const G: usize>(self, simd: S) -> bool {
        match self.0.tiles.geometry.channels_out {
            features if features < S::LANES => self.vectors_of::<S, G>(simd, features),
            _ => self.vectors_of::<S, G>(simd, S::LANES),
        }
    }

    /// Every vector has `n` features. Where that is a constant nothing asks for it.
    #[inline(always)]
    fn vectors_of<S: Simd, const G: usize>(self, simd: S, n: usize) -> bool {
        let product = self.0;
        let RowTiles { geometry, form, .. } = *product.tiles;
        let [vertical, horizontal] = geometry.axes;
        let [features, tiles, line] = [geometry.channels_out, product.tiles.tiles(), product.tiles.line()];
        let pixel_pitch = product.pixel_pitch;
        let pitch = product.samples.len() / form.planes();
        let panel = product.tiles.depth() * form.weights() * S::LANES;
        let seen = (product.rows - 1) * vertical.stride + vertical.window;
        let [columns, width] = [OUTPUTS / ROWS, horizontal.output / ROWS];
        assert!(form.phases() * seen * line <= pitch);
        assert!(product.packed.len() == panel * features.div_ceil(S::LANES));
        assert!(product.output.len() >= span([1, product.rows / ROWS, width, features], pixel_pitch));
        let mut list = [Place::default(); TILES];
        let mut finite = Finite::new(simd);
        let (mut row, mut tile) = (0, 0);
        while row < product.rows / ROWS * ROWS {
            let mut count = 0;
            while count < TILES && row < product.rows / ROWS * ROWS {
                let run = (tiles - tile).min((TILES - count) / ROWS);
                let next_row = vertical.stride * form.phases() * line;
                let mut read = row * next_row + tile * geometry.channels_in;
                let mut write = (row / ROWS * width + tile * columns) * pixel_pitch;
                for places in list[count..count + run * ROWS].chunks_exact_mut(ROWS) {
                    for (i, place) in places.iter_mut().enumerate() {
                        *place = Place { read: read + i * next_row, write, columns };
                    }
                    read += geometry.channels_in;
                    write += columns * pixel_pitch;
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
                        pixel_pitch,
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
                            shared.tiles::<S, T, P, ROWS, G>(simd, list, &mut finite);
                            done = at + G;
                        } else if let Some(list) = list[done..count].first_chunk::<ROWS>() {
                            shared.tiles::<S, T, P, ROWS, ROWS>(simd, list, &mut finite);
                            done += ROWS;
                        }
                    }
                }
            }
        }
        finite.all(simd)
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
        sums: &mut Sums<S::Vector, T, P, G>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            for (sums, plane) in sums.points.iter_mut().zip(&self.points) {
                let w = simd.load(*weights);
                *weights = weights.add(S::LANES);
                for (sum, &at) in sums.iter_mut().zip(at) {
                    *sum = simd.mul_add(simd.splat(*plane.add(at)), w, *sum);
                }
            }
            if P > 0 {
                let w = simd.load(*weights);
                *weights = weights.add(S::LANES);
                for (sums, plane) in sums.plain.iter_mut().zip(&self.plain) {
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
        finite: &mut Finite<V>,
    ) {
        let zeros = [simd.splat(0.0); G];
        let mut sums = Sums { points: [zeros; T], plain: [zeros; P] };
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
            // Of one channel the lines are the inner loop.
            if T == 6 && self.channels == 1 {
                for _ in 0..self.lines {
                    planes.add_products::<S, G>(simd, &mut weights, &at, &mut sums);
                    for at in &mut at {
                        *at += self.line;
                    }
                }
            } else {
                for _ in 0..self.lines {
                    for _ in 0..self.channels {
                        planes.add_products::<S, G>(simd, &mut weights, &at, &mut sums);
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
        // SAFETY: the caller's promise.
        unsafe {
            sums.finish::<S, ROWS>(simd, self, list, 0, finite);
            sums.finish::<S, ROWS>(simd, self, list, 1, finite);
            sums.finish::<S, ROWS>(simd, self, list, 2, finite);
            sums.finish::<S, ROWS>(simd, self, list, 3, finite);
        }
    }

    /// Bias and activation of neighbours in a row, and where they go.
    ///
    /// # Safety
    /// As many of them as the place says can be written.
    #[inline(always)]
    unsafe fn write<S: Simd<Vector = V>, const N: usize>(
        &self,
        simd: S,
        place: &Place,
        mut outputs: [V; N],
        finite: &mut Finite<V>,
    ) {
        for output in &mut outputs {
            *output = simd.add(*output, self.bias);
        }
        finite.see(simd, &outputs);
        self.activation.apply(simd, &mut outputs);
        let start = self.output.wrapping_add(place.write);
        if place.columns == N {
            for (x, &output) in outputs.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { store(simd, start.add(x * self.pixel_pitch), output, self.n) };
            }
        } else {
            for (x, &output) in outputs.iter().enumerate() {
                if x < place.columns {
                    // SAFETY: the caller's promise.
                    unsafe { store(simd, start.add(x * self.pixel_pitch), output, self.n) };
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

    /// From the sums of tile `g` to its outputs, or of it and the next to their maxima, if there is one and a pair
    /// begins with it.
    ///
    /// # Safety
    /// The place's columns can be written.
    #[inline(always)]
    unsafe fn finish<S: Simd<Vector = V>, const ROWS: usize>(
        &self,
        simd: S,
        shared: &Shared<V>,
        list: &[Place; G],
        g: usize,
        finite: &mut Finite<V>,
    ) {
        if g >= G || !g.is_multiple_of(ROWS) {
            return;
        }
        let outputs = self.outputs(simd, g);
        // SAFETY: the caller's promise.
        unsafe {
            if ROWS == 1 {
                shared.write(simd, &list[g], outputs, finite);
            } else {
                let below = self.outputs(simd, g + 1);
                finite.see(simd, &outputs);
                finite.see(simd, &below);
                let mut maxima = [shared.bias; OUTPUTS / 2];
                for (x, maximum) in maxima.iter_mut().enumerate() {
                    let upper = simd.max(outputs[2 * x], outputs[2 * x + 1]);
                    let lower = simd.max(below[2 * x], below[2 * x + 1]);
                    *maximum = simd.max(upper, lower);
                }
                shared.write(simd, &list[g], maxima, finite);
            }
        }
    }
}
