use super::by_rows::{self, Middle};
use super::conv2d::grad_activation;
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Initial, Layer, LayerType,
    Schedule, Signature, Site, Step, TrainingStep, elements_of_one, gradients, one_input,
};
use crate::error::Error;
use crate::parallel::{Threads, WORTH_SHARING, for_each_chunk, for_each_images, join};
use crate::shape::Shape;
use bantam_kernels::conv2d::{Activation, Padding};
use bantam_kernels::depthwise_conv2d::{Depthwise, Geometry};
use bantam_kernels::{Isa, reduce};
use core::any::Any;

/// A convolution of each channel by itself, `[H, W, C]` to `[OH, OW, C * M]`, with a kernel of `[KH, KW, C, M]` and a
/// bias of `[C * M]` (Howard et al., arXiv 1704.04861):
///
/// `y[i, j, c * M + m] = bias[c * M + m] + Σ x[i * stride + p * dilation, j * stride + q * dilation, c] * kernel[p, q, c, m]`
///
/// `M` is the multiplier, 1 unless told otherwise; only then do the kernels take whole vectors. Weights are drawn for
/// the `KH * KW` inputs that an output has; Keras counts those of all channels, and begins with smaller weights.
///
/// ```
/// use bantam::{DepthwiseConv2d, Sequential};
/// let halving = DepthwiseConv2d::same().stride(2);
/// let model = Sequential::new([8, 8, 16]).depthwise_conv2d_with([3, 3], halving).build(1)?;
/// assert_eq!(model.output_shape().dims(), [4, 4, 16]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DepthwiseConv2d {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// From one output to the next, downwards and to the right.
    pub stride: [usize; 2],
    /// From one tap of the kernel to the next.
    pub dilation: [usize; 2],
    /// Outputs of each channel.
    pub multiplier: usize,
    /// How far the kernel reaches past the edges.
    pub padding: Padding,
    /// Whether there is a bias.
    pub bias: bool,
}

impl DepthwiseConv2d {
    /// Stride 1, a bias, and that padding. The kernel is told where it is used.
    pub const fn padded(padding: Padding) -> DepthwiseConv2d {
        let (kernel, stride, dilation) = ([1, 1], [1, 1], [1, 1]);
        DepthwiseConv2d { kernel, stride, dilation, multiplier: 1, padding, bias: true }
    }

    /// Stride 1, no padding.
    pub const fn valid() -> DepthwiseConv2d {
        DepthwiseConv2d::padded(Padding::Valid)
    }

    /// Stride 1, and as much padding as keeps height and width.
    pub const fn same() -> DepthwiseConv2d {
        DepthwiseConv2d::padded(Padding::Same)
    }

    /// With a kernel of that height and width.
    pub const fn kernel(self, kernel: [usize; 2]) -> DepthwiseConv2d {
        DepthwiseConv2d { kernel, ..self }
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> DepthwiseConv2d {
        self.strides([stride, stride])
    }

    /// With that stride downwards and to the right.
    pub const fn strides(self, stride: [usize; 2]) -> DepthwiseConv2d {
        DepthwiseConv2d { stride, ..self }
    }

    /// With so many pixels from one tap of the kernel to the next, in both directions.
    pub const fn dilation(self, dilation: usize) -> DepthwiseConv2d {
        self.dilations([dilation, dilation])
    }

    /// With so many pixels from one tap of the kernel to the next, downwards and to the right.
    pub const fn dilations(self, dilation: [usize; 2]) -> DepthwiseConv2d {
        DepthwiseConv2d { dilation, ..self }
    }

    /// With so many outputs of each channel.
    pub const fn multiplier(self, multiplier: usize) -> DepthwiseConv2d {
        DepthwiseConv2d { multiplier, ..self }
    }

    /// Without a bias.
    pub const fn no_bias(self) -> DepthwiseConv2d {
        DepthwiseConv2d { bias: false, ..self }
    }

    /// For a batch `[N, H, W, C]`.
    pub(super) fn geometry(&self, input: [usize; 4]) -> Result<Geometry, Error> {
        let DepthwiseConv2d { kernel, stride, dilation, multiplier, padding, .. } = *self;
        Ok(Geometry::with_dilation(input, kernel, multiplier, stride, padding, dilation)?)
    }

    /// What its kernel begins as.
    pub(super) fn initial(&self) -> Initial {
        let taps = self.kernel[0] * self.kernel[1];
        Initial::Drawn { fan_in: taps, fan_out: taps * self.multiplier }
    }

    /// Without a bias, as [`write_window`](Self::write_window) has written it.
    pub(super) fn read_window(attributes: &mut Attributes<'_>) -> DepthwiseConv2d {
        let [kh, kw, vertical, horizontal, down, across, multiplier] =
            attributes.sizes("depthwise convolution");
        DepthwiseConv2d {
            kernel: [kh, kw],
            stride: [vertical, horizontal],
            dilation: [down, across],
            multiplier,
            padding: attributes.padding(),
            bias: false,
        }
    }

    /// All but whether there is a bias.
    pub(super) fn write_window(&self, attributes: &mut AttributesMut) {
        for sizes in [self.kernel, self.stride, self.dilation] {
            attributes.sizes(&sizes);
        }
        attributes.size(self.multiplier);
        attributes.padding(self.padding);
    }
}

impl Layer for DepthwiseConv2d {
    const NAME: &'static str = "DepthwiseConv2D";
    const BASE: &'static str = "depthwise_conv2d";
    const TYPE: LayerType = LayerType::of::<DepthwiseConv2d>().takes_activation().arranges(join_neighbours);
    type Step = DepthwiseConv2dStep;

    fn read(attributes: &mut Attributes<'_>) -> DepthwiseConv2d {
        let window = DepthwiseConv2d::read_window(attributes);
        DepthwiseConv2d { bias: attributes.flag("bias flag"), ..window }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        self.write_window(attributes);
        attributes.flag(self.bias);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [h, w, c] = one_input(inputs)?.array("input")?;
        let geometry = self.geometry([1, h, w, c])?;
        let [_, output @ ..] = geometry.output();
        let kernel = geometry.weights();
        Ok(Signature::of(&output).weight("kernel", &kernel, self.initial()).bias(self.bias, output[2]))
    }

    fn lower(&self, site: &Site<'_>) -> Result<DepthwiseConv2dStep, Error> {
        let geometry = self.geometry(one_input(site.inputs)?.array("input")?)?;
        Ok(DepthwiseConv2dStep::new(&geometry, site))
    }
}

impl Differentiable for DepthwiseConv2d {
    type TrainingStep = DepthwiseConv2dStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<DepthwiseConv2dStep, Error> {
        self.lower(site)
    }
}

/// Has it run with the 1×1 convolutions around it where that pays.
fn join_neighbours(schedule: &mut Schedule, at: usize, _: Activation) -> Result<(), Error> {
    let scheduled = &mut schedule.steps[at];
    let step = scheduled.step.merged().and_then(|step| step.downcast_ref::<DepthwiseConv2dStep>());
    let Some(middle) = step.map(|step| step.between_neighbours(scheduled.parameters.len())) else {
        return Ok(());
    };
    by_rows::join(schedule, at, &middle)
}

/// Multiply-adds of a convolution over all channels that take as long as one of a depthwise one.
const COST: u64 = 4;

/// [`DepthwiseConv2d`], ready to run.
pub struct DepthwiseConv2dStep {
    isa: Isa,
    threads: Threads,
    depthwise: Depthwise,
    activation: Activation,
}

impl DepthwiseConv2dStep {
    pub(super) fn new(geometry: &Geometry, site: &Site<'_>) -> DepthwiseConv2dStep {
        let Site { isa, threads, activation, .. } = *site;
        DepthwiseConv2dStep { isa, threads, depthwise: Depthwise::new(isa, geometry), activation }
    }

    /// With so many arrays of weights, as the middle of what runs by rows.
    pub(super) fn between_neighbours(&self, weights: usize) -> Middle {
        let DepthwiseConv2dStep { isa, threads, depthwise, activation } = *self;
        Middle { isa, threads, depthwise, activation, weights }
    }

    /// Elements of one image of the input and of the output.
    pub(super) fn lens(&self) -> [usize; 2] {
        let geometry = self.depthwise.geometry();
        [geometry.input(), geometry.output()].map(elements_of_one)
    }

    /// Elements of a row of the input and of the output.
    pub(super) fn row_lens(&self) -> [usize; 2] {
        let geometry = self.depthwise.geometry();
        [geometry.input(), geometry.output()].map(|[_, _, columns, channels]| columns * channels)
    }

    /// Of so many images. Threads share them, or the rows of each.
    pub(super) fn convolve(
        &self,
        images: usize,
        input: &[f32],
        kernel: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) -> Result<(), Error> {
        let [len, output_len] = self.lens();
        let whole = self.depthwise.first(images);
        let work = COST * whole.geometry().multiply_adds();
        if self.threads.are_more_than(images)
            && work >= WORTH_SHARING
            && let Some(rows) = self.stripe(output_len.div_ceil(self.threads.count()))
        {
            let [row, output_row] = self.row_lens();
            for (input, output) in input.chunks(len).zip(output.chunks_mut(output_len)) {
                for_each_chunk(output, rows * output_row, |i, output| {
                    let rows = i * rows..i * rows + output.len() / output_row;
                    let Some((part, seen)) = self.depthwise.rows(rows) else { return Ok(()) };
                    let input = &input[seen.start * row..seen.end * row];
                    Ok(part.forward(input, kernel, bias, self.activation, output)?)
                })?;
            }
            return Ok(());
        }
        for_each_images(images, self.threads.part_of_work(images, work), output, |images, output| {
            let input = &input[images.start * len..images.end * len];
            let part = whole.first(images.len());
            Ok(part.forward(input, kernel, bias, self.activation, output)?)
        })
    }

    /// The rows of stripes of about so many elements of an image's output, where there are several and each sees more than
    /// padding.
    pub(super) fn stripe(&self, len: usize) -> Option<usize> {
        // A plan takes no time by what a file claims to be the number of rows.
        const MOST: usize = 1024;
        let [_, rows, columns, channels] = self.depthwise.geometry().output();
        let stripe = len.div_ceil(columns * channels);
        let mut all = (0..rows).step_by(stripe).map(|row| row..rows.min(row + stripe));
        let several = 2..=MOST;
        (several.contains(&all.len()) && all.all(|rows| self.depthwise.rows(rows).is_some()))
            .then_some(stripe)
    }

    /// The gradients to kernel and input that are asked for, of a full batch, from the gradient to the sums.
    pub(super) fn gradients(
        &self,
        input: &[f32],
        kernel: &[f32],
        d_output: &[f32],
        d_kernel: Option<&mut [f32]>,
        d_input: Option<&mut [f32]>,
    ) -> Result<(), Error> {
        let geometry = self.depthwise.geometry();
        let ([batch, ..], [_, _, channels, _]) = (geometry.input(), geometry.weights());
        let of_kernel = || match d_kernel {
            Some(d_kernel) => Ok(self.depthwise.grad_weights(input, d_output, 0..channels, d_kernel)?),
            None => Ok(()),
        };
        let of_input = || {
            let Some(d_input) = d_input else { return Ok(()) };
            let [_, len] = self.lens();
            let part = self.threads.part_of_work(batch, geometry.multiply_adds());
            for_each_images(batch, part, d_input, |images, d_input| {
                let d_output = &d_output[images.start * len..images.end * len];
                Ok(self.depthwise.first(images.len()).grad_input(d_output, kernel, d_input)?)
            })
        };
        if self.threads.are_more_than(1) && geometry.multiply_adds() >= WORTH_SHARING {
            return join(of_kernel, of_input);
        }
        of_kernel()?;
        of_input()
    }
}

impl Step for DepthwiseConv2dStep {
    fn multiply_adds(&self) -> u64 {
        self.depthwise.geometry().multiply_adds()
    }

    fn merged(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let bias = run.weights.get(1).copied();
        self.convolve(run.samples, run.inputs[0], run.weights[0], bias, run.output)
    }
}

impl TrainingStep for DepthwiseConv2dStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::output_of(self.activation).and_inputs()
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Backward { inputs, weights, output, d_output, d_input, d_weights, .. } = run;
        let [d_kernel, d_bias] = gradients(d_weights);
        grad_activation(self.isa, self.activation, output, d_output)?;
        if let Some(d_bias) = d_bias {
            reduce::sum_rows(self.isa, d_output.len() / d_bias.len(), d_bias.len(), d_output, d_bias)?;
        }
        self.gradients(inputs[0], weights[0], d_output, d_kernel, d_input)
    }
}
