//! What single layers take: instructions in all, and for each multiply-add. Weights lie in flash, and there is
//! no heap. Every output is held to the definition, so that no figure is one of wrong numbers.
#![no_std]
#![no_main]

use bantam_kernels::conv2d::winograd::RowPairs;
use bantam_kernels::conv2d::{self, Activation, Geometry, Padding};
use bantam_kernels::depthwise_conv2d::{self, Geometry as Depthwise};
use bantam_kernels::max_pool2d::{self, Geometry as Pool};
use bantam_kernels::reference::{self, Expected};
use bantam_kernels::{Error, Isa};
use firmware::{board, println};
use static_cell::ConstStaticCell;

firmware::program!(layers);

/// What a multiply-add of a direct 3×3 over 32 channels or more may take, in hundredths of an instruction.
const MOST: u64 = 260;

static WEIGHTS: [f32; 576 * 64] = numbers(1);
static BIAS: [f32; 64] = numbers(2);
static INPUT: ConstStaticCell<[f32; 26 * 26 * 32]> = ConstStaticCell::new(numbers(3));
static OUTPUT: ConstStaticCell<[f32; 26 * 26 * 32]> = ConstStaticCell::new([0.0; 26 * 26 * 32]);
/// Weights that are prepared for NEON, else the scratch of pairs of rows.
static SCRATCH: ConstStaticCell<[f32; SCRATCH_LEN]> = ConstStaticCell::new([0.0; SCRATCH_LEN]);
const SCRATCH_LEN: usize = if cfg!(target_arch = "aarch64") { WEIGHTS.len() } else { 2048 };

/// Numbers from -1 to 1, others for another `seed`.
const fn numbers<const N: usize>(mut seed: u32) -> [f32; N] {
    let (mut numbers, mut i) = ([0.0; N], 0);
    while i < N {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        numbers[i] = (seed >> 8) as f32 / 8_388_608.0 - 1.0;
        i += 1;
    }
    numbers
}

fn len(shape: [usize; 4]) -> usize {
    shape.iter().product()
}

struct Bench<'a> {
    isa: Isa,
    input: &'a [f32],
    output: &'a mut [f32],
    scratch: &'a mut [f32],
}

/// What a line says beside its figures.
struct Layer {
    kind: &'static str,
    window: [usize; 2],
    input: [usize; 4],
    output: [usize; 4],
    /// Multiply-adds or comparisons.
    operations: u64,
    /// What one of them may take, in hundredths of an instruction.
    most: u64,
}

impl Layer {
    fn convolution(kind: &'static str, g: &Geometry) -> Layer {
        let [kh, kw, ..] = g.weights();
        let (input, output, operations) = (g.input(), g.output(), g.multiply_adds());
        Layer { kind, window: [kh, kw], input, output, operations, most: u64::MAX }
    }

    /// Runs it and prints its line. Gives whether it wrote what is wanted, in few enough instructions.
    fn measure(
        &self,
        output: &mut [f32],
        run: impl FnOnce(&mut [f32]) -> Result<(), Error>,
        want: impl Iterator<Item = Expected>,
    ) -> Result<bool, Error> {
        output.fill(f32::NAN);
        let (result, instructions) = board::instructions(|| run(output));
        result?;
        let right = output.iter().zip(want).all(|(&got, want)| want.admits(got));
        let each = (100 * instructions).div_ceil(self.operations);
        let verdict = match () {
            () if !right => ": WRONG NUMBERS",
            () if each > self.most => ": TOO MANY",
            () => "",
        };
        let Layer { kind, window: [kh, kw], input: [_, h, w, c], output: [_, oh, ow, features], .. } = self;
        let (whole, hundredths) = (each / 100, each % 100);
        println!(
            "{instructions:9} {whole:3}.{hundredths:02}  {kh}×{kw}, {h}×{w}×{c} → {oh}×{ow}×{features}, {kind}{verdict}"
        );
        Ok(verdict.is_empty())
    }
}

impl Bench<'_> {
    fn convolution(&mut self, kind: &'static str, g: &Geometry) -> Result<bool, Error> {
        let isa = self.isa;
        let (weights, bias) = (&WEIGHTS[..len(g.weights())], &BIAS[..g.output()[3]]);
        let (input, output) = (&self.input[..len(g.input())], &mut self.output[..len(g.output())]);
        let packed = if conv2d::takes_plain_weights(isa) {
            weights
        } else {
            let packed = &mut self.scratch[..conv2d::packed_len(isa, g)];
            conv2d::pack(isa, g, weights, packed)?;
            packed
        };
        let most = if matches!(g.weights(), [3, 3, (32..), _]) { MOST } else { u64::MAX };
        Layer { most, ..Layer::convolution(kind, g) }.measure(
            output,
            |output| conv2d::forward(isa, g, input, packed, Some(bias), Activation::Relu, output),
            reference::conv2d::forward(g, input, weights, Some(bias)).map(Expected::relu),
        )
    }

    fn row_pairs(&mut self, g: &Geometry) -> Result<bool, Error> {
        let Ok(pairs) = RowPairs::new(self.isa, g) else { return Ok(true) };
        let ([_, _, channels, features], scratch) = (g.weights(), &mut self.scratch[..pairs.scratch_len()]);
        let (weights, bias) = (&WEIGHTS[..len(g.weights())], &BIAS[..features]);
        let (input, output) = (&self.input[..len(g.input())], &mut self.output[..len(g.output())]);
        // Neither samples nor bias are larger than one.
        let filter = |feature| weights[feature..].iter().step_by(features).map(|&x| f64::from(x.abs())).sum();
        let scale = 1.0 + (0..features).map(filter).fold(0.0, f64::max);
        let error = RowPairs::error_bound(channels) * scale * f64::from(f32::EPSILON) / 2.0;
        Layer::convolution("F(2, 3) by pairs of rows", g).measure(
            output,
            |output| pairs.forward(input, weights, Some(bias), Activation::Relu, output, scratch),
            reference::conv2d::forward(g, input, weights, Some(bias))
                .map(|want| Expected { error, ..want }.relu()),
        )
    }

    fn grad_weights(&mut self, g: &Geometry) -> Result<bool, Error> {
        let isa = self.isa;
        let (input, rest) = self.input.split_at(len(g.input()));
        let (d_output, [kh, kw, channels, _]) = (&rest[..len(g.output())], g.weights());
        Layer::convolution("gradient to the weights", g).measure(
            &mut self.output[..len(g.weights())],
            |d_weights| conv2d::grad_weights(isa, g, input, d_output, 0..kh * kw * channels, d_weights),
            reference::conv2d::grad_weights(g, input, d_output),
        )
    }

    fn depthwise(&mut self, g: &Depthwise) -> Result<bool, Error> {
        let (isa, [kh, kw, ..]) = (self.isa, g.weights());
        let (weights, bias) = (&WEIGHTS[..len(g.weights())], &BIAS[..g.output()[3]]);
        let input = &self.input[..len(g.input())];
        Layer {
            kind: "depthwise",
            window: [kh, kw],
            input: g.input(),
            output: g.output(),
            operations: g.multiply_adds(),
            most: u64::MAX,
        }
        .measure(
            &mut self.output[..len(g.output())],
            |output| depthwise_conv2d::forward(isa, g, input, weights, Some(bias), Activation::Relu, output),
            reference::depthwise_conv2d::forward(g, input, weights, Some(bias)).map(Expected::relu),
        )
    }

    fn max_pool(&mut self, shape: [usize; 4], window: [usize; 2]) -> Result<bool, Error> {
        let (isa, g) = (self.isa, &Pool::new(shape, window, window, Padding::Valid)?);
        let input = &self.input[..len(g.input())];
        Layer {
            kind: "max-pool",
            window,
            input: g.input(),
            output: g.output(),
            operations: (len(g.output()) * window[0] * window[1]) as u64,
            most: u64::MAX,
        }
        .measure(
            &mut self.output[..len(g.output())],
            |output| max_pool2d::forward(isa, g, Activation::None, input, output),
            reference::max_pool2d::forward_argmax(g, input)
                .map(|(largest, _)| Expected { value: largest.into(), error: 0.0 }),
        )
    }
}

fn layers() -> Result<bool, Error> {
    let products = match () {
        () if cfg!(not(target_arch = "arm")) => "",
        () if cfg!(feature = "m4") => ", VMUL and VADD",
        () => ", VMLA",
    };
    let isa = Isa::detect();
    println!("{}, {isa}{products}: instructions, and for each multiply-add or comparison", env!("BOARD"));
    let mut bench = Bench { isa, input: INPUT.take(), output: OUTPUT.take(), scratch: SCRATCH.take() };
    let conv2d =
        |input, kernel, features, padding| Geometry::new(input, [kernel, kernel], features, [1, 1], padding);
    let mut well = true;
    for g in [
        conv2d([1, 13, 13, 32], 3, 64, Padding::Valid)?,
        conv2d([1, 5, 5, 64], 3, 64, Padding::Valid)?,
        conv2d([1, 14, 14, 32], 3, 32, Padding::Same)?,
    ] {
        well &= bench.convolution("direct", &g)?;
        well &= bench.row_pairs(&g)?;
    }
    well &= bench.grad_weights(&conv2d([1, 13, 13, 32], 3, 64, Padding::Valid)?)?;
    well &= bench.convolution("direct", &conv2d([1, 28, 28, 1], 3, 32, Padding::Valid)?)?;
    well &= bench.convolution("direct", &conv2d([1, 14, 14, 64], 1, 64, Padding::Valid)?)?;
    well &= bench.convolution("dense", &Geometry::dense(1, 576, 64)?)?;
    well &= bench.depthwise(&Depthwise::new([1, 14, 14, 64], [3, 3], 1, [1, 1], Padding::Same)?)?;
    well &= bench.max_pool([1, 26, 26, 32], [2, 2])?;
    Ok(well)
}
