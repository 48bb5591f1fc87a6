use super::conv2d::{ConvolutionStep, ConvolutionTraining};
use super::depthwise_conv2d::{DepthwiseConv2d, DepthwiseConv2dStep};
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Initial, Layer, LayerType,
    Signature, Site, Step, TrainingStep, gradients, one_input,
};
use crate::error::Error;
use crate::memory::buffer::{split_lines, whole_lines};
use crate::shape::Shape;
use bantam_kernels::conv2d::{Activation, Geometry, Padding};
use bantam_kernels::depthwise_conv2d;

/// A [`DepthwiseConv2d`] without a bias and a 1×1 convolution of what it gives, `[H, W, C]` to `[OH, OW, filters]`
/// (Chollet, arXiv 1610.02357). The weights are `depthwise_kernel`, `[KH, KW, C, M]`, `pointwise_kernel`,
/// `[1, 1, C * M, filters]`, and `bias`, `[filters]`.
///
/// The map between the two is scratch; a backward pass computes it anew, which costs less than to keep it.
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
            stripe: None,
        })
    }
}

impl Layer for SeparableConv2d {
    const NAME: &'static str = "SeparableConv2D";
    const BASE: &'static str = "separable_conv2d";
    const TYPE: LayerType = LayerType::of::<SeparableConv2d>().takes_activation();
    type Step = Separable<ConvolutionStep>;

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
        let mut separable = self.steps(site, ConvolutionStep::new)?;
        if separable.pointwise.prepared_len() <= WEIGHTS {
            separable.stripe = separable.depthwise.stripe(STRIPE * site.threads.count());
        }
        if separable.stripe.is_some() {
            // To the pointwise convolution each row is an image.
            let [batch, rows, columns, channels] =
                self.geometries(one_input(site.inputs)?.array("input")?)?.1.input();
            let input = [batch * rows, 1, columns, channels];
            let of_rows = Geometry::new(input, [1, 1], self.filters, [1, 1], Padding::Valid)?;
            separable.pointwise = ConvolutionStep::new(&of_rows, site);
        }
        Ok(separable)
    }
}

/// Elements between the two that a thread makes at a time: they stay in its second-level cache.
const STRIPE: usize = 64 * 1024;
/// More weights do not stay there with it: each stripe would read all of them from beyond, which takes all that is saved.
const WEIGHTS: usize = 192 * 1024;

impl Differentiable for SeparableConv2d {
    type TrainingStep = Separable<ConvolutionTraining>;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<Self::TrainingStep, Error> {
        self.steps(site, ConvolutionTraining::new)
    }
}

/// [`SeparableConv2d`], ready to run.
pub struct Separable<P> {
    batch: usize,
    depthwise: DepthwiseConv2dStep,
    pointwise: P,
    /// Rows of the map between the two that are made at a time, if not all.
    stripe: Option<usize>,
}

impl<P> Separable<P> {
    /// Elements of the map between the two, for so many images.
    fn map_len(&self, images: usize) -> usize {
        let [_, len] = self.depthwise.lens();
        images * len
    }

    /// Elements of what is made of it at a time.
    fn made_len(&self) -> usize {
        match self.stripe {
            None => self.map_len(self.batch),
            Some(rows) => rows * self.depthwise.row_lens()[1],
        }
    }
}

impl<P: Step> Step for Separable<P> {
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
        whole_lines(self.made_len()).saturating_add(self.pointwise.scratch_len())
    }

    fn multiply_adds(&self) -> u64 {
        self.depthwise.multiply_adds().saturating_add(self.pointwise.multiply_adds())
    }

    fn overwrites(&self, input: usize) -> bool {
        self.pointwise.overwrites(input)
    }

    fn add(&mut self, activation: Activation) -> bool {
        self.pointwise.add(activation)
    }

    fn forward(&self, mut run: Forward<'_>) -> Result<(), Error> {
        if self.overwrites(1) {
            run = run.overwriting(1);
        }
        if let Some(stripe) = self.stripe {
            return self.forward_by_stripes(stripe, run);
        }
        let (map, scratch) = split_lines(run.scratch, self.map_len(run.samples));
        self.depthwise.convolve(run.samples, run.inputs[0], run.weights[0], None, map)?;
        self.pointwise.forward(Forward { inputs: &[map], weights: &run.weights[1..], scratch, ..run })
    }
}

impl<P: Step> Separable<P> {
    /// So many rows of the map between the two at a time.
    fn forward_by_stripes(&self, stripe: usize, run: Forward<'_>) -> Result<(), Error> {
        let ([len, map_len], [input_row, row]) = (self.depthwise.lens(), self.depthwise.row_lens());
        let (images, rows) = (run.samples, map_len / row);
        let output_len = run.output.len() / images;
        let (map, scratch) = split_lines(run.scratch, stripe * row);
        for (input, output) in run.inputs[0].chunks(len).zip(run.output.chunks_mut(output_len)) {
            for (i, output) in output.chunks_mut(stripe * (output_len / rows)).enumerate() {
                let samples = stripe.min(rows - i * stripe);
                let part = i * stripe..i * stripe + samples;
                let Some((depthwise, seen)) = self.depthwise.rows(part) else { continue };
                let (input, map) =
                    (&input[seen.start * input_row..seen.end * input_row], &mut map[..samples * row]);
                depthwise.convolve(1, input, run.weights[0], None, map)?;
                self.pointwise.forward(Forward {
                    samples,
                    inputs: &[map],
                    weights: &run.weights[1..],
                    prepared: run.prepared,
                    overwritten: run.overwritten,
                    output,
                    scratch,
                    seed: run.seed,
                    statistics: run.statistics,
                })?;
            }
        }
        Ok(())
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
