use super::Geometry;
use crate::{Error, Isa};
/// What is applied to each output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(0, x)`; NaN stays NaN.
    Relu,
}
/// Convolution, bias and activation in one pass.
pub fn forward(
    _isa: Isa,
    _geometry: &Geometry,
    _input: &[f32],
    _packed: &[f32],
    _bias: Option<&[f32]>,
    _activation: Activation,
    _output: &mut [f32],
) -> Result<(), Error> {
    todo!()
}
/// Gradient to the input.
pub fn grad_input(
    _isa: Isa,
    _geometry: &Geometry,
    _d_output: &[f32],
    _packed_transposed: &[f32],
    _d_input: &mut [f32],
) -> Result<(), Error> {
    todo!()
}
