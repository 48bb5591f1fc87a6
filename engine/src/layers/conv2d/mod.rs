mod backward;
mod forward;
mod plain_dense;
mod pool;
mod transposed;

pub(crate) use backward::{ConvolutionTraining, grad_activation};
pub(crate) use forward::{ConvolutionStep, Pointwise};
pub(crate) use pool::{Conv2dPool, Conv2dPoolTraining};
pub(crate) use transposed::{TransposedStep, TransposedTraining};

use super::{
    Attributes, AttributesMut, Differentiable, Initial, Layer, LayerType, Signature, Site, kept, one_input_of,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels as kernels;
use bantam_kernels::conv2d::{Activation, Geometry, Padding};

/// A convolution, `[H, W, Cin]` to `[OH, OW, filters]`, with a kernel of `[KH, KW, Cin / groups, filters]` and a bias
/// of `[filters]`.
///
/// ```
/// use bantam::Conv2d;
/// let halving = Conv2d::same().stride(2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conv2d {
    /// The output's channels.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// From one output to the next, downwards and to the right.
    pub stride: [usize; 2],
    /// From one tap of the kernel to the next.
    pub dilation: [usize; 2],
    /// Into how many groups the channels are parted.
    pub groups: usize,
    /// How far the kernel reaches past the edges.
    pub padding: Padding,
    /// Whether there is a bias.
    pub bias: bool,
    pub(crate) direct_only: bool,
    pub(crate) activation: Activation,
}

impl Conv2d {
    /// Stride 1, a bias, and that padding. Filters and kernel are told where it is used.
    pub const fn padded(padding: Padding) -> Conv2d {
        Conv2d {
            filters: 0,
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            groups: 1,
            padding,
            bias: true,
            direct_only: false,
            activation: Activation::None,
        }
    }

    /// Stride 1, no padding.
    pub const fn valid() -> Conv2d {
        Conv2d::padded(Padding::Valid)
    }

    /// Stride 1, and as much padding as keeps height and width.
    pub const fn same() -> Conv2d {
        Conv2d::padded(Padding::Same)
    }

    /// With so many filters, the output's channels.
    pub const fn filters(self, filters: usize) -> Conv2d {
        Conv2d { filters, ..self }
    }

    /// With a kernel of that height and width.
    pub const fn kernel(self, kernel: [usize; 2]) -> Conv2d {
        Conv2d { kernel, ..self }
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> Conv2d {
        self.strides([stride, stride])
    }

    /// With that stride downwards and to the right.
    pub const fn strides(self, stride: [usize; 2]) -> Conv2d {
        Conv2d { stride, ..self }
    }

    /// With so many pixels from one tap of the kernel to the next, in both directions.
    pub const fn dilation(self, dilation: usize) -> Conv2d {
        self.dilations([dilation, dilation])
    }

    /// With so many pixels from one tap of the kernel to the next, downwards and to the right.
    pub const fn dilations(self, dilation: [usize; 2]) -> Conv2d {
        Conv2d { dilation, ..self }
    }

    /// With channels parted into so many groups, each of which sees its own part of the input alone.
    pub const fn groups(self, groups: usize) -> Conv2d {
        Conv2d { groups, ..self }
    }

    /// Without a bias.
    pub const fn no_bias(self) -> Conv2d {
        Conv2d { bias: false, ..self }
    }

    /// With a ReLU after the bias, in the same pass. In a model it is a layer of its own.
    pub const fn relu(self) -> Conv2d {
        Conv2d { activation: Activation::Relu, ..self }
    }

    /// Without Winograd's algorithm, forward and backward: slower, at the rounding errors of a plain sum. A model's
    /// file does not tell.
    ///
    /// For images with numbers of very different size beside each other: one pixel of 10⁶ costs those around it
    /// of 10⁻³ their digits in Winograd's tiles. And for numbers whose sums overflow there,
    /// [`NotFinite`](bantam_kernels::Error::NotFinite), from 2¹⁰⁰ on; in scalar code from 2⁵⁰ on.
    pub const fn direct_only(self) -> Conv2d {
        Conv2d { direct_only: true, ..self }
    }

    /// For a batch `[N, H, W, Cin]`, in a model that has so many weights.
    pub(super) fn geometry(
        &self,
        input: [usize; 4],
        direct_only: bool,
        model_weights: usize,
    ) -> Result<Geometry, kernels::Error> {
        let Conv2d { filters, kernel, stride, dilation, groups, padding, .. } = *self;
        if filters == 0 {
            return Err(kernels::Error::ZeroSize { what: "filters" });
        }
        let mut geometry = Geometry::with_groups(input, kernel, filters, stride, padding, dilation, groups);
        // Changed where it lies: each move of a geometry is a copy.
        if let Ok(geometry) = &mut geometry {
            *geometry = geometry.in_net_of(model_weights);
            if self.direct_only || direct_only {
                *geometry = geometry.direct_only();
            }
        }
        geometry
    }
}

impl Layer for Conv2d {
    const NAME: &'static str = "Conv2D";
    const BASE: &'static str = "conv2d";
    const TYPE: LayerType = LayerType::of::<Conv2d>().takes_activation();
    type Step = ConvolutionStep;

    fn read(attributes: &mut Attributes<'_>) -> Conv2d {
        let [filters, kh, kw, vertical, horizontal] = attributes.sizes("convolution");
        let padding = attributes.padding();
        let (bias, mut dilation, mut groups, mut direct_only) =
            (attributes.flag("bias flag"), [1, 1], 1, false);
        if attributes.more() {
            dilation = attributes.sizes("dilation");
            groups = attributes.size("groups");
            direct_only = attributes.flag("direct flag");
        }
        let (kernel, stride) = ([kh, kw], [vertical, horizontal]);
        let activation = Activation::None;
        Conv2d { filters, kernel, stride, dilation, groups, padding, bias, direct_only, activation }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.sizes(&[self.filters, self.kernel[0], self.kernel[1], self.stride[0], self.stride[1]]);
        attributes.padding(self.padding);
        attributes.flag(self.bias);
        if self.dilation != [1, 1] || self.groups != 1 || self.direct_only {
            attributes.sizes(&[self.dilation[0], self.dilation[1], self.groups]);
            attributes.flag(self.direct_only);
        }
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [h, w, c] = one_input_of(inputs)?;
        let geometry = self.geometry([1, h, w, c], false, 0);
        let geometry = kept(&geometry)?;
        let ([_, output @ ..], weights) = (geometry.output(), geometry.weights());
        let [kh, kw, cin, _] = weights;
        let (fan_in, fan_out) = (kh * kw * cin, kh * kw * self.filters);
        Ok(Signature::of(&output)
            .weight("kernel", &weights, Initial::Drawn { fan_in, fan_out })
            .bias(self.bias, self.filters))
    }

    fn lower(&self, site: &Site<'_>) -> Result<ConvolutionStep, Error> {
        let geometry = self.geometry(one_input_of(site.inputs)?, site.direct_only, site.model_weights);
        Ok(ConvolutionStep::new(kept(&geometry)?, site))
    }
}

impl Differentiable for Conv2d {
    type TrainingStep = ConvolutionTraining;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<ConvolutionTraining, Error> {
        let geometry = self.geometry(one_input_of(site.inputs)?, site.direct_only, site.model_weights);
        Ok(ConvolutionTraining::new(kept(&geometry)?, site))
    }
}
