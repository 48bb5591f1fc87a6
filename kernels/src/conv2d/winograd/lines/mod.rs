mod transform;

use super::super::activation::Activation;
use super::super::geometry::{Axis, Geometry, Pitches, span};
use super::super::pack::WholeVectors;
use super::super::tiles::Reach;
use super::super::window::split;
use super::pitch;
use super::products::{Places, Products};
use crate::error::{check, elements};
use crate::simd::{Operation, Simd};
use crate::{Columns, Error, Isa};
use core::ops::Range;
use transform::{FromPoints, Pack, Target, ToPoints};

/// Convolution by Winograd's algorithm along one axis: four neighbours cost 6 multiplications in place of 12 for windows of
/// three, 8 in place of 20 for windows of five, 14 in place of 28 for windows of seven, whatever the window is along the other
/// axis. It serves windows like 1×7 and 7×1 (Szegedy et al., arXiv 1512.00567, section 3.2), that no square tile does.
///
/// At each point the samples are a map, a line of tiles for each line of the image, which a direct convolution goes over. More
/// than five taps are parted by fours, F(4, 4) for each: the samples of the second four are those of the next tile, so that
/// they are transformed once, and the sums of all meet at the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    pub(in crate::conv2d) isa: Isa,
    pub(in crate::conv2d) geometry: Geometry,
    along: Along,
}

/// What Winograd's [`Lines`] lie along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Along {
    /// Four neighbours in a row.
    Rows,
    /// Four neighbours in a column.
    Columns,
}

/// Outputs of a tile.
const OUTPUTS: usize = 4;
/// The most taps that are transformed together.
const MOST_TAPS: usize = 5;
/// What a block of lines takes at the points, samples and products, should stay in the second-level cache.
const BLOCK_BYTES: usize = 768 * 1024;
/// Fewer tiles at a time would read the weights too often.
const FEWEST_TILES: usize = 48;

/// Whether there is such code: where part of a vector takes one instruction, and with `std` for all vectors. Without, an image for
/// a Cortex-A53 is spared 17 KB: nets for chips have windows of 3×3.
struct HasLines;

impl Operation for HasLines {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> bool {
        S::LANES > 1 && (S::MASKS || cfg!(feature = "std"))
    }
}

/// How many a vector has.
struct Lanes;

impl Operation for Lanes {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::LANES
    }
}

impl Lines {
    /// Whether there are any for an instruction set. Where the compiler sees that there are for none, a program has nothing of
    /// them in it.
    #[inline]
    pub(in crate::conv2d) fn run_on(isa: Isa) -> bool {
        isa.run(HasLines)
    }

    /// For the shape of a convolution.
    ///
    /// # Errors
    /// Along that axis the windows are less than three wide, or stride or dilation is not 1; there are groups, or fewer channels
    /// or features than a vector has lanes; there is no such code for the instruction set (scalar or, without `std`, NEON and WebAssembly); or
    /// lines at the points would not fit memory.
    pub fn new(isa: Isa, geometry: &Geometry, along: Along) -> Result<Lines, Error> {
        let lines = Lines { isa, geometry: *geometry, along };
        let [across, line] = lines.axes();
        if !Lines::run_on(isa)
            || !lines.has_form(geometry.channels_in.min(geometry.channels_out))
            || geometry.groups != 1
            || line.window < 3
            || [line.stride, line.dilation] != [1, 1]
        {
            return Err(Error::NotWinograd);
        }
        // What the scratch is less than, so that no length overflows.
        let channels = geometry.channels_in.max(geometry.channels_out);
        elements("lines at the points", &[32, across.padded(), line.padded(), channels])?;
        Ok(lines)
    }

    /// Whether so many channels or features are a vector at the least.
    pub(in crate::conv2d) fn has_form(&self, count: usize) -> bool {
        count >= self.isa.run(Lanes)
    }

    /// What its tiles lie along.
    pub fn along(&self) -> Along {
        self.along
    }

    /// How far a result may be from the true one, in the units and the range of
    /// [`Winograd::error_bound`](super::Winograd::error_bound).
    pub fn error_bound(&self) -> f64 {
        // Roundings along a path through the three transforms, at the most.
        const TRANSFORMS: usize = 32;
        self.error_amplification() * (self.depth() + TRANSFORMS) as f64
    }

    /// As [`Tile::error_amplification`](super::Tile), for one dimension.
    fn error_amplification(&self) -> f64 {
        match self.taps() {
            3 => 13.0,
            4 => 23.0,
            _ => 40.0,
        }
    }

    /// Across the lines, and along them.
    fn axes(&self) -> [Axis; 2] {
        let [vertical, horizontal] = self.geometry.axes;
        match self.along {
            Along::Rows => [vertical, horizontal],
            Along::Columns => [horizontal, vertical],
        }
    }

    /// From a line to the next, and from a pixel of a line to the next, in maps of rows so wide.
    fn steps(&self, width: usize, pixel_pitch: usize) -> [usize; 2] {
        match self.along {
            Along::Rows => [width * pixel_pitch, pixel_pitch],
            Along::Columns => [pixel_pitch, width * pixel_pitch],
        }
    }

    /// Taps that are transformed together.
    fn taps(&self) -> usize {
        let [_, line] = self.axes();
        if line.window <= MOST_TAPS { line.window } else { OUTPUTS }
    }

    /// How many times so many make a window.
    fn phases(&self) -> usize {
        self.axes()[1].window.div_ceil(self.taps())
    }

    fn points(&self) -> usize {
        OUTPUTS + self.taps() - 1
    }

    /// Tiles of a line of the output.
    fn tiles(&self) -> usize {
        self.axes()[1].output.div_ceil(OUTPUTS)
    }

    /// Tiles of a line of the input.
    fn tiles_read(&self) -> usize {
        self.tiles() + self.phases() - 1
    }

    /// Products that are summed at a point.
    fn depth(&self) -> usize {
        self.axes()[0].window * self.phases() * self.geometry.channels_in
    }

    /// Lines of the output that are worked on together, of so many features.
    fn block(&self, features: usize) -> usize {
        let [across, _] = self.axes();
        let of_line = self.tiles_read() * self.geometry.channels_in * across.stride + self.tiles() * features;
        let lines = BLOCK_BYTES / (size_of::<f32>() * self.points() * of_line);
        let blocks = across.output.div_ceil(lines.max(FEWEST_TILES.div_ceil(self.tiles())));
        across.output.div_ceil(blocks)
    }

    /// Lines of the input, with padding, that so many of the output see.
    fn seen(&self, lines: usize) -> usize {
        let [across, _] = self.axes();
        (lines - 1) * across.stride + (across.window - 1) * across.dilation + 1
    }

    /// What it costs, in multiply-adds, if a sample or a product at a point costs `transform` of them, and a packed weight
    /// `reading`.
    pub(in super::super) fn cost(&self, transform: usize, reading: usize) -> f64 {
        let Geometry { batch, channels_in, .. } = self.geometry;
        let [across, _] = self.axes();
        let features = self.isa.run(WholeVectors(self.geometry.channels_out));
        let products = (across.output * self.tiles() * features) as f64;
        let samples = (self.seen(across.output) * self.tiles_read() * channels_in) as f64;
        let read = across.output.div_ceil(self.block(features)) * reading * self.packed_len();
        let points = self.points() as f64;
        let of_image =
            points * (products * self.depth() as f64 + (samples + products) * transform as f64) + read as f64;
        batch as f64 * of_image
    }

    /// Elements of the packed weights that [`forward`](Self::forward) takes.
    pub fn packed_len(&self) -> usize {
        self.points() * pitch(self.depth() * self.isa.run(WholeVectors(self.geometry.channels_out)))
    }

    /// Elements of scratch that [`forward`](Self::forward) takes.
    pub fn scratch_len(&self) -> usize {
        self.features_scratch_len(self.geometry.channels_out)
    }

    /// Elements of scratch that [`forward_features`](Self::forward_features) takes for so many.
    pub(in crate::conv2d) fn features_scratch_len(&self, features: usize) -> usize {
        self.scratch(features).iter().sum()
    }

    /// Elements of the samples at the points, and of the products.
    fn scratch(&self, features: usize) -> [usize; 2] {
        let lines = self.block(features);
        [
            self.points() * pitch(self.seen(lines) * self.tiles_read() * self.geometry.channels_in),
            self.points() * pitch(lines * self.tiles() * features),
        ]
    }

    /// Transforms weights `[KH, KW, Cin, Cout]` and packs them: `[points, panels, K, phases, Cin, width]` with the window's extent
    /// `K` across the lines.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn pack(&self, weights: &[f32], packed: &mut [f32]) -> Result<(), Error> {
        check("weights", weights, self.geometry.weights().iter().product())?;
        check("packed weights", packed, self.packed_len())?;
        match self.taps() {
            3 => self.isa.run_with_vectors(Pack::<6, 3> { lines: self, weights, packed }),
            4 => self.isa.run_with_vectors(Pack::<7, 4> { lines: self, weights, packed }),
            _ => self.isa.run_with_vectors(Pack::<8, 5> { lines: self, weights, packed }),
        };
        Ok(())
    }

    /// Convolution, bias and activation: `[N, H, W, Cin]` to `[N, OH, OW, Cout]`, with weights from [`pack`](Self::pack) and a
    /// bias of `[Cout]`. What `scratch` holds does not matter.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or a sum before the activation is [not finite](Error::NotFinite).
    pub fn forward(
        &self,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let pitches = Pitches::of(&self.geometry);
        self.forward_between(pitches, input, packed, bias, activation, output, scratch)
    }

    /// [`forward`](Self::forward), with pixels at these pitches.
    #[allow(clippy::too_many_arguments, reason = "those of `forward` and the pitches")]
    pub(in crate::conv2d) fn forward_between(
        &self,
        pitches: Pitches,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        check("output", output, span(self.geometry.output(), pitches.write))?;
        let features = 0..self.geometry.channels_out;
        self.run(pitches, features, input, packed, bias, activation, output.as_mut_ptr(), scratch)
    }

    /// [`forward_between`](Self::forward_between) for whole panels of the features.
    #[allow(clippy::too_many_arguments, reason = "those of `forward` and which features")]
    pub(in crate::conv2d) fn forward_features(
        &self,
        pitches: Pitches,
        features: Range<usize>,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: Columns<'_>,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let [batch, height, width, _] = self.geometry.output();
        let first = output.checked(batch * height * width, pitches.write, features.len())?;
        self.run(pitches, features, input, packed, bias, activation, first, scratch)
    }

    /// `output` is the first pixel of these features, which are checked to be there.
    #[allow(clippy::too_many_arguments, reason = "those of `forward` and which features")]
    fn run(
        &self,
        pitches: Pitches,
        features: Range<usize>,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: *mut f32,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let ([batch, height, width, channels], [_, rows, columns, _]) =
            (self.geometry.input(), self.geometry.output());
        check("input", input, span([batch, height, width, channels], pitches.read))?;
        check("packed weights", packed, self.packed_len())?;
        check("scratch", scratch, self.features_scratch_len(features.len()))?;
        if let Some(bias) = bias {
            check("bias", bias, self.geometry.channels_out)?;
        }
        let (bias, count) = (bias.map(|bias| &bias[features.clone()]), features.len());
        let (samples, products) = scratch.split_at_mut(self.scratch(count)[0]);
        // The last image may be shorter: with the last pixel's channels a slice of a wider map ends.
        for (index, image) in input.chunks(height * width * pitches.read).enumerate() {
            let output = output.wrapping_add(index * rows * columns * pitches.write);
            for lines in split(self.axes()[0].output, self.block(count)) {
                self.transform(lines.clone(), image, pitches.read, samples);
                self.multiply(lines.len(), features.clone(), samples, packed, products);
                let (features, pitch) = (count, pitches.write);
                let target = Target { of: self, lines, products, features, bias, activation, output, pitch };
                let finite = match self.taps() {
                    3 => self.isa.run_with_vectors(FromPoints::<6>(target)),
                    4 => self.isa.run_with_vectors(FromPoints::<7>(target)),
                    _ => self.isa.run_with_vectors(FromPoints::<8>(target)),
                };
                if finite != Some(true) {
                    return Err(Error::NotFinite);
                }
            }
        }
        Ok(())
    }

    /// What these lines of the output see of an image, to the points.
    fn transform(&self, lines: Range<usize>, image: &[f32], pitch: usize, samples: &mut [f32]) {
        match self.taps() {
            3 => self.isa.run_with_vectors(ToPoints::<6> { of: self, lines, image, pitch, samples }),
            4 => self.isa.run_with_vectors(ToPoints::<7> { of: self, lines, image, pitch, samples }),
            _ => self.isa.run_with_vectors(ToPoints::<8> { of: self, lines, image, pitch, samples }),
        };
    }

    /// The products of so many lines of the output, of some features.
    fn multiply(
        &self,
        lines: usize,
        features: Range<usize>,
        samples: &[f32],
        packed: &[f32],
        products: &mut [f32],
    ) {
        let ([across, _], channels) = (self.axes(), self.geometry.channels_in);
        let line = self.tiles_read() * channels;
        let run = self.phases() * channels;
        self.isa.run_with_vectors(Products {
            points: self.points(),
            rows: lines * self.tiles(),
            places: Places { of_line: self.tiles(), step: channels, line: across.stride * line },
            reach: Reach { rows: across.window, run, input_pitch: across.dilation * line, weight_pitch: run },
            features: features.len(),
            samples,
            packed: &packed[self.depth() * features.start..],
            weight_pitch: packed.len() / self.points(),
            products,
            fetched: [core::ptr::from_ref(&[][..]); 2],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::tests::error_amplification;
    use super::{Along, Lines};
    use crate::Isa;
    use crate::conv2d::{Geometry, Padding};

    #[test]
    fn growth_is_as_stated() {
        let computed = [
            (3, error_amplification::<6, 4, 3>()),
            (4, error_amplification::<7, 4, 4>()),
            (5, error_amplification::<8, 4, 5>()),
            (7, error_amplification::<7, 4, 4>()),
        ];
        for (window, computed) in computed {
            let g = Geometry::new([1, 9, 9, 16], [1, window], 16, [1, 1], Padding::Valid).unwrap();
            let Ok(lines) = Lines::new(Isa::detect(), &g, Along::Rows) else { return };
            let stated = lines.error_amplification();
            assert!(computed <= stated && stated < computed + 1.0, "{window}: {computed}, stated {stated}");
        }
    }
}
