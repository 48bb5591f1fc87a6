use super::super::activation::Activation;
use super::super::direct::{Channels, Correlate, Weights};
use super::super::geometry::Geometry;
use super::super::pack::takes_plain_weights;
use super::super::window::Sweep;
use super::Winograd;
use crate::error::check;
use crate::{Error, Isa};
use core::ops::Range;

/// Convolution of 3×3 windows with stride 1 by F(2, 3) along the columns: two rows of outputs cost 12
/// multiplications a column and pair of channels instead of 18.
///
/// For small computers: weights are taken as they lie, and transformed for a few features at a time,
/// which costs little enough to do it again for each pair of rows. Each product at a point is a
/// convolution of rows of three taps, which adds to its row of the output: there is no memory for
/// transforms but that of one row of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPairs {
    isa: Isa,
    pub(in crate::conv2d) geometry: Geometry,
}

/// Features whose weights are transformed together: the widest panel of a scalar FPU.
const FEATURES: usize = 8;

/// What a product's sums start from.
#[derive(Clone, Copy)]
enum Start<'a> {
    Bias(Option<&'a [f32]>),
    Output,
}

/// The points whose weights are not a row of taps.
#[derive(Clone, Copy)]
enum Point {
    One,
    MinusOne,
}

impl RowPairs {
    /// For the shape of a convolution with 3×3 windows and stride 1, on an instruction set that [takes
    /// plain weights](takes_plain_weights).
    ///
    /// # Errors
    /// The windows are not 3×3, the stride or dilation is not 1, there are groups, or weights must be
    /// packed.
    pub fn new(isa: Isa, geometry: &Geometry) -> Result<RowPairs, Error> {
        if !Winograd::fits(geometry) || !takes_plain_weights(isa) {
            return Err(Error::NotWinograd);
        }
        Ok(RowPairs { isa, geometry: *geometry })
    }

    /// How far a result may be from the true one, in the units of [`Winograd::error_bound`], for so many
    /// input channels.
    ///
    /// It holds for every pass that is `Ok`, with weights that [`check_weights`](Self::check_weights) has seen: no
    /// sum overflows then. For samples at the points are 2⁶⁴ at the most, or their squares had no finite sum, and
    /// so with a filter's magnitudes, 2⁶⁰ at the most, all sums stay below `|bias| + 2¹²⁶`. Samples below 2⁵⁰ always
    /// pass.
    pub const fn error_bound(channels: usize) -> f64 {
        // The transforms enlarge an error fourfold at most: the root of F(2×2)'s amplification. A sum goes
        // through two points of three taps each, and the transforms round less than 16 times.
        4.0 * (6 * channels + 16) as f64
    }

    /// Elements of scratch that [`forward`](Self::forward) takes.
    pub fn scratch_len(&self) -> usize {
        self.scratch().iter().sum()
    }

    /// Elements of a transformed row of the input, and of transformed weights.
    fn scratch(&self) -> [usize; 2] {
        let [_, _, width, channels] = self.geometry.input();
        [width * channels, 3 * channels * FEATURES.min(self.geometry.channels_out)]
    }

    /// Checks that weights `[3, 3, Cin, Cout]` are within the range of the [error bound](Self::error_bound): once
    /// for all passes.
    ///
    /// # Errors
    /// The sum of a filter's magnitudes may be more than 2⁶⁰, or one is [not finite](Error::NotFinite).
    pub fn check_weights(&self, weights: &[f32]) -> Result<(), Error> {
        const LARGEST: f32 = (1u64 << 60) as f32;
        check("weights", weights, self.geometry.weights().iter().product())?;
        let largest = LARGEST / (9 * self.geometry.channels_in) as f32;
        if weights.iter().all(|weight| weight.abs() <= largest) { Ok(()) } else { Err(Error::NotFinite) }
    }

    /// Convolution, bias and activation: `[N, H, W, Cin]` to `[N, OH, OW, Cout]`, with weights
    /// `[3, 3, Cin, Cout]` and a bias of `[Cout]`. What `scratch` holds does not matter.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or the squares of the samples at the points have no
    /// [finite](Error::NotFinite) sum.
    pub fn forward(
        &self,
        input: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let ([_, _, width, channels], [_, height, columns, features]) =
            (self.geometry.input(), self.geometry.output());
        check("input", input, self.geometry.input().iter().product())?;
        check("weights", weights, 9 * channels * features)?;
        check("output", output, self.geometry.output().iter().product())?;
        check("scratch", scratch, self.scratch_len())?;
        if let Some(bias) = bias {
            check("bias", bias, features)?;
        }
        let (samples, transformed) = scratch.split_at_mut(width * channels);
        let (input_row, output_row) = (width * channels, columns * features);
        let image_len = self.geometry.axes[0].input * input_row;
        let mut squares = 0.0;
        for (image, output) in output.chunks_mut(height * output_row).enumerate() {
            let image = &input[image * image_len..][..image_len];
            for (pair, rows) in output.chunks_mut(2 * output_row).enumerate() {
                let seen = [0, 1, 2, 3].map(|i| {
                    let y = (2 * pair + i).checked_sub(self.geometry.axes[0].before)?;
                    image.get(y * input_row..)?.get(..input_row)
                });
                let (upper, lower) = rows.split_at_mut(output_row);
                squares += if lower.is_empty() {
                    self.single(seen, weights, bias, activation, upper, samples)
                } else {
                    self.pair(seen, weights, bias, activation, [upper, lower], [samples, transformed])
                };
            }
        }
        if squares.is_finite() { Ok(()) } else { Err(Error::NotFinite) }
    }

    /// The last row of an odd number, without a transform. Gives the sum of its samples' squares.
    fn single(
        &self,
        seen: [Option<&[f32]>; 4],
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        samples: &mut [f32],
    ) -> f32 {
        let mut squares = 0.0;
        for (ky, row) in seen.into_iter().take(3).enumerate() {
            squares += combine(row, None, [1.0, 0.0], samples);
            let start = if ky == 0 { Start::Bias(bias) } else { Start::Output };
            let activation = if ky == 2 { activation } else { Activation::None };
            self.plain(ky, samples, weights, start, activation, output);
        }
        squares
    }

    /// Gives the sum of the squares of all samples at the points.
    fn pair(
        &self,
        [row0, row1, row2, row3]: [Option<&[f32]>; 4],
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        [upper, lower]: [&mut [f32]; 2],
        [samples, transformed]: [&mut [f32]; 2],
    ) -> f32 {
        let mut squares = combine(row1, row2, [0.5, 1.0], samples);
        self.at_one(Point::One, weights, Start::Bias(bias), upper, [samples, transformed]);
        squares += combine(row2, row1, [0.5, -1.0], samples);
        self.at_one(Point::MinusOne, weights, Start::Bias(None), lower, [samples, transformed]);
        for (upper, lower) in upper.iter_mut().zip(&mut *lower) {
            (*upper, *lower) = (*upper + *lower, *upper - *lower);
        }
        squares += combine(row0, row2, [1.0, -1.0], samples);
        self.plain(0, samples, weights, Start::Output, activation, upper);
        squares += combine(row3, row1, [1.0, -1.0], samples);
        self.plain(2, samples, weights, Start::Output, activation, lower);
        squares
    }

    /// At the points 0 and ∞, where a row of the weights is its own transform.
    fn plain(
        &self,
        ky: usize,
        samples: &[f32],
        weights: &[f32],
        start: Start<'_>,
        activation: Activation,
        output: &mut [f32],
    ) {
        let features = self.geometry.channels_out;
        let row = weights.len() / 3;
        let weights = Weights::Plain { weights: &weights[ky * row..][..row], pitch: features };
        self.product(samples, weights, 0..features, start, activation, output);
    }

    /// At a point where the weights are the outer rows' sum and the middle one or its negative. They are
    /// halved with the samples, of which there are fewer.
    fn at_one(
        &self,
        point: Point,
        weights: &[f32],
        start: Start<'_>,
        output: &mut [f32],
        [samples, transformed]: [&mut [f32]; 2],
    ) {
        let [depth, features] = [3 * self.geometry.channels_in, self.geometry.channels_out];
        for first in (0..features).step_by(FEATURES) {
            let panel = first..features.min(first + FEATURES);
            let transformed = &mut transformed[..depth * panel.len()];
            point.transform(weights, features, panel.clone(), transformed);
            let weights = Weights::Plain { weights: transformed, pitch: panel.len() };
            self.product(samples, weights, panel, start, Activation::None, output);
        }
    }

    /// Windows of one row over a row of samples, for some features.
    fn product(
        &self,
        samples: &[f32],
        weights: Weights<'_>,
        features: Range<usize>,
        start: Start<'_>,
        activation: Activation,
        output: &mut [f32],
    ) {
        let Geometry { channels_in, channels_out, axes, .. } = self.geometry;
        let (resume, bias) = match start {
            Start::Bias(bias) => (false, bias),
            Start::Output => (true, None),
        };
        Correlate {
            batch: 1,
            sweeps: [Sweep::points(1), Sweep::along(&axes[1])],
            channels: Channels::all(channels_in),
            features: Channels { all: channels_out, first: features.start, count: features.len() },
            input: samples,
            weights,
            bias,
            resume,
            finish: activation.into(),
            output: output.as_mut_ptr(),
        }
        .run_on(self.isa);
    }
}

/// `scale * (a + sign * b)` of two rows of pixels, number by number; zeros outside the image. Gives the sum of
/// the squares.
fn combine(a: Option<&[f32]>, b: Option<&[f32]>, [scale, sign]: [f32; 2], samples: &mut [f32]) -> f32 {
    let mut squares = 0.0;
    let mut put = |sample: &mut f32, x: f32| {
        *sample = x;
        squares += x * x;
    };
    let (row, scale) = match (a, b) {
        (Some(a), Some(b)) => {
            for ((sample, &a), &b) in samples.iter_mut().zip(a).zip(b) {
                put(sample, scale * (a + sign * b));
            }
            return squares;
        }
        (Some(a), None) => (a, scale),
        (None, Some(b)) => (b, scale * sign),
        (None, None) => {
            samples.fill(0.0);
            return squares;
        }
    };
    for (sample, &x) in samples.iter_mut().zip(row) {
        put(sample, scale * x);
    }
    squares
}

impl Point {
    /// Some of the features of weights `[3, 3 * Cin, Cout]`: `[3 * Cin, panel]`.
    fn transform(self, weights: &[f32], features: usize, panel: Range<usize>, transformed: &mut [f32]) {
        let row = weights.len() / 3;
        #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
        if panel.len() == FEATURES {
            use crate::simd::vfp;
            let kernel = match self {
                Point::One => vfp::outer_plus_middle,
                Point::MinusOne => vfp::outer_minus_middle,
            };
            let count = transformed.len() / FEATURES;
            assert!(count > 0 && count * features == row && panel.end <= features);
            let [third, step] = [row, features].map(|len| size_of::<f32>() * len);
            // SAFETY: `count` rows of all features lie behind each other thrice, and there is room for
            // as many of the panel's.
            unsafe { kernel(weights[panel.start..].as_ptr(), count, third, step, transformed.as_mut_ptr()) };
            return;
        }
        for (k, transformed) in transformed.chunks_exact_mut(panel.len()).enumerate() {
            let [top, middle, bottom] =
                [0, 1, 2].map(|ky| &weights[ky * row + k * features + panel.start..][..panel.len()]);
            for (i, transformed) in transformed.iter_mut().enumerate() {
                let outer = top[i] + bottom[i];
                *transformed = match self {
                    Point::One => outer + middle[i],
                    Point::MinusOne => outer - middle[i],
                };
            }
        }
    }
}
