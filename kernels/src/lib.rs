//! Kernels that turn slices into slices, as fast as the processor can.
//!
//! Everything is `f32`, channels last: activations `[N, H, W, C]`, convolution weights
//! `[KH, KW, Cin, Cout]`, depthwise ones `[KH, KW, C, M]`. Nothing here allocates. Each function
//! takes an [`Isa`], which says how wide the vectors are, checks its slices once and returns an
//! [`Error`] if one does not fit.
#![no_std]

mod cache_line;
mod columns;
mod error;
mod isa;
mod pairwise;
mod pool2d;
mod simd;

pub mod avg_pool2d;
pub mod batch_normalization;
pub mod channels;
pub mod conv2d;
pub mod depthwise_conv2d;
pub mod elementwise;
pub mod global_max_pool2d;
pub mod loss;
#[cfg(feature = "matmul")]
pub mod matmul;
pub mod max_pool2d;
pub mod normalization;
pub mod optimizer;
pub mod peak;
pub mod recurrent;
pub mod reduce;
pub mod reference;
pub mod softmax;
pub mod upsample2d;
pub mod warp;

pub use cache_line::CacheLine;
pub use columns::Columns;
pub use error::Error;
pub use isa::Isa;
