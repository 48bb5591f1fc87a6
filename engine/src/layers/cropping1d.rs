use super::cropping2d::Cropping2d;
use super::series::{self, Series, series};
use super::{Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;

/// A series without its ends, `[L, C]` to `[L - before - after, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cropping1d(Cropping2d);

impl Cropping1d {
    /// `[before, after]`
    pub const fn new(cropping: [usize; 2]) -> Cropping1d {
        Cropping1d(Cropping2d::new([[0, 0], cropping]))
    }
}

impl Default for Cropping1d {
    /// One at each end, as in Keras.
    fn default() -> Cropping1d {
        Cropping1d::new([1, 1])
    }
}

impl Series for Cropping1d {
    const NAME: &'static str = "Cropping1D";
    const BASE: &'static str = "cropping1d";
    type Maps = Cropping2d;

    fn of_maps(maps: Cropping2d) -> Cropping1d {
        Cropping1d(maps)
    }

    fn over_maps(&self) -> Cropping2d {
        self.0
    }
}

series!(Cropping1d);
