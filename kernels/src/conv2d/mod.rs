//! Two-dimensional convolution (cross-correlation, as in every deep-learning library), channels
//! last: input `[N, H, W, Cin]`, weights `[KH, KW, Cin, Cout]`, output `[N, OH, OW, Cout]`.
//!
//! Prepare, then run: a [`Convolution`], an [`InputGradient`] and a [`WeightGradient`] choose their algorithm
//! for a shape and an [`Isa`](crate::Isa) once; weights are packed once and used any number of times. A dense
//! layer is the convolution of a one-pixel image, see [`Geometry::dense`]. The functions compute directly.

mod activation;
mod algorithm;
mod convolution;
mod dense_grad_input;
mod direct;
mod features;
mod gemv;
pub(crate) mod geometry;
mod grad_weights;
mod pack;
mod plain_dense;
mod pooled;
mod tiles;
pub(crate) mod window;
pub mod winograd;

pub use activation::Activation;
pub use algorithm::Algorithm;
pub use convolution::{Convolution, InputGradient, Parts, WeightGradient};
pub use direct::{forward, grad_input};
pub use features::Features;
pub use geometry::{Geometry, Padding};
pub use grad_weights::grad_weights;
pub use pack::{pack, pack_transposed, packed_len, packed_transposed_len, takes_plain_weights};
pub use plain_dense::PlainDense;
