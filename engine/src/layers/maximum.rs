use super::extreme::{ExtremeStep, extreme_layer};
use super::{Attributes, AttributesMut, Differentiable, Layer, Signature, Site, several_inputs};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::elementwise::Extreme;

/// The largest element of two inputs or more of one shape, up to [`MAX_INPUTS`](crate::MAX_INPUTS), element by element; NaN
/// if one is. The gradient goes to the first input that has it, as in Keras on TensorFlow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maximum;

extreme_layer!(Maximum, "maximum");
