//! What a tape computes beside the layers: on whole tensors, one file each.

mod axes;
mod binary;
mod loss;
mod matmul;
mod own;
mod parts;
mod reshape;
mod sum;
mod unary;
mod walk;

pub use own::Operation;

pub(super) use loss::LossOf;
pub(super) use matmul::Matmul;
pub(super) use reshape::reshape;
pub(super) use sum::Sum;
