//! Convolution of 3×3 windows with stride 1 by Winograd's algorithm F(M×M, 3×3): M×M outputs cost
//! (M+2)² multiplications a pair of channels instead of 9 M².
//!
//! Tiles are worked on in blocks that stay in the second-level cache: the input's transform puts
//! every point of every tile beside each other, each point is a product of matrices by the same
//! register tiles as the direct convolution, and the output's transform adds bias and activation.

mod lines;
mod points;
mod products;
mod row_pairs;
mod row_tiles;
mod transform;

pub use lines::{Along, Lines};
pub use row_pairs::RowPairs;
pub use row_tiles::RowTiles;

use super::activation::{Activation, Finish};
use super::geometry::{Axis, Geometry, Pitches, clear_beyond, span};
use super::pack::WholeVectors;
use super::tiles::Reach;
use super::window::split;
use crate::error::check;
use crate::{Columns, Error, Isa};
use core::ops::Range;
use core::ptr;
use products::{GradientProducts, InPlace, Places, Products, ProductsInPlace};
use transform::{TransformFilter, TransformGradient, TransformOutput, TransformPatches};

/// The outputs of a tile, and with them the algorithm.
///
/// A larger tile saves more multiplications and rounds more: see [`Winograd::error_bound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// F(2×2, 3×3): 2.25 times fewer multiplications.
    F2,
    /// F(3×3, 3×3): 3.24 times fewer.
    F3,
    /// F(4×4, 3×3): 4 times fewer.
    F4,
    /// F(5×5, 3×3): 4.59 times fewer.
    F5,
    /// F(6×6, 3×3): 5.06 times fewer.
    F6,
}

impl Tile {
    /// Outputs along a side.
    pub const fn side(self) -> usize {
        match self {
            Tile::F2 => 2,
            Tile::F3 => 3,
            Tile::F4 => 4,
            Tile::F5 => 5,
            Tile::F6 => 6,
        }
    }

    /// The most that the transforms enlarge a rounding error: the square, for two dimensions, of the
    /// largest `Σₚ |Aᵢₚ| |Gₚⱼ| Σₖ |Bₚₖ|` over outputs `i` and taps `j`.
    const fn error_amplification(self) -> f64 {
        match self {
            Tile::F2 => 16.0,
            Tile::F3 => 93.0,
            Tile::F4 => 158.0,
            Tile::F5 => 515.0,
            Tile::F6 => 1565.0,
        }
    }

    const fn points(self) -> usize {
        (self.side() + 2) * (self.side() + 2)
    }
}

/// A convolution by Winograd's algorithm, ready to be packed and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winograd {
    pub(in crate::conv2d) isa: Isa,
    pub(in crate::conv2d) geometry: Geometry,
    tile: Tile,
}

/// Packed weights from some feature on, and how far it is from one point to the next.
#[derive(Clone, Copy)]
struct Weights<'a> {
    packed: &'a [f32],
    pitch: usize,
}

/// Where tiles read and write: forward from the input to the output, or backward.
#[derive(Clone, Copy)]
struct Map {
    batch: usize,
    read: [usize; 2],
    /// Where tap 0 of position 0 lies; it may lie outside the array.
    origin: [isize; 2],
    written: [usize; 2],
    /// Extents of what is computed of it.
    computed: [usize; 2],
    channels: usize,
    features: usize,
    pitches: Pitches,
    /// Tiles along each axis.
    tiles: [usize; 2],
    /// Whether products take the place of samples.
    in_place: bool,
}

/// What a block of tiles takes, all points of all channels, should stay in the second-level cache.
const BLOCK_BYTES: usize = 512 * 1024;
/// Fewer tiles at a time would read the packed weights too often: many weights, which come from the shared cache or
/// from beyond it, or few of them. A map of 28×28 has 49 tiles of F(4×4).
const FEWEST_TILES: [usize; 2] = [49, 32];
const MANY_WEIGHTS_BYTES: usize = 4 << 20;
/// What a block takes whose products take the place of its samples should stay in the first-level cache, beside weights
/// that pass through.
const IN_PLACE_BYTES: usize = 36 * 1024;
const FEWEST_IN_PLACE: usize = 8;
/// Maps that are fetched ahead, while a block's products are computed: transforms wait for what lies far off. Smaller
/// ones, which the shared cache has at hand, would only push out what is in use.
const LARGE_MAPS_BYTES: usize = 8 << 20;

/// From one point's array of `len` elements to the next: an odd number of cache lines, or the
/// points of a tile would fight for the same few.
fn pitch(len: usize) -> usize {
    (len.div_ceil(16) | 1) * 16
}

impl Map {
    fn all_tiles(&self) -> usize {
        self.batch * self.tiles[0] * self.tiles[1]
    }

    /// Tiles that are worked on together.
    fn block(&self, points: usize) -> usize {
        if self.in_place {
            let tile = size_of::<f32>() * points * self.channels;
            return (IN_PLACE_BYTES / tile).max(FEWEST_IN_PLACE).min(self.all_tiles());
        }
        let weights = size_of::<f32>() * points * self.channels * self.features;
        self.block_of(points, FEWEST_TILES[usize::from(weights <= MANY_WEIGHTS_BYTES)])
    }

    /// The same for a weight gradient, whose sums are passed over for each block.
    fn block_of_sums(&self, points: usize) -> usize {
        self.block_of(points, FEWEST_TILES[0])
    }

    fn block_of(&self, points: usize, fewest: usize) -> usize {
        let bytes = size_of::<f32>() * points * (self.channels + self.features);
        (BLOCK_BYTES / bytes).max(fewest).min(self.all_tiles())
    }

    /// Elements of the transformed input and of the products before their transform.
    fn scratch(&self, points: usize) -> [usize; 2] {
        let block = self.block(points);
        let products = if self.in_place { 0 } else { points * pitch(block * self.features) };
        [points * pitch(block * self.channels), products]
    }

    /// The rows that these tiles, `side` outputs wide, are the first to read.
    fn first_read(&self, tiles: Range<usize>, side: usize) -> Range<usize> {
        let reach = self.origin[0] + 2;
        let bottom = |row: usize| ((row + 1) * side).saturating_add_signed(reach);
        self.first_of(tiles, self.read, [self.channels, self.pitches.read], bottom)
    }

    /// The rows that these tiles, `side` outputs wide, are the first to write.
    fn first_written(&self, tiles: Range<usize>, side: usize) -> Range<usize> {
        self.first_of(tiles, self.written, [self.features, self.pitches.write], |row| (row + 1) * side)
    }

    /// Where the rows of an array lie that are above the `bottom` of these tiles' rows and not of those before.
    fn first_of(
        &self,
        tiles: Range<usize>,
        [height, width]: [usize; 2],
        [channels, pitch]: [usize; 2],
        bottom: impl Fn(usize) -> usize,
    ) -> Range<usize> {
        let end = |tiles: usize| {
            let Some(last) = tiles.checked_sub(1) else { return 0 };
            let [image, row, _] = self.place(last);
            // With the last pixel's channels a slice of a wider map ends.
            ((image * height + bottom(row).min(height)) * width * pitch).saturating_sub(pitch - channels)
        };
        end(tiles.start)..end(tiles.end)
    }

    /// One output row of tiles of one image after the other, left to right.
    fn place(&self, tile: usize) -> [usize; 3] {
        let [rows, columns] = self.tiles;
        [tile / (rows * columns), tile / columns % rows, tile % columns]
    }

    /// The same of some tiles, without dividing for each.
    fn places(&self, tiles: Range<usize>) -> impl Iterator<Item = [usize; 3]> {
        let [rows, columns] = self.tiles;
        let mut next = self.place(tiles.start);
        tiles.map(move |_| {
            let [image, row, column] = next;
            next = match [row + 1 == rows, column + 1 == columns] {
                [_, false] => [image, row, column + 1],
                [false, true] => [image, row + 1, 0],
                [true, true] => [image + 1, 0, 0],
            };
            [image, row, column]
        })
    }
}

impl Winograd {
    /// For the shape of a convolution with 3×3 windows and stride 1.
    ///
    /// # Errors
    /// The windows are not 3×3, the stride or dilation is not 1, there are groups, or the instruction set has no
    /// vectors.
    pub fn new(isa: Isa, geometry: &Geometry, tile: Tile) -> Result<Winograd, Error> {
        if isa == Isa::SCALAR || !Winograd::fits(geometry) {
            return Err(Error::NotWinograd);
        }
        Ok(Winograd { isa, geometry: *geometry, tile })
    }

    /// Whether the windows are 3×3 with stride 1, without dilation and groups.
    pub fn fits(geometry: &Geometry) -> bool {
        let plain = |axis: &Axis| [axis.window, axis.stride, axis.dilation] == [3, 1, 1];
        geometry.groups == 1 && geometry.axes.iter().all(plain)
    }

    /// The outputs of a tile.
    pub fn tile(&self) -> Tile {
        self.tile
    }

    /// The same convolution over the first `images` of its images, for work in parts: over all where there are
    /// fewer, and over one at the least.
    pub fn first(mut self, images: usize) -> Winograd {
        self.geometry = self.geometry.first(images);
        self
    }

    /// How far a result of any pass may be from the true one, in units of 2⁻²⁴ times the largest
    /// sample `X` times the sum `W` of the magnitudes of a filter over taps and channels; of the weight
    /// gradient, the sum over the map of the output's gradient. `terms` is how many products are
    /// summed at a point: channels, or tiles for the weight gradient. A bias adds its magnitude to `X W`.
    ///
    /// It holds for all finite numbers of which a pass is `Ok`, with 2⁻²⁴ ((X + ε) (W + n ε) + n ε) as the unit for
    /// `n` summands of `W` and ε = 2⁻¹²⁰. For an operation rounds by 2⁻²⁴ of its result or, below 2⁻¹²⁶, by 2⁻¹⁵⁰:
    /// ten times at the most in a sample's transform or a weight's, once for a product. That enters as if the
    /// sample, the weight or the product itself had been wrong, for a weight up to 14² times as much, since it is
    /// past its own transform; ε has room for 64 · 9 times.
    ///
    /// No sum overflows where `X`, `W`, `X W` and the bias are 2¹⁰⁰ at the most. Where one does, each output that it
    /// is part of is not finite, and the pass is not `Ok`.
    ///
    /// `X` is the largest sample that a tile sees: beside a pixel of 10⁶ those of 10⁻³ keep no digit. Direct
    /// computation keeps them in every output that does not see the large one.
    ///
    /// Random numbers err far less than the bound: over 32 channels the root of the mean square error is 2, 4, 6,
    /// 13 and 23 times 10⁻⁷ of the result's for the five tiles.
    pub const fn error_bound(tile: Tile, terms: usize) -> f64 {
        // Roundings along a path through the three transforms, in both dimensions, at the most.
        const TRANSFORMS: usize = 64;
        tile.error_amplification() * (terms + TRANSFORMS) as f64
    }

    fn forward_map(&self) -> Map {
        let axes = self.geometry.axes;
        let written = axes.map(|axis| axis.output);
        Map {
            batch: self.geometry.batch,
            read: axes.map(|axis| axis.input),
            origin: axes.map(|axis| -axis.before.cast_signed()),
            written,
            computed: written,
            channels: self.geometry.channels_in,
            features: self.geometry.channels_out,
            pitches: Pitches::of(&self.geometry),
            tiles: written.map(|extent| extent.div_ceil(self.tile.side())),
            in_place: self.in_place(),
        }
    }

    fn backward_map(&self) -> Map {
        let axes = self.geometry.axes;
        let computed = axes.map(|axis| axis.seen_end());
        Map {
            batch: self.geometry.batch,
            read: axes.map(|axis| axis.output),
            origin: axes.map(|axis| axis.before.cast_signed() - 2),
            written: axes.map(|axis| axis.input),
            computed,
            channels: self.geometry.channels_out,
            features: self.geometry.channels_in,
            pitches: Pitches { read: self.geometry.channels_out, write: self.geometry.channels_in },
            tiles: computed.map(|extent| extent.div_ceil(self.tile.side())),
            in_place: self.in_place(),
        }
    }

    /// Whether it can add what the output holds: of features that are no whole vectors the last vector has some of the one
    /// before, which would be added twice.
    pub(in crate::conv2d) fn can_add(&self) -> bool {
        let whole = |features: usize| self.isa.run(WholeVectors(features));
        let features = self.geometry.channels_out;
        Finish::can_add_on(self.isa) && (whole(features) == features || whole(features) == whole(1))
    }

    fn in_place(&self) -> bool {
        let Geometry { channels_in: channels, channels_out: features, .. } = self.geometry;
        self.isa.run_with_vectors(InPlace { channels, features }) == Some(true)
    }

    /// Elements of the packed weights that [`forward`](Self::forward) takes.
    pub fn packed_len(&self) -> usize {
        let [_, _, cin, cout] = self.geometry.weights();
        self.tile.points() * pitch(cin * self.isa.run(WholeVectors(cout)))
    }

    /// Elements of the packed weights that [`grad_input`](Self::grad_input) takes.
    pub fn packed_transposed_len(&self) -> usize {
        let [_, _, cin, cout] = self.geometry.weights();
        self.tile.points() * pitch(cout * self.isa.run(WholeVectors(cin)))
    }

    /// Elements of scratch that [`forward`](Self::forward) takes.
    pub fn forward_scratch_len(&self) -> usize {
        self.forward_map().scratch(self.tile.points()).iter().sum()
    }

    /// Elements of scratch that [`grad_input`](Self::grad_input) takes.
    pub fn grad_input_scratch_len(&self) -> usize {
        self.backward_map().scratch(self.tile.points()).iter().sum()
    }

    /// Transforms weights `[3, 3, Cin, Cout]` and packs them: `[points, panels, Cin, width]`.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn pack(&self, weights: &[f32], packed: &mut [f32]) -> Result<(), Error> {
        let [_, _, cin, cout] = self.geometry.weights();
        check("weights", weights, 9 * cin * cout)?;
        check("packed weights", packed, self.packed_len())?;
        let source = TransformFilter { weights, channels: cin, features: cout, transposed: false, packed };
        self.transform_filter(source);
        Ok(())
    }

    /// As [`pack`](Self::pack), turned by 180° and with the channels' roles exchanged.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn pack_transposed(&self, weights: &[f32], packed: &mut [f32]) -> Result<(), Error> {
        let [_, _, cin, cout] = self.geometry.weights();
        check("weights", weights, 9 * cin * cout)?;
        check("packed weights", packed, self.packed_transposed_len())?;
        let source = TransformFilter { weights, channels: cout, features: cin, transposed: true, packed };
        self.transform_filter(source);
        Ok(())
    }

    /// Convolution, bias and activation: `[N, H, W, Cin]` to `[N, OH, OW, Cout]`, with weights from
    /// [`pack`](Self::pack) and a bias of `[Cout]`. What `scratch` holds does not matter.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or a sum before the activation is [not
    /// finite](Error::NotFinite).
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
        self.forward_between(pitches, input, packed, bias, activation.into(), output, scratch)
    }

    /// [`forward`](Self::forward), with pixels at these pitches.
    #[allow(clippy::too_many_arguments, reason = "those of `forward` and the pitches")]
    pub(in crate::conv2d) fn forward_between(
        &self,
        pitches: Pitches,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        finish: Finish,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        check("input", input, span(self.geometry.input(), pitches.read))?;
        check("packed weights", packed, self.packed_len())?;
        check("output", output, span(self.geometry.output(), pitches.write))?;
        check("scratch", scratch, self.forward_scratch_len())?;
        if let Some(bias) = bias {
            check("bias", bias, self.geometry.channels_out)?;
        }
        let map = Map { pitches, ..self.forward_map() };
        let weights = Weights { packed, pitch: packed.len() / self.tile.points() };
        self.correlate(&map, input, weights, bias, finish, output.as_mut_ptr(), scratch)
    }

    /// Elements of scratch that [`forward_features`](Self::forward_features) takes for so many.
    pub(in crate::conv2d) fn features_scratch_len(&self, features: usize) -> usize {
        Map { features, ..self.forward_map() }.scratch(self.tile.points()).iter().sum()
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
        finish: Finish,
        output: Columns<'_>,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let [batch, height, width, _] = self.geometry.output();
        check("input", input, span(self.geometry.input(), pitches.read))?;
        check("packed weights", packed, self.packed_len())?;
        check("scratch", scratch, self.features_scratch_len(features.len()))?;
        if let Some(bias) = bias {
            check("bias", bias, self.geometry.channels_out)?;
        }
        let first = output.checked(batch * height * width, pitches.write, features.len())?;
        let map = Map { pitches, features: features.len(), ..self.forward_map() };
        let weights = Weights {
            packed: &packed[map.channels * features.start..],
            pitch: packed.len() / self.tile.points(),
        };
        let bias = bias.map(|bias| &bias[features]);
        self.correlate(&map, input, weights, bias, finish, first, scratch)
    }

    /// Gradient to the input: `[N, OH, OW, Cout]` to `[N, H, W, Cin]`, with weights from
    /// [`pack_transposed`](Self::pack_transposed). `d_input` is overwritten.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or a sum is [not finite](Error::NotFinite).
    pub fn grad_input(
        &self,
        d_output: &[f32],
        packed_transposed: &[f32],
        d_input: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        check("output gradient", d_output, self.geometry.output().iter().product())?;
        check("packed weights", packed_transposed, self.packed_transposed_len())?;
        check("input gradient", d_input, self.geometry.input().iter().product())?;
        check("scratch", scratch, self.grad_input_scratch_len())?;
        let map = self.backward_map();
        clear_beyond(map.computed, self.geometry.input(), d_input);
        let weights =
            Weights { packed: packed_transposed, pitch: packed_transposed.len() / self.tile.points() };
        let d_input = d_input.as_mut_ptr();
        self.correlate(&map, d_output, weights, None, Activation::None.into(), d_input, scratch)
    }

    /// Elements of scratch that [`grad_weights`](Self::grad_weights) takes for so many channels.
    pub fn grad_weights_scratch_len(&self, channels: usize) -> usize {
        self.grad_weights_scratch(channels).iter().sum()
    }

    /// How often the weight gradient's sums are passed over.
    pub(super) fn grad_weights_blocks(&self) -> usize {
        let map = self.forward_map();
        map.all_tiles().div_ceil(map.block_of_sums(self.tile.points()))
    }

    /// Elements of the transformed input and output's gradient, and of their products.
    fn grad_weights_scratch(&self, channels: usize) -> [usize; 3] {
        let (map, points) = (self.forward_map(), self.tile.points());
        let block = map.block_of_sums(points);
        [block * channels, block * map.features, channels * map.features].map(|len| points * pitch(len))
    }

    /// Gradient to the weights of some input `channels`, `[3, 3, channels, Cout]`, from the input
    /// `[N, H, W, Cin]` and the output's gradient `[N, OH, OW, Cout]`: the sum over all tiles is
    /// taken at the points and transformed once. `d_weights` is overwritten.
    ///
    /// An element's bits do not depend on which channels are computed with it.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, `channels` ends past the last, or a sum is [not
    /// finite](Error::NotFinite).
    pub fn grad_weights(
        &self,
        input: &[f32],
        d_output: &[f32],
        channels: Range<usize>,
        d_weights: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let (map, points) = (self.forward_map(), self.tile.points());
        let (max, features) = (map.channels, map.features);
        check("input", input, self.geometry.input().iter().product())?;
        check("output gradient", d_output, self.geometry.output().iter().product())?;
        if channels.end > max {
            return Err(Error::OutOfRange { what: "channels", max, got: channels.end });
        }
        let pairs = channels.len() * features;
        check("weight gradient", d_weights, 9 * pairs)?;
        check("scratch", scratch, self.grad_weights_scratch_len(channels.len()))?;
        if pairs == 0 {
            return Ok(());
        }
        let [samples, gradients, _] = self.grad_weights_scratch(channels.len());
        let (samples, scratch) = scratch.split_at_mut(samples);
        let (gradients, sums) = scratch.split_at_mut(gradients);
        let pitches = Pitches { read: map.pitches.write, ..map.pitches };
        let outputs = Map { read: map.written, origin: [0, 0], channels: features, pitches, ..map };
        for tiles in split(map.all_tiles(), map.block_of_sums(points)) {
            let (count, first) = (tiles.len(), tiles.start == 0);
            self.transform_input(TransformPatches {
                map: &map,
                tiles: tiles.clone(),
                channels: channels.clone(),
                input,
                samples,
            });
            self.transform_d_output(TransformPatches {
                map: &outputs,
                tiles,
                channels: 0..features,
                input: d_output,
                samples: gradients,
            });
            self.isa.run_with_vectors(GradientProducts {
                points,
                rows: count,
                channels: channels.len(),
                features,
                samples,
                gradients,
                sums,
                fresh: first,
            });
        }
        let target = TransformGradient { pairs, sums, d_weights };
        let finite = match self.tile {
            Tile::F2 => self.isa.run_with_vectors(target.sized::<4>()),
            Tile::F3 => self.isa.run_with_vectors(target.sized::<5>()),
            Tile::F4 => self.isa.run_with_vectors(target.sized::<6>()),
            Tile::F5 => self.isa.run_with_vectors(target.sized::<7>()),
            Tile::F6 => self.isa.run_with_vectors(target.sized::<8>()),
        };
        if finite == Some(true) { Ok(()) } else { Err(Error::NotFinite) }
    }

    fn transform_filter(&self, filter: TransformFilter<'_>) -> Option<()> {
        match self.tile {
            Tile::F2 => self.isa.run_with_vectors(filter.sized::<4>()),
            Tile::F3 => self.isa.run_with_vectors(filter.sized::<5>()),
            Tile::F4 => self.isa.run_with_vectors(filter.sized::<6>()),
            Tile::F5 => self.isa.run_with_vectors(filter.sized::<7>()),
            Tile::F6 => self.isa.run_with_vectors(filter.sized::<8>()),
        }
    }

    fn transform_input(&self, patches: TransformPatches<'_>) -> Option<()> {
        match self.tile {
            Tile::F2 => self.isa.run_with_vectors(patches.sized::<4, 4>()),
            Tile::F3 => self.isa.run_with_vectors(patches.sized::<5, 5>()),
            Tile::F4 => self.isa.run_with_vectors(patches.sized::<6, 6>()),
            Tile::F5 => self.isa.run_with_vectors(patches.sized::<7, 7>()),
            Tile::F6 => self.isa.run_with_vectors(patches.sized::<8, 8>()),
        }
    }

    fn transform_d_output(&self, patches: TransformPatches<'_>) -> Option<()> {
        match self.tile {
            Tile::F2 => self.isa.run_with_vectors(patches.sized::<2, 4>()),
            Tile::F3 => self.isa.run_with_vectors(patches.sized::<3, 5>()),
            Tile::F4 => self.isa.run_with_vectors(patches.sized::<4, 6>()),
            Tile::F5 => self.isa.run_with_vectors(patches.sized::<5, 7>()),
            Tile::F6 => self.isa.run_with_vectors(patches.sized::<6, 8>()),
        }
    }

    /// `output` is the first pixel of the map's features, which are checked to be there.
    #[allow(clippy::too_many_arguments, reason = "two passes share it")]
    fn correlate(
        &self,
        map: &Map,
        input: &[f32],
        weights: Weights<'_>,
        bias: Option<&[f32]>,
        finish: Finish,
        output: *mut f32,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let points = self.tile.points();
        let [samples, _] = map.scratch(points);
        let (samples, products) = scratch.split_at_mut(samples);
        for tiles in split(map.all_tiles(), map.block(points)) {
            let channels = 0..map.channels;
            self.transform_input(TransformPatches { map, tiles: tiles.clone(), channels, input, samples });
            let Map { channels, features, in_place, .. } = *map;
            let rows = tiles.len();
            let side = self.tile.side();
            let behind = tiles.end..map.all_tiles().min(tiles.end + rows);
            let written = map.batch * map.written[0] * map.written[1] * features;
            let large = size_of_val(input) + size_of::<f32>() * written > LARGE_MAPS_BYTES;
            let fetched = if large {
                let first = map.first_written(tiles.clone(), side);
                let output = output.wrapping_add(first.start).cast_const();
                [
                    ptr::from_ref(&input[map.first_read(behind, side)]),
                    ptr::slice_from_raw_parts(output, first.len()),
                ]
            } else {
                [ptr::from_ref(&[][..]); 2]
            };
            let Weights { packed, pitch: weight_pitch } = weights;
            let products = if in_place {
                self.isa.run_with_vectors(ProductsInPlace { points, rows, packed, samples });
                &*samples
            } else {
                let products = &mut *products;
                let of_block = Products {
                    points,
                    rows,
                    places: Places { of_line: rows, step: channels, line: 0 },
                    reach: Reach { rows: 1, run: channels, input_pitch: 0, weight_pitch: channels },
                    features,
                    samples,
                    packed,
                    weight_pitch,
                    products,
                    fetched,
                };
                self.isa.run_with_vectors(of_block);
                products
            };
            let target = TransformOutput { map, tiles, products, bias, finish, output };
            let finite = match self.tile {
                Tile::F2 => self.isa.run_with_vectors(target.sized::<4, 2>()),
                Tile::F3 => self.isa.run_with_vectors(target.sized::<5, 3>()),
                Tile::F4 => self.isa.run_with_vectors(target.sized::<6, 4>()),
                Tile::F5 => self.isa.run_with_vectors(target.sized::<7, 5>()),
                Tile::F6 => self.isa.run_with_vectors(target.sized::<8, 6>()),
            };
            if finite != Some(true) {
                return Err(Error::NotFinite);
            }
        }
        Ok(())
    }
}
