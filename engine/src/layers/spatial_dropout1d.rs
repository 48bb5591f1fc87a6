use super::noise::check_rate;
use super::spatial_dropout::{SpatialDropoutStep, spatial_dropout};
use super::{
    Attributes, AttributesMut, Differentiable, Layer, LayerType, PassesOn, Signature, Site, matrix, one_input,
};
use crate::error::Error;
use crate::shape::Shape;

/// Zeroes each channel of a series `[T, C]` with probability `rate` and scales the others by `1 / (1 - rate)`, in training only
/// (Tompson et al., "Efficient Object Localization Using Convolutional Networks", arXiv 1411.4280).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpatialDropout1d {
    rate: f32,
}

spatial_dropout!(SpatialDropout1d, "SpatialDropout1D", "spatial_dropout1d", 2);
