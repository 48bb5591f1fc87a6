use super::conv2d::{TransposedStep, TransposedTraining};
use super::{
    Attributes, AttributesMut, Differentiable, Initial, Layer, LayerType, Signature, Site, one_input_of,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels as kernels;
use bantam_kernels::conv2d::{Geometry, Padding};

/// The transpose of a convolution, `[H, W, Cin]` to `[OH, OW, filters]`, with a kernel of `[KH, KW, filters, Cin]` and a bias
/// of `[filters]`: each input adds its number, times the kernel, to the outputs that a convolution with that kernel and
/// stride would have seen it from (Dumoulin and Visin, arXiv 1603.07285, chapter 4).
///
/// ```
/// use bantam::{Conv2dTranspose, Sequential};
/// let doubling = Conv2dTranspose::same().stride(2);
/// let model = Sequential::new([8, 8, 16]).conv2d_transpose_with(4, [3, 3], doubling).build(1)?;
/// assert_eq!(model.output_shape().dims(), [16, 16, 4]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conv2dTranspose {
    /// The output's channels.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// From one input to the next, in the output.
    pub stride: [usize; 2],
    /// From one tap of the kernel to the next.
    pub dilation: [usize; 2],
    /// The padding of the convolution that this is the transpose of.
    pub padding: Padding,
    /// Rows and columns more than the smallest output has, if that was told.
    pub output_padding: Option<[usize; 2]>,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv2dTranspose {
    /// Stride 1, a bias, and that padding, which is the convolution's. Filters and kernel are told where it is used.
    pub const fn padded(padding: Padding) -> Conv2dTranspose {
        let (kernel, stride, dilation) = ([1, 1], [1, 1], [1, 1]);
        Conv2dTranspose { filters: 0, kernel, stride, dilation, padding, output_padding: None, bias: true }
    }

    /// Stride 1; the output is as large as what the kernels of all inputs reach, and no smaller than input times stride.
    pub const fn valid() -> Conv2dTranspose {
        Conv2dTranspose::padded(Padding::Valid)
    }

    /// Stride 1; the output is as large as the input times the stride.
    pub const fn same() -> Conv2dTranspose {
        Conv2dTranspose::padded(Padding::Same)
    }

    /// With so many filters, the output's channels.
    pub const fn filters(self, filters: usize) -> Conv2dTranspose {
        Conv2dTranspose { filters, ..self }
    }

    /// With a kernel of that height and width.
    pub const fn kernel(self, kernel: [usize; 2]) -> Conv2dTranspose {
        Conv2dTranspose { kernel, ..self }
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> Conv2dTranspose {
        self.strides([stride, stride])
    }

    /// With that stride downwards and to the right.
    pub const fn strides(self, stride: [usize; 2]) -> Conv2dTranspose {
        Conv2dTranspose { stride, ..self }
    }

    /// With so many pixels from one tap of the kernel to the next, in both directions.
    pub const fn dilation(self, dilation: usize) -> Conv2dTranspose {
        self.dilations([dilation, dilation])
    }

    /// With so many pixels from one tap of the kernel to the next, downwards and to the right.
    pub const fn dilations(self, dilation: [usize; 2]) -> Conv2dTranspose {
        Conv2dTranspose { dilation, ..self }
    }

    /// With so many rows and columns more, below and to the right, than the smallest output that a convolution turns into
    /// the input; less than the stride. The smallest output is a kernel's extent, and a stride for each input but one, less
    /// the padding. With [`same`](Self::same) padding the extent counts as one pixel, or none if it is even.
    pub const fn output_padding(self, output_padding: [usize; 2]) -> Conv2dTranspose {
        Conv2dTranspose { output_padding: Some(output_padding), ..self }
    }

    /// Without a bias.
    pub const fn no_bias(self) -> Conv2dTranspose {
        Conv2dTranspose { bias: false, ..self }
    }

    /// The convolution that gives a batch `[N, H, W, Cin]` of an output.
    fn geometry(&self, input: [usize; 4]) -> Result<Geometry, Error> {
        let Conv2dTranspose { filters, kernel, stride, dilation, padding, .. } = *self;
        let [batch, height, width, channels] = input;
        for (what, sizes) in [("filters", [filters; 2]), ("window", kernel), ("stride", stride)] {
            if sizes.contains(&0) {
                return Err(kernels::Error::ZeroSize { what }.into());
            }
        }
        let (height, width) = (self.output(0, height)?, self.output(1, width)?);
        let output = [batch, height, width, filters];
        Ok(Geometry::with_groups(output, kernel, channels, stride, padding, dilation, 1)?)
    }

    /// The output's size on an axis, on which the convolution gives an input of that size.
    fn output(&self, axis: usize, input: usize) -> Result<usize, Error> {
        let (kernel, stride, dilation) = (self.kernel[axis], self.stride[axis], self.dilation[axis]);
        let more = self.output_padding.map(|more| more[axis]);
        if let Some(got) = more.filter(|&more| more >= stride) {
            let max = stride - 1;
            return Err(kernels::Error::OutOfRange { what: "output padding", max, got }.into());
        }
        let too_large = kernels::Error::TooLarge { what: "output" };
        let extent = kernel.saturating_sub(1).checked_mul(dilation).and_then(|span| span.checked_add(1));
        let extent = extent.ok_or(too_large)?;
        // Of the last input, or of the first alone, and a stride for each other.
        let last = match (self.padding, more) {
            (Padding::Same, None) => stride,
            (Padding::Same, Some(more)) => extent % 2 + more,
            (Padding::Valid, None) => extent.max(stride),
            (_, more) => extent.saturating_add(more.unwrap_or(0)),
        };
        if last == 0 && self.padding == Padding::Same {
            let (what, expected) = ("output padding", "at least 1 where the kernel's extent is even");
            return Err(Error::OutOfRange { what, expected, got: 0.0 });
        }
        let padded = (input - 1).checked_mul(stride).and_then(|strides| strides.checked_add(last));
        let padded = padded.ok_or(too_large)?;
        let padding = match (self.padding, axis) {
            (Padding::Explicit { top, bottom, .. }, 0) => top.saturating_add(bottom),
            (Padding::Explicit { left, right, .. }, _) => left.saturating_add(right),
            _ => 0,
        };
        let output = padded.checked_sub(padding).filter(|&output| output > 0);
        let max = padded.saturating_sub(1);
        Ok(output.ok_or(kernels::Error::OutOfRange { what: "padding", max, got: padding })?)
    }

    /// As lowered for a site.
    fn geometry_at(&self, site: &Site<'_>) -> Result<Geometry, Error> {
        let geometry = self.geometry(one_input_of(site.inputs)?)?.in_net_of(site.model_weights);
        Ok(if site.direct_only { geometry.direct_only() } else { geometry })
    }
}

impl Layer for Conv2dTranspose {
    const NAME: &'static str = "Conv2DTranspose";
    const BASE: &'static str = "conv2d_transpose";
    const TYPE: LayerType = LayerType::of::<Conv2dTranspose>().takes_activation();
    type Step = TransposedStep;

    fn read(attributes: &mut Attributes<'_>) -> Conv2dTranspose {
        let what = "transposed convolution";
        let [filters, kh, kw, vertical, horizontal, down, across] = attributes.sizes(what);
        Conv2dTranspose {
            filters,
            kernel: [kh, kw],
            stride: [vertical, horizontal],
            dilation: [down, across],
            padding: attributes.padding(),
            bias: attributes.flag("bias flag"),
            output_padding: attributes.more().then(|| attributes.sizes("output padding")),
        }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.size(self.filters);
        for sizes in [self.kernel, self.stride, self.dilation] {
            attributes.sizes(&sizes);
        }
        attributes.padding(self.padding);
        attributes.flag(self.bias);
        if let Some(output_padding) = self.output_padding {
            attributes.sizes(&output_padding);
        }
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [h, w, c] = one_input_of(inputs)?;
        let geometry = self.geometry([1, h, w, c])?;
        let ([_, output @ ..], kernel) = (geometry.input(), geometry.weights());
        // Keras counts as in a convolution, though inputs and outputs are exchanged.
        let [kh, kw, filters, channels] = kernel;
        let (fan_in, fan_out) = (kh * kw * filters, kh * kw * channels);
        Ok(Signature::of(&output)
            .weight("kernel", &kernel, Initial::Drawn { fan_in, fan_out })
            .bias(self.bias, filters))
    }

    fn lower(&self, site: &Site<'_>) -> Result<TransposedStep, Error> {
        Ok(TransposedStep::new(&self.geometry_at(site)?, site))
    }
}

impl Differentiable for Conv2dTranspose {
    type TrainingStep = TransposedTraining;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<TransposedTraining, Error> {
        Ok(TransposedTraining::new(&self.geometry_at(site)?, site))
    }
}
