use super::conv2d_transpose::Conv2dTranspose;
use super::series::{self, Series, series};
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::{Activation, Padding};

/// The transpose of a convolution of series, `[L, Cin]` to `[OL, filters]`, with a kernel of `[K, filters, Cin]` and a bias
/// of `[filters]`: [`Conv2dTranspose`] over maps of height 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dTranspose(pub(crate) Conv2dTranspose);

impl Conv1dTranspose {
    /// Stride 1, a bias, and that padding, to the left and right. Filters and kernel are told where it is used.
    pub const fn padded(padding: Padding) -> Conv1dTranspose {
        Conv1dTranspose(Conv2dTranspose::padded(padding))
    }

    /// Stride 1; the output is as long as what the taps of all inputs reach.
    pub const fn valid() -> Conv1dTranspose {
        Conv1dTranspose::padded(Padding::Valid)
    }

    /// Stride 1; the output is as long as the input times the stride.
    pub const fn same() -> Conv1dTranspose {
        Conv1dTranspose::padded(Padding::Same)
    }

    /// With so many filters, the output's channels.
    pub const fn filters(self, filters: usize) -> Conv1dTranspose {
        Conv1dTranspose(self.0.filters(filters))
    }

    /// With a kernel of that length.
    pub const fn kernel(self, kernel: usize) -> Conv1dTranspose {
        Conv1dTranspose(self.0.kernel([1, kernel]))
    }

    /// With that stride.
    pub const fn stride(self, stride: usize) -> Conv1dTranspose {
        Conv1dTranspose(self.0.strides([1, stride]))
    }

    /// With so many steps from one tap of the kernel to the next.
    pub const fn dilation(self, dilation: usize) -> Conv1dTranspose {
        Conv1dTranspose(self.0.dilations([1, dilation]))
    }

    /// With so much more at the end, less than the stride, as [`Conv2dTranspose::output_padding`].
    pub const fn output_padding(self, output_padding: usize) -> Conv1dTranspose {
        Conv1dTranspose(self.0.output_padding([0, output_padding]))
    }

    /// Without a bias.
    pub const fn no_bias(self) -> Conv1dTranspose {
        Conv1dTranspose(self.0.no_bias())
    }
}

impl Series for Conv1dTranspose {
    const NAME: &'static str = "Conv1DTranspose";
    const BASE: &'static str = "conv1d_transpose";
    type Maps = Conv2dTranspose;

    fn of_maps(maps: Conv2dTranspose) -> Conv1dTranspose {
        Conv1dTranspose(maps)
    }

    fn over_maps(&self) -> Conv2dTranspose {
        self.0
    }
}

series!(Conv1dTranspose);
