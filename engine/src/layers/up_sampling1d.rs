use super::series::{self, Series, series};
use super::up_sampling2d::UpSampling2d;
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;

/// Each step of a series so many times, `[L, C]` to `[L · size, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpSampling1d(UpSampling2d);

impl UpSampling1d {
    /// By that factor.
    pub const fn new(size: usize) -> UpSampling1d {
        UpSampling1d(UpSampling2d::new([1, size]))
    }
}

impl Default for UpSampling1d {
    /// Twice, as in Keras.
    fn default() -> UpSampling1d {
        UpSampling1d::new(2)
    }
}

impl Series for UpSampling1d {
    const NAME: &'static str = "UpSampling1D";
    const BASE: &'static str = "up_sampling1d";
    type Maps = UpSampling2d;

    fn of_maps(maps: UpSampling2d) -> UpSampling1d {
        UpSampling1d(maps)
    }

    fn over_maps(&self) -> UpSampling2d {
        self.0
    }
}

series!(UpSampling1d);
