use super::by_rows::ByRows;
use super::conv2d::{ConvolutionStep, ConvolutionTraining, Pointwise};
use super::depthwise_conv2d::{DepthwiseConv2d, DepthwiseConv2dStep};
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Initial, Layer, LayerType,
    Signature, Site, Step, TrainingStep, elements, gradients, one_input,
};
use crate::error::Error;
use crate::memory::buffer::{split_lines, whole_lines};
use crate::memory::heap::boxed;
use crate::shape::Shape;
use alloc::boxed::Box;
use bantam_kernels::Isa;
use bantam_kernels::conv2d::{Activation, Geometry, Padding};
use bantam_kernels::depthwise_conv2d;
use core::any::Any;

/// A [`DepthwiseConv2d`] without a bias and a 1×1 convolution of what it gives, `[H, W, C]` to `[OH, OW, filters]`
/// (Chollet, arXiv 1610.02357). The weights are `depthwise_kernel`, `[KH, KW, C, M]`, `pointwise_kernel`,
/// `[1, 1, C * M, filters]`, and `bias`, `[filters]`.
///
/// The map between the two is scratch, or some rows of it are; a backward pass computes it anew, which costs less than to keep it.
///
/// ```
/// use bantam::{SeparableConv2d, Sequential};
/// let model = Sequential::new([8, 8, 16]).separable_conv2d(32, 3).build(1)?;
/// assert_eq!(model.output_shape().dims(), [6, 6, 32]);
/// assert_eq!(model.parameter_count(), 3 * 3 * 16 + 16 * 32 + 32);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeparableConv2d {
    /// The output's channels.
    pub filters: usize,
    /// The first of the two, which has no bias.
    pub depthwise: DepthwiseConv2d,
    /// Whether there is a bias.
    pub bias: bool,
}

impl SeparableConv2d {
    /// Stride 1, a bias, and that padding. Filters and kernel are told where it is used.
    pub const fn padded(padding: Padding) -> SeparableConv2d {
        let depthwise = DepthwiseConv2d::padded(padding).no_bias();
        SeparableConv2d { filters: 0, depthwise, bias: true }
    }

    /// Stride 1, no padding.
    pub const fn valid() -> SeparableConv2d {
        SeparableConv2d::padded(Padding::Valid)
    }

    /// Stride 1, and as much padding as keeps height and width.
    pub const fn same() -> SeparableConv2d {
        SeparableConv2d::padded(Padding::Same)
    }

    /// With so many filters, the output's channels.
    pub const fn filters(self, filters: usize) -> SeparableConv2d {
        SeparableConv2d { filters, ..self }
    }

    /// With a depthwise kernel of that height and width.
    pub const fn kernel(self, kernel: [usize; 2]) -> SeparableConv2d {
        SeparableConv2d { depthwise: self.depthwise.kernel(kernel), ..self }
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> SeparableConv2d {
        SeparableConv2d { depthwise: self.depthwise.stride(stride), ..self }
    }

    /// With so many pixels from one tap of the depthwise kernel to the next, in both directions.
    pub const fn dilation(self, dilation: usize) -> SeparableConv2d {
        SeparableConv2d { depthwise: self.depthwise.dilation(dilation), ..self }
    }

    /// With so many channels between the two for each of the input.
    pub const fn multiplier(self, multiplier: usize) -> SeparableConv2d {
        SeparableConv2d { depthwise: self.depthwise.multiplier(multiplier), ..self }
    }

    /// Without a bias.
    pub const fn no_bias(self) -> SeparableConv2d {
        SeparableConv2d { bias: false, ..self }
    }

    /// Of the two, for a batch `[N, H, W, C]`.
    fn geometries(&self, input: [usize; 4]) -> Result<(depthwise_conv2d::Geometry, Geometry), Error> {
        if self.filters == 0 {
            return Err(bantam_kernels::Error::ZeroSize { what: "filters" }.into());
        }
        let depthwise = self.depthwise.geometry(input)?;
        let pointwise = Geometry::new(depthwise.output(), [1, 1], self.filters, [1, 1], Padding::Valid)?;
        Ok((depthwise, pointwise))
    }

    fn steps<P>(
        &self,
        site: &Site<'_>,
        pointwise: impl FnOnce(&Geometry, &Site<'_>) -> P,
    ) -> Result<Separable<P>, Error> {
        let (depthwise, of_pixels) = self.geometries(one_input(site.inputs)?.array("input")?)?;
        let plain = Site { activation: Activation::None, ..*site };
        Ok(Separable {
            batch: depthwise.input()[0],
            depthwise: DepthwiseConv2dStep::new(&depthwise, &plain),
            pointwise: pointwise(&of_pixels, site),
        })
    }
}

impl Layer for SeparableConv2d {
    const NAME: &'static str = "SeparableConv2D";
    const BASE: &'static str = "separable_conv2d";
    const TYPE: LayerType = LayerType::of::<SeparableConv2d>().takes_activation();
    type Step = SeparableStep;

    fn read(attributes: &mut Attributes<'_>) -> SeparableConv2d {
        let filters = attributes.size("filters");
        let depthwise = DepthwiseConv2d::read_window(attributes);
        SeparableConv2d { filters, depthwise, bias: attributes.flag("bias flag") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.size(self.filters);
        self.depthwise.write_window(attributes);
        attributes.flag(self.bias);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [h, w, c] = one_input(inputs)?.array("input")?;
        let (depthwise, pointwise) = self.geometries([1, h, w, c])?;
        let ([_, output @ ..], [_, _, fan_in, fan_out]) = (pointwise.output(), pointwise.weights());
        Ok(Signature::of(&output)
            .weight("depthwise_kernel", &depthwise.weights(), self.depthwise.initial())
            .weight("pointwise_kernel", &pointwise.weights(), Initial::Drawn { fan_in, fan_out })
            .bias(self.bias, self.filters))
    }

    fn lower(&self, site: &Site<'_>) -> Result<Self::Step, Error> {
        let (depthwise, of_pixels) = self.geometries(one_input(site.inputs)?.array("input")?)?;
        let (activation, weights) = (site.activation, 1 + usize::from(self.bias));
        let [_, _, channels, filters] = of_pixels.weights();
        let pointwise = Pointwise { channels, filters, activation, adds: None };
        // On a chip rows may take half as much as input and output, with which the whole map would be there too.
        let maps = [depthwise.input(), of_pixels.output()].map(elements).iter().sum::<usize>();
        let room = (site.isa == Isa::SCALAR).then(|| maps.saturating_add(maps / 2));
        let depthwise = DepthwiseConv2dStep::new(&depthwise, &Site { activation: Activation::None, ..*site });
        let by_rows =
            ByRows::new(&depthwise.between_neighbours(1), [None, Some((pointwise, weights))], room)?;
        Ok(SeparableStep(match by_rows {
            Some(by_rows) => boxed(by_rows)?,
            None => boxed(self.steps(site, ConvolutionStep::new)?)?,
        }))
    }
}

impl Differentiable for SeparableConv2d {
    type TrainingStep = Separable<ConvolutionTraining>;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<Self::TrainingStep, Error> {
        self.steps(site, ConvolutionTraining::new)
    }
}

/// [`SeparableConv2d`], ready to run: by rows, or both convolutions one after the other.
pub struct SeparableStep(Box<dyn Step>);

impl Step for SeparableStep {
    fn prepared_len(&self) -> usize {
        self.0.prepared_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.0.prepare(weights, prepared)
    }

    fn reads_weights(&self, index: usize) -> bool {
        self.0.reads_weights(index)
    }

    fn scratch_len(&self) -> usize {
        self.0.scratch_len()
    }

    fn multiply_adds(&self) -> u64 {
        self.0.multiply_adds()
    }

    fn overwrites(&self, input: usize) -> bool {
        self.0.overwrites(input)
    }

    fn merged(&mut self) -> Option<&mut dyn Any> {
        self.0.merged()
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.0.forward(run)
    }
}

/// The two of a [`SeparableConv2d`], one after the other.
pub struct Separable<P> {
    batch: usize,
    depthwise: DepthwiseConv2dStep,
    pointwise: P,
}

impl Separable<ConvolutionStep> {
    /// As [`ConvolutionStep::add`].
    pub(crate) fn add(&mut self, activation: Activation) -> bool {
        self.pointwise.add(activation)
    }
}

impl<P> Separable<P> {
    /// Elements of the map between the two, for so many images.
    fn map_len(&self, images: usize) -> usize {
        let [_, len] = self.depthwise.lens();
        images * len
    }
}

impl<P: Step + 'static> Step for Separable<P> {
    fn prepared_len(&self) -> usize {
        self.pointwise.prepared_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.pointwise.prepare(&weights[1..], prepared)
    }

    fn reads_weights(&self, index: usize) -> bool {
        index.checked_sub(1).is_none_or(|index| self.pointwise.reads_weights(index))
    }

    fn scratch_len(&self) -> usize {
        whole_lines(self.map_len(self.batch)).saturating_add(self.pointwise.scratch_len())
    }

    fn multiply_adds(&self) -> u64 {
        self.depthwise.multiply_adds().saturating_add(self.pointwise.multiply_adds())
    }

    fn overwrites(&self, input: usize) -> bool {
        self.pointwise.overwrites(input)
    }

    fn merged(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }

    fn forward(&self, mut run: Forward<'_>) -> Result<(), Error> {
        if self.overwrites(1) {
            run = run.overwriting(1);
        }
        let (map, scratch) = split_lines(run.scratch, self.map_len(run.samples));
        self.depthwise.convolve(run.samples, run.inputs[0], run.weights[0], None, map)?;
        self.pointwise.forward(Forward { inputs: &[map], weights: &run.weights[1..], scratch, ..run })
    }
}

impl TrainingStep for Separable<ConvolutionTraining> {
    fn backward_reads(&self) -> BackwardReads {
        self.pointwise.backward_reads()
    }

    fn backward_scratch_len(&self, _: bool) -> usize {
        let maps = 2 * whole_lines(self.map_len(self.batch));
        maps.saturating_add(self.pointwise.backward_scratch_len(true))
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Backward { inputs, weights, output, saved, d_output, share, d_input, d_weights, scratch, .. } =
            run;
        let [d_depthwise, d_pointwise, d_bias] = gradients(d_weights);
        let (map, scratch) = split_lines(scratch, self.map_len(self.batch));
        let (d_map, scratch) = split_lines(scratch, self.map_len(self.batch));
        if d_pointwise.is_some() {
            self.depthwise.convolve(self.batch, inputs[0], weights[0], None, map)?;
        }
        let passed_on = d_depthwise.is_some() || d_input.is_some();
        self.pointwise.backward(Backward {
            inputs: &[map],
            weights: &weights[1..],
            output,
            saved,
            d_output,
            share,
            input: 0,
            d_input: passed_on.then_some(&mut *d_map),
            d_weights: &mut [d_pointwise, d_bias],
            scratch,
            statistics: &[],
            gradient_means: &[],
        })?;
        if !passed_on {
            return Ok(());
        }
        self.depthwise.gradients(inputs[0], weights[0], d_map, d_depthwise, d_input)
    }
}
