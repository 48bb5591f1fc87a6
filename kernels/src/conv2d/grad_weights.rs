use super::Geometry;
use crate::{Error, Isa};
use core::ops::Range;
/// Gradient to the weights: rows `rows` of the `[KH * KW * Cin, Cout]` matrix.
pub fn grad_weights(
    _isa: Isa,
    _geometry: &Geometry,
    _input: &[f32],
    _d_output: &[f32],
    _rows: Range<usize>,
    _d_weights: &mut [f32],
) -> Result<(), Error> {
    todo!()
}
