mod blocks;

use super::{Geometry, POSITIONS, load};
use crate::conv2d::Activation;
use crate::conv2d::window::{Offsets, Order, Positions, Residue, Segment, Sweep, split, vector};
use crate::error::check;
use crate::simd::{Operation, Simd, Tile};
use crate::{Error, Isa};
use core::mem::MaybeUninit;

/// Convolution, bias and activation in one pass: `[N, H, W, C]` to `[N, OH, OW, C * M]`, with
/// weights `[KH, KW, C, M]` and a bias of `[C * M]`.
///
/// # Errors
/// A slice's length differs from the geometry's.
///
/// ```
/// use bantam_kernels::{Isa, depthwise_conv2d::{self, Geometry}};
/// use bantam_kernels::conv2d::{Activation, Padding};
/// let g = Geometry::new([1, 1, 3, 2], [1, 2], 1, [1, 1], Padding::Valid)?;
/// let (row, weights) = ([1.0, 10.0, 2.0, 20.0, 3.0, 30.0], [1.0, -1.0, 1.0, 1.0]);
/// let mut output = [0.0; 4];
/// let (isa, activation) = (Isa::detect(), Activation::Relu6);
/// depthwise_conv2d::forward(isa, &g, &row, &weights, Some(&[0.0, -8.0]), activation, &mut output)?;
/// assert_eq!(output, [3.0, 2.0, 5.0, 2.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn forward(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    output: &mut [f32],
) -> Result<(), Error> {
    let [_, kw, _, multiplier] = geometry.weights();
    let features = geometry.output()[3];
    check("input", input, geometry.input().iter().product())?;
    check("weights", weights, geometry.weights().iter().product())?;
    check("output", output, geometry.output().iter().product())?;
    if let Some(bias) = bias {
        check("bias", bias, features)?;
    }
    geometry.isa(isa).run(Correlate {
        batch: geometry.batch,
        sweeps: Sweep::forward(&geometry.axes),
        features,
        group: multiplier,
        depth: 1,
        input,
        weights: Weights { start: weights, pitch: [kw * features, features].map(usize::cast_signed) },
        bias,
        activation,
        output,
    });
    Ok(())
}

/// Gradient of a depthwise convolution to its input: `[N, OH, OW, C * M]` to `[N, H, W, C]`, with
/// weights `[KH, KW, C, M]`. `d_input` is overwritten.
///
/// A convolution too: input pixels of equal residue modulo the stride see the same taps, so each
/// residue is a convolution of stride 1 over the output's gradient, with the taps from last to first.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn grad_input(
    isa: Isa,
    geometry: &Geometry,
    d_output: &[f32],
    weights: &[f32],
    d_input: &mut [f32],
) -> Result<(), Error> {
    let [_, kw, channels, multiplier] = geometry.weights();
    check("output gradient", d_output, geometry.output().iter().product())?;
    check("weights", weights, geometry.weights().iter().product())?;
    check("input gradient", d_input, geometry.input().iter().product())?;
    let tap = channels * multiplier;
    for residue in Residue::all(geometry.axes) {
        let [vertical, horizontal] = residue.taps;
        // With no tap on an axis no weight is read, so that any start will do.
        let last = if vertical.count > 0 && horizontal.count > 0 {
            (vertical.flipped(0) * kw + horizontal.flipped(0)) * tap
        } else {
            0
        };
        geometry.isa(isa).run(Correlate {
            batch: geometry.batch,
            sweeps: residue.sweeps(geometry.axes),
            features: channels,
            group: 1,
            depth: multiplier,
            input: d_output,
            weights: Weights {
                start: &weights[last..],
                pitch: [vertical.step * kw * tap, horizontal.step * tap].map(|pitch| -pitch.cast_signed()),
            },
            bias: None,
            activation: Activation::None,
            output: &mut *d_input,
        });
    }
    Ok(())
}

/// Windows slid over an array, each over channels of its own.
struct Correlate<'a> {
    batch: usize,
    sweeps: [Sweep; 2],
    /// Channels of the output.
    features: usize,
    /// Neighbouring channels of the output that read one channel of the input.
    group: usize,
    /// Neighbouring channels of the input that one channel of the output sums up.
    depth: usize,
    input: &'a [f32],
    weights: Weights<'a>,
    bias: Option<&'a [f32]>,
    activation: Activation,
    output: &'a mut [f32],
}

/// The weights from the sweeps' first tap on, and from one tap to the next, down and across.
struct Weights<'a> {
    start: &'a [f32],
    pitch: [isize; 2],
}

/// The part of a window that lies inside the input, `rows` by `columns`.
struct Reach {
    rows: usize,
    columns: usize,
    /// From one row and from one pixel to the next in the input.
    input_pitch: [usize; 2],
    weight_pitch: [isize; 2],
    depth: usize,
}

/// A vector of channels from `first` on, of which `n` exist.
struct Lanes<S: Simd> {
    first: usize,
    input: *const f32,
    weights: *const f32,
    bias: S::Vector,
    output: *mut f32,
    n: usize,
}

impl Operation for Correlate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let whole = self.features >= S::LANES;
        match S::TILE {
            Tile::R4V4 => self.all_positions::<S, 1, 4, 2, true>(simd),
            Tile::R6V2 | Tile::R4V2 if whole => self.all_positions::<S, 1, 7, 4, true>(simd),
            Tile::R6V4 | Tile::R5V4 if whole => self.all_positions::<S, 2, 7, 4, true>(simd),
            _ => self.all_positions::<S, 1, 7, 4, false>(simd),
        }
    }
}

impl Correlate<'_> {
    /// Blocks of `Q` by `R` or `H` positions where the window is a usual one, else lists of positions.
    /// With `WHOLE` there are channels for a vector.
    #[inline(always)]
    fn all_positions<S: Simd, const Q: usize, const R: usize, const H: usize, const WHOLE: bool>(
        &mut self,
        simd: S,
    ) {
        let [vertical, horizontal] = self.sweeps;
        let usual = [vertical.taps, vertical.stride] == [horizontal.taps, horizontal.stride]
            && [vertical.dilation, horizontal.dilation] == [1, 1]
            && matches!((horizontal.taps, horizontal.stride), (3 | 5, 1 | 2));
        let plain = WHOLE && self.depth == 1 && self.group == 1 && usual && vertical.positions >= Q;
        // Vectors are worth a test of each column that may lie outside; numbers are not.
        let more_than_half = horizontal.taps / 2 + 1;
        let cut =
            S::LANES > 1 && plain && horizontal.positions >= H && horizontal.always_sees(more_than_half);
        let sixteen = matches!(S::TILE, Tile::R6V2 | Tile::R4V2);
        let mut whole = cut.then(|| horizontal.whole());
        let mut segments = (!cut).then(|| horizontal.rectangles(Order::Positions));
        while let Some(columns) = whole.take().or_else(|| segments.as_mut()?.next()) {
            let blocks = plain && columns.taps.len() == horizontal.taps && columns.len >= H;
            match (horizontal.taps, horizontal.stride) {
                (3, 1) if blocks => self.blocks::<S, Q, R, H, 3, 1>(simd, &columns),
                (3, 2) if blocks => self.blocks::<S, Q, R, H, 3, 2>(simd, &columns),
                // Sixteen registers hold five inputs, five weights and five sums.
                (5, 1) if blocks && sixteen => self.blocks::<S, Q, 5, H, 5, 1>(simd, &columns),
                (5, 2) if blocks && sixteen => self.blocks::<S, Q, 5, H, 5, 2>(simd, &columns),
                (5, 1) if blocks => self.blocks::<S, Q, R, H, 5, 1>(simd, &columns),
                (5, 2) if blocks => self.blocks::<S, Q, R, H, 5, 2>(simd, &columns),
                _ => {
                    for rows in vertical.rectangles(Order::Positions) {
                        self.lists::<S, R, H, WHOLE>(simd, [&rows, &columns]);
                    }
                }
            }
        }
    }

    /// Channels of the input.
    #[inline(always)]
    fn read_channels(&self) -> usize {
        self.features / self.group * self.depth
    }

    #[inline(always)]
    fn reach(&self, [vertical, horizontal]: [&Segment; 2]) -> Reach {
        let channels = self.read_channels();
        let [down, across] = self.sweeps;
        Reach {
            rows: vertical.taps.len(),
            columns: horizontal.taps.len(),
            input_pitch: [down.dilation * across.read * channels, across.dilation * channels],
            weight_pitch: self.weights.pitch,
            depth: self.depth,
        }
    }

    /// The `index`th vector of channels, and their weights of the first tap that `rectangle` sees.
    #[inline(always)]
    fn lanes<S: Simd>(&mut self, simd: S, rectangle: [&Segment; 2], index: usize) -> Lanes<S> {
        let (first, n) = vector::<S>(index, self.features);
        let [down, across] = self.weights.pitch;
        let [vertical, horizontal] = rectangle.map(|segment| segment.taps.start.cast_signed());
        let tap = vertical.wrapping_mul(down).wrapping_add(horizontal.wrapping_mul(across));
        let read = first / self.group * self.depth;
        let weights = self.weights.start.as_ptr();
        Lanes {
            first,
            input: self.input.as_ptr().wrapping_add(read),
            weights: weights.wrapping_offset(tap).wrapping_add(first * self.depth),
            bias: match self.bias {
                // SAFETY: there is a bias for each of the channels.
                Some(bias) => unsafe { simd.load_n(bias.as_ptr().add(first), n) },
                None => simd.splat(0.0),
            },
            output: self.output.as_mut_ptr().wrapping_add(first),
            n,
        }
    }

    /// Any rectangle.
    #[inline(always)]
    fn lists<S: Simd, const R: usize, const H: usize, const WHOLE: bool>(
        &mut self,
        simd: S,
        rectangle: [&Segment; 2],
    ) {
        let reach = self.reach(rectangle);
        let mut positions =
            Positions::new(self.batch, &self.sweeps, rectangle, self.read_channels(), self.features);
        let mut list = [const { MaybeUninit::uninit() }; POSITIONS];
        for part in split(positions.count(), POSITIONS) {
            let list = positions.fill(&mut list[..part.len()]);
            for index in 0..self.features.div_ceil(S::LANES) {
                let lanes = self.lanes(simd, rectangle, index);
                let mut done = 0;
                while done < list.len() {
                    let (at, size) = next_tile::<R, H>(done, list.len());
                    let list = &list[at..at + size];
                    // SAFETY: the offsets come from `Positions` for these arrays, whose lengths the
                    // kernels checked, and the vector lies among the channels.
                    unsafe {
                        if size == R {
                            self.tile::<S, R, WHOLE>(simd, &lanes, &reach, list);
                        } else if size == H {
                            self.tile::<S, H, WHOLE>(simd, &lanes, &reach, list);
                        } else {
                            self.tile::<S, 1, WHOLE>(simd, &lanes, &reach, list);
                        }
                    }
                    done = at + size;
                }
            }
        }
    }

    /// `R` windows by a vector of channels, in registers from bias to activation.
    ///
    /// # Safety
    /// For each of the `R` elements of `list`, `reach` from its `read` lies inside the input and its
    /// `write` inside the output. `lanes.n` of the vector's channels exist: with `WHOLE` all.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const WHOLE: bool>(
        &self,
        simd: S,
        lanes: &Lanes<S>,
        reach: &Reach,
        list: &[Offsets],
    ) {
        // An array, so that all that follows is unrolled and the sums stay in registers.
        let Some(list) = list.first_chunk::<R>() else { return };
        let [row_pitch, pixel] = reach.input_pitch;
        let [down, across] = reach.weight_pitch;
        let mut sums = [lanes.bias; R];
        let mut reads = [lanes.input; R];
        for (read, offsets) in reads.iter_mut().zip(list) {
            *read = read.wrapping_add(offsets.read);
        }
        for deep in 0..reach.depth {
            for row in 0..reach.rows {
                let mut at = row * row_pitch + deep;
                let mut weights = lanes.weights.wrapping_offset(row.cast_signed() * down).wrapping_add(deep);
                for _ in 0..reach.columns {
                    // SAFETY: the caller's promise.
                    let w = unsafe { load::<S, WHOLE>(simd, weights, lanes.n) };
                    for r in 0..R {
                        // SAFETY: the caller's promise.
                        let x = unsafe { load::<S, WHOLE>(simd, reads[r].wrapping_add(at), lanes.n) };
                        sums[r] = simd.mul_add(x, w, sums[r]);
                    }
                    at += pixel;
                    weights = weights.wrapping_offset(across);
                }
            }
        }
        self.activation.apply(simd, &mut sums);
        for (&sum, offsets) in sums.iter().zip(list) {
            let output = lanes.output.wrapping_add(offsets.write);
            // SAFETY: the caller's promise.
            unsafe { if WHOLE { simd.store(output, sum) } else { simd.store_n(output, sum, lanes.n) } };
        }
    }
}

/// Of `len` positions, `done` of them done, where the next tile starts and how many it takes: `R`,
/// `H`, or one if there are fewer in all. The last goes back over what is done rather than be cut.
#[inline(always)]
fn next_tile<const R: usize, const H: usize>(done: usize, len: usize) -> (usize, usize) {
    let size = if len < H {
        1
    } else if len < R || len - done <= H {
        H
    } else {
        R
    };
    (done.min(len - size), size)
}
