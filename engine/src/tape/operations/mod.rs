//! What a tape computes beside the layers: on whole tensors, one file each.

mod loss;
mod matmul;
mod reshape;
mod sum;

pub(super) use loss::{BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy};
pub(super) use matmul::Matmul;
pub(super) use reshape::reshape;
pub(super) use sum::Sum;
