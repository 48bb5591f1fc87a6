//! Kernels that turn slices into slices, as fast as the processor can.
//!
//! Everything is `f32`, channels last: activations `[N, H, W, C]`, convolution weights
//! `[KH, KW, Cin, Cout]`. Nothing here allocates. Each function takes an [`Isa`], which says how
//! wide the vectors are, checks its slices once and returns an [`Error`] if one does not fit.
#![no_std]

mod error;
mod isa;
mod simd;

pub mod conv2d;
pub mod peak;
pub mod reference;

pub use error::Error;
pub use isa::Isa;
