use super::series::{self, Series, series};
use super::zero_padding2d::ZeroPadding2d;
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;

/// Zeros around a series, `[L, C]` to `[before + L + after, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroPadding1d(ZeroPadding2d);

impl ZeroPadding1d {
    /// `[before, after]`
    pub const fn new(padding: [usize; 2]) -> ZeroPadding1d {
        ZeroPadding1d(ZeroPadding2d::new([[0, 0], padding]))
    }
}

impl Default for ZeroPadding1d {
    /// One at each end, as in Keras.
    fn default() -> ZeroPadding1d {
        ZeroPadding1d::new([1, 1])
    }
}

impl Series for ZeroPadding1d {
    const NAME: &'static str = "ZeroPadding1D";
    const BASE: &'static str = "zero_padding1d";
    type Maps = ZeroPadding2d;

    fn of_maps(maps: ZeroPadding2d) -> ZeroPadding1d {
        ZeroPadding1d(maps)
    }

    fn over_maps(&self) -> ZeroPadding2d {
        self.0
    }
}

series!(ZeroPadding1d);
