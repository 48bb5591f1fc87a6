use super::noise::check_rate;
use super::spatial_dropout::{SpatialDropoutStep, spatial_dropout};
use super::{
    Attributes, AttributesMut, Differentiable, Layer, LayerType, PassesOn, Signature, Site, matrix, one_input,
};
use crate::error::Error;
use crate::shape::Shape;

/// Zeroes each channel of a map `[H, W, C]` with probability `rate` and scales the others by `1 / (1 - rate)`, in training only
/// (Tompson et al., "Efficient Object Localization Using Convolutional Networks", arXiv 1411.4280).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpatialDropout2d {
    rate: f32,
}

spatial_dropout!(SpatialDropout2d, "SpatialDropout2D", "spatial_dropout2d", 3);
