use super::depthwise_conv2d::DepthwiseConv2d;
use super::series::{self, Series, series};
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::{Activation, Padding};

/// A convolution of each channel of a series by itself, `[L, C]` to `[OL, C * M]`, with a kernel of `[K, C, M]` and a bias
/// of `[C * M]`: [`DepthwiseConv2d`] over maps of height 1.
///
/// ```
/// use bantam::{DepthwiseConv1d, Sequential};
/// let halving = DepthwiseConv1d::same().stride(2);
/// let model = Sequential::new([100, 16]).depthwise_conv1d_with(3, halving).build(1)?;
/// assert_eq!(model.output_shape().dims(), [50, 16]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv1d(pub(crate) DepthwiseConv2d);

impl DepthwiseConv1d {
    /// Stride 1, a bias, and that padding, to the left and right. The kernel is told where it is used.
    pub const fn padded(padding: Padding) -> DepthwiseConv1d {
        DepthwiseConv1d(DepthwiseConv2d::padded(padding))
    }

    /// Stride 1, no padding.
    pub const fn valid() -> DepthwiseConv1d {
        DepthwiseConv1d::padded(Padding::Valid)
    }

    /// Stride 1, and as much padding as keeps the length.
    pub const fn same() -> DepthwiseConv1d {
        DepthwiseConv1d::padded(Padding::Same)
    }

    /// With a kernel of that length.
    pub const fn kernel(self, kernel: usize) -> DepthwiseConv1d {
        DepthwiseConv1d(self.0.kernel([1, kernel]))
    }

    /// With that stride.
    pub const fn stride(self, stride: usize) -> DepthwiseConv1d {
        DepthwiseConv1d(self.0.strides([1, stride]))
    }

    /// With so many steps from one tap of the kernel to the next.
    pub const fn dilation(self, dilation: usize) -> DepthwiseConv1d {
        DepthwiseConv1d(self.0.dilations([1, dilation]))
    }

    /// With so many outputs of each channel.
    pub const fn multiplier(self, multiplier: usize) -> DepthwiseConv1d {
        DepthwiseConv1d(self.0.multiplier(multiplier))
    }

    /// Without a bias.
    pub const fn no_bias(self) -> DepthwiseConv1d {
        DepthwiseConv1d(self.0.no_bias())
    }
}

impl Series for DepthwiseConv1d {
    const NAME: &'static str = "DepthwiseConv1D";
    const BASE: &'static str = "depthwise_conv1d";
    type Maps = DepthwiseConv2d;

    fn of_maps(maps: DepthwiseConv2d) -> DepthwiseConv1d {
        DepthwiseConv1d(maps)
    }

    fn over_maps(&self) -> DepthwiseConv2d {
        self.0
    }
}

series!(DepthwiseConv1d);
