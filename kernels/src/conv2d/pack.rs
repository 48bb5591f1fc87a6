use super::Geometry;
use crate::{Error, Isa};
/// Elements of the packed weights for [`forward`](super::forward).
pub fn packed_len(_isa: Isa, _geometry: &Geometry) -> usize {
    todo!()
}
/// Packs `[KH, KW, Cin, Cout]` weights for [`forward`](super::forward).
pub fn pack(_isa: Isa, _geometry: &Geometry, _weights: &[f32], _packed: &mut [f32]) -> Result<(), Error> {
    todo!()
}
/// Elements of the packed weights for [`grad_input`](super::grad_input).
pub fn packed_transposed_len(_isa: Isa, _geometry: &Geometry) -> usize {
    todo!()
}
/// Packs `[KH, KW, Cin, Cout]` weights for [`grad_input`](super::grad_input).
pub fn pack_transposed(
    _isa: Isa,
    _geometry: &Geometry,
    _weights: &[f32],
    _packed: &mut [f32],
) -> Result<(), Error> {
    todo!()
}
