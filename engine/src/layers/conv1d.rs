use super::conv2d::Conv2d;
use super::series::{self, Series, series};
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::{Activation, Padding};

/// A convolution of series, `[L, Cin]` to `[OL, filters]`, with a kernel of `[K, Cin / groups, filters]` and a bias of
/// `[filters]`.
///
/// ```
/// use bantam::{Conv1d, Sequential};
/// // Each output sees the last five inputs alone (van den Oord et al., arXiv 1609.03499).
/// let causal = Conv1d::causal().dilation(2);
/// let model = Sequential::new([100, 3]).conv1d_with(16, 3, causal).build(1)?;
/// assert_eq!(model.output_shape().dims(), [100, 16]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1d {
    pub(crate) maps: Conv2d,
    causal: bool,
}

impl Conv1d {
    /// Stride 1, a bias, and that padding, to the left and right. Filters and kernel are told where it is used.
    pub const fn padded(padding: Padding) -> Conv1d {
        Conv1d { maps: Conv2d::padded(padding), causal: false }
    }

    /// Stride 1, no padding.
    pub const fn valid() -> Conv1d {
        Conv1d::padded(Padding::Valid)
    }

    /// Stride 1, and as much padding as keeps the length.
    pub const fn same() -> Conv1d {
        Conv1d::padded(Padding::Same)
    }

    /// Stride 1, and as much padding as keeps the length, all of it before the series: no output sees an input that comes
    /// after it. A model's file has it as the padding that it is.
    pub const fn causal() -> Conv1d {
        Conv1d { causal: true, ..Conv1d::valid() }
    }

    /// With so many filters, the output's channels.
    pub const fn filters(self, filters: usize) -> Conv1d {
        Conv1d { maps: self.maps.filters(filters), ..self }
    }

    /// With a kernel of that length.
    pub const fn kernel(self, kernel: usize) -> Conv1d {
        Conv1d { maps: self.maps.kernel([1, kernel]), ..self }
    }

    /// With that stride.
    pub const fn stride(self, stride: usize) -> Conv1d {
        Conv1d { maps: self.maps.strides([1, stride]), ..self }
    }

    /// With so many steps from one tap of the kernel to the next.
    pub const fn dilation(self, dilation: usize) -> Conv1d {
        Conv1d { maps: self.maps.dilations([1, dilation]), ..self }
    }

    /// With channels parted into so many groups, each of which sees its own part of the input alone.
    pub const fn groups(self, groups: usize) -> Conv1d {
        Conv1d { maps: self.maps.groups(groups), ..self }
    }

    /// Without a bias.
    pub const fn no_bias(self) -> Conv1d {
        Conv1d { maps: self.maps.no_bias(), ..self }
    }

    /// With a ReLU after the bias, in the same pass. In a model it is a layer of its own.
    pub const fn relu(self) -> Conv1d {
        Conv1d { maps: self.maps.relu(), ..self }
    }
}

impl Series for Conv1d {
    const NAME: &'static str = "Conv1D";
    const BASE: &'static str = "conv1d";
    type Maps = Conv2d;

    fn of_maps(maps: Conv2d) -> Conv1d {
        Conv1d { maps, causal: false }
    }

    fn over_maps(&self) -> Conv2d {
        let Conv2d { kernel: [_, kernel], dilation: [_, dilation], .. } = self.maps;
        if !self.causal {
            return self.maps;
        }
        let left = kernel.saturating_sub(1).saturating_mul(dilation);
        Conv2d { padding: Padding::Explicit { top: 0, bottom: 0, left, right: 0 }, ..self.maps }
    }
}

series!(Conv1d);
