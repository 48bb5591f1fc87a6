//! Which algorithm where: one pure function of shape and instruction set.
//!
//! The times behind the constants are those of `cargo run --release -p bantam-benches --bin layers -- --algorithm NAME`.

use super::geometry::{Geometry, Memory};
use super::pack::WholeVectors;
use super::winograd::{Along, Lines, RowPairs, RowTiles, Tile, Winograd};
use crate::Isa;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Every product of the definition, in one chain an output.
    Direct,
    /// Winograd's, for 3×3 windows with stride 1.
    Winograd(Tile),
    /// Winograd's along the columns, as [`RowPairs`].
    RowPairs,
    /// Winograd's along the rows, as [`RowTiles`].
    RowTiles,
    /// Winograd's along rows or columns, as [`Lines`].
    Lines(Along),
}

/// What a point of a tile costs to transform, in multiply-adds for each of its channels. F(4×4)
/// spends 25 to 30 % of its time on transforms at 64 channels, on AVX2 and on AVX-512.
const TRANSFORM: usize = 8;
/// What reading each of so many packed weights costs, in multiply-adds, by the cache that holds them all.
///
/// Second-level cache: 64 channels, 3×3 pixels take 5.8 µs directly and 4.3 with F(3×3), on Zen 4. Shared
/// cache: 256 channels, 7×7 pixels take 307, 281 and 176 µs with F(2×2), F(3×3) and F(4×4), with AVX2 322, 298
/// and 199. Memory: 512 channels, 7×7 pixels take 1.2, 1.2 and 1.0 to 1.4 ms, with AVX2 1.7, 2.3 and 2.3; a
/// core of full width with AVX-512 1.14, 1.33 and 1.45.
///
/// In a whole net no weight is in a cache when its turn comes: on a core of full width with AVX-512 ResNet50 takes 46.6 ms with 6
/// for memory, 42.9 with 9 and 42.0 with 16; with AVX2 78, 74 and 76 ms with 4, 6 and 12.
fn reading(geometry: &Geometry, packed: usize) -> usize {
    match Memory::of(packed).max(geometry.weights_in) {
        Memory::SecondLevel => 1,
        Memory::Shared => 2,
        Memory::Main => 12,
    }
}

/// What the weight gradient's sums at the points cost for each block of tiles, and once more to
/// clear and transform them, in multiply-adds: 16 MFLOP layers of 64 channels lose 40 in all, where
/// the sums exceed the second-level cache it is 40 to 55 a block.
const SUMS: usize = 30;
/// What it costs to transform the weights of a pair of channels for a pair of rows, in multiply-adds.
const PAIR_OF_ROWS: usize = 36;
/// What [`RowTiles`] spends on a tile's outputs, for each feature, and on each number of the input, in
/// multiply-adds: 3 channels to 64 features take 0.7 times as long as directly, one to 32 1.2 times, with stride 2
/// 3 channels 1.07 times to 32 features, and from 128 channels to 128 0.83 times, where they make 0.5, 0.5, 0.75 and
/// 0.75 times the products. With 256 channels it is as long: a weight that is read serves three tiles, where it serves
/// six positions otherwise.
const ROW_OUTPUTS: usize = 18;
const ROW_SAMPLE: usize = 20;
const ROW_READING: usize = 2;
/// What a sample or a product at a point of [`Lines`] costs, in multiply-adds: with it the fastest of direct computation, rows and
/// columns is chosen for 20 shapes of 16 to 512 channels, with AVX-512 and AVX2 on Zen 4.
const LINE_TRANSFORM: usize = 6;
/// With fewer the transforms, a vector at a time, work on padding.
const FEWEST_CHANNELS: usize = 8;

impl Algorithm {
    /// The fastest for a forward pass, of those whose error stays below
    /// [`Winograd::error_bound`] for F(5×5, 3×3).
    ///
    /// It is the one of the lowest cost, in multiply-adds, by a small model. Scalar code takes no tiles
    /// of squares: small computers lack the memory that the transforms take.
    pub fn choose(isa: Isa, geometry: &Geometry) -> Algorithm {
        if !geometry.direct_only && RowPairs::new(isa, geometry).is_ok() {
            return scalar(geometry);
        }
        let [batch, height, width, features] = geometry.output();
        let weights = |winograd: Winograd| reading(geometry, winograd.packed_len());
        let rows = RowTiles::new(isa, geometry).ok();
        let lines = [Along::Rows, Along::Columns].map(|along| Lines::new(isa, geometry, along).ok());
        let rows = (rows, lines);
        cheapest(isa, geometry, [batch, height, width], [geometry.channels_in, features], rows, weights)
    }

    /// As [`choose`](Self::choose), for the gradient to the input.
    pub fn choose_grad_input(isa: Isa, geometry: &Geometry) -> Algorithm {
        let [batch, _, _, channels] = geometry.input();
        let [height, width] = geometry.axes.map(|axis| axis.seen_end());
        let weights = |winograd: Winograd| reading(geometry, winograd.packed_transposed_len());
        cheapest(
            isa,
            geometry,
            [batch, height, width],
            [geometry.channels_out, channels],
            (None, [None; 2]),
            weights,
        )
    }

    /// As [`choose`](Self::choose), for the gradient to the weights.
    pub fn choose_grad_weights(isa: Isa, geometry: &Geometry) -> Algorithm {
        let [batch, height, width, features] = geometry.output();
        let sums = |winograd: Winograd| SUMS * (1 + winograd.grad_weights_blocks());
        cheapest(
            isa,
            geometry,
            [batch, height, width],
            [geometry.channels_in, features],
            (None, [None; 2]),
            sums,
        )
    }

    /// `"direct"`, `"winograd2x1"`, `"winograd1x4"`, `"winograd-rows"`, `"winograd-columns"`, `"winograd2"`, `"winograd3"`,
    /// `"winograd4"`, `"winograd5"` or `"winograd6"`.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Direct => "direct",
            Algorithm::RowPairs => "winograd2x1",
            Algorithm::RowTiles => "winograd1x4",
            Algorithm::Lines(Along::Rows) => "winograd-rows",
            Algorithm::Lines(Along::Columns) => "winograd-columns",
            Algorithm::Winograd(Tile::F2) => "winograd2",
            Algorithm::Winograd(Tile::F3) => "winograd3",
            Algorithm::Winograd(Tile::F4) => "winograd4",
            Algorithm::Winograd(Tile::F5) => "winograd5",
            Algorithm::Winograd(Tile::F6) => "winograd6",
        }
    }

    /// Rows of the output that are computed together: a part of an image keeps its bits if it begins at a
    /// multiple.
    pub const fn rows(self) -> usize {
        match self {
            Algorithm::Direct | Algorithm::RowTiles | Algorithm::Lines(Along::Rows) => 1,
            Algorithm::Lines(Along::Columns) => 4,
            Algorithm::Winograd(tile) => tile.side(),
            Algorithm::RowPairs => 2,
        }
    }

    /// The algorithm of that name.
    pub fn named(name: &str) -> Option<Algorithm> {
        let winograd = [Tile::F2, Tile::F3, Tile::F4, Tile::F5, Tile::F6].map(Algorithm::Winograd);
        let lines = [Along::Rows, Along::Columns].map(Algorithm::Lines);
        [Algorithm::Direct, Algorithm::RowPairs, Algorithm::RowTiles]
            .into_iter()
            .chain(lines)
            .chain(winograd)
            .find(|algorithm| algorithm.name() == name)
    }
}

fn scalar(geometry: &Geometry) -> Algorithm {
    let ([.., channels, features], [_, _, columns, _]) = (geometry.weights(), geometry.output());
    // A pair of rows saves six multiply-adds a column.
    if channels.min(features) >= FEWEST_CHANNELS && 6 * columns > PAIR_OF_ROWS {
        Algorithm::RowPairs
    } else {
        Algorithm::Direct
    }
}

/// `rows` and `lines` are there for a forward pass that they fit; `pair_once` is what each pair of channels costs at each
/// point of a square apart from its products. Costs are of a type that no shape overflows.
fn cheapest(
    isa: Isa,
    geometry: &Geometry,
    [batch, height, width]: [usize; 3],
    [channels, features]: [usize; 2],
    (rows, lines): (Option<RowTiles>, [Option<Lines>; 2]),
    pair_once: impl Fn(Winograd) -> usize,
) -> Algorithm {
    if geometry.direct_only || isa == Isa::SCALAR {
        return Algorithm::Direct;
    }
    let whole = isa.run(WholeVectors(features));
    let pairs = channels as f64 * whole as f64;
    let transforms = (TRANSFORM * (channels + features)) as f64;
    let (mut best, mut algorithm) = (geometry.positions_and_taps() as f64 * pairs, Algorithm::Direct);
    if let Some(rows) = rows {
        let samples = (batch * geometry.axes[0].input * geometry.axes[1].input * channels) as f64;
        let tiles = (batch * height * rows.tiles()) as f64;
        let transforms = tiles * (ROW_OUTPUTS * whole) as f64 + samples * ROW_SAMPLE as f64;
        let packed = rows.packed_len() as f64 * (batch * height.div_ceil(rows.block())) as f64;
        let cost = batch as f64 * rows.multiplications() * pairs
            + transforms
            + (ROW_READING * reading(geometry, rows.packed_len())) as f64 * packed;
        if cost < best {
            (best, algorithm) = (cost, Algorithm::RowTiles);
        }
    }
    if channels.min(features) < FEWEST_CHANNELS {
        return algorithm;
    }
    for lines in lines.into_iter().flatten().filter(|_| Lines::run_on(isa)) {
        let cost = lines.cost(LINE_TRANSFORM, reading(geometry, lines.packed_len()));
        if cost < best {
            (best, algorithm) = (cost, Algorithm::Lines(lines.along()));
        }
    }
    for tile in [Tile::F2, Tile::F3, Tile::F4, Tile::F5] {
        let Ok(winograd) = Winograd::new(isa, geometry, tile) else { return algorithm };
        let points = ((tile.side() + 2) * (tile.side() + 2)) as f64;
        let tiles = (batch * height.div_ceil(tile.side()) * width.div_ceil(tile.side())) as f64;
        let cost = points * (tiles * (pairs + transforms) + pair_once(winograd) as f64 * pairs);
        if cost < best {
            (best, algorithm) = (cost, Algorithm::Winograd(tile));
        }
    }
    algorithm
}
