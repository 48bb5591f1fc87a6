use super::average_pool2d::AveragePool2d;
use super::series::{self, Series, series};
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::{Activation, Padding};

/// The mean over windows of each channel of a series, `[L, C]` to `[OL, C]`: [`AveragePool2d`] over maps of height 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePool1d(AveragePool2d);

impl AveragePool1d {
    /// A window of that length that moves by its own length, without padding.
    pub const fn new(window: usize) -> AveragePool1d {
        AveragePool1d(AveragePool2d::rectangular([1, window]))
    }

    /// With that stride.
    pub const fn stride(self, stride: usize) -> AveragePool1d {
        AveragePool1d(self.0.strides([1, stride]))
    }

    /// With so many steps from one place of the window to the next.
    pub const fn dilation(self, dilation: usize) -> AveragePool1d {
        AveragePool1d(self.0.dilations([1, dilation]))
    }

    /// With that padding, to the left and right.
    pub const fn padding(self, padding: Padding) -> AveragePool1d {
        AveragePool1d(self.0.padding(padding))
    }

    /// With padded places in the mean, as zeros.
    pub const fn count_padding(self) -> AveragePool1d {
        AveragePool1d(self.0.count_padding())
    }

    /// With a last window that reaches past the end, as [`AveragePool2d::ceil_mode`].
    pub const fn ceil_mode(self) -> AveragePool1d {
        AveragePool1d(self.0.ceil_mode())
    }
}

impl Series for AveragePool1d {
    const NAME: &'static str = "AveragePooling1D";
    const BASE: &'static str = "average_pooling1d";
    type Maps = AveragePool2d;

    fn of_maps(maps: AveragePool2d) -> AveragePool1d {
        AveragePool1d(maps)
    }

    fn over_maps(&self) -> AveragePool2d {
        self.0
    }
}

series!(AveragePool1d);
