use super::global_max_pool2d::GlobalMaxPool2d;
use super::series::{self, Series, series};
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;

/// The maximum of each channel over a whole series, `[L, C]` to `[C]`: [`GlobalMaxPool2d`] over maps of height 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlobalMaxPool1d(GlobalMaxPool2d);

impl GlobalMaxPool1d {
    /// To `[C]`.
    pub const fn new() -> GlobalMaxPool1d {
        GlobalMaxPool1d(GlobalMaxPool2d::new())
    }

    /// To `[1, C]`.
    pub const fn keep_dims(self) -> GlobalMaxPool1d {
        GlobalMaxPool1d(self.0.keep_dims())
    }
}

impl Series for GlobalMaxPool1d {
    const NAME: &'static str = "GlobalMaxPooling1D";
    const BASE: &'static str = "global_max_pooling1d";
    type Maps = GlobalMaxPool2d;

    fn of_maps(maps: GlobalMaxPool2d) -> GlobalMaxPool1d {
        GlobalMaxPool1d(maps)
    }

    fn over_maps(&self) -> GlobalMaxPool2d {
        self.0
    }
}

series!(GlobalMaxPool1d);
