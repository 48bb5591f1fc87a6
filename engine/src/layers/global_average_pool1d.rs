use super::global_average_pool2d::GlobalAveragePool2d;
use super::series::{self, Series, series};
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;

/// The mean of each channel over a whole series, `[L, C]` to `[C]`: [`GlobalAveragePool2d`] over maps of height 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlobalAveragePool1d(GlobalAveragePool2d);

impl GlobalAveragePool1d {
    /// To `[C]`.
    pub const fn new() -> GlobalAveragePool1d {
        GlobalAveragePool1d(GlobalAveragePool2d::new())
    }

    /// To `[1, C]`.
    pub const fn keep_dims(self) -> GlobalAveragePool1d {
        GlobalAveragePool1d(self.0.keep_dims())
    }
}

impl Series for GlobalAveragePool1d {
    const NAME: &'static str = "GlobalAveragePooling1D";
    const BASE: &'static str = "global_average_pooling1d";
    type Maps = GlobalAveragePool2d;

    fn of_maps(maps: GlobalAveragePool2d) -> GlobalAveragePool1d {
        GlobalAveragePool1d(maps)
    }

    fn over_maps(&self) -> GlobalAveragePool2d {
        self.0
    }
}

series!(GlobalAveragePool1d);
