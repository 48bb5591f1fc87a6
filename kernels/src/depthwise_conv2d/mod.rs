//! Depthwise convolution, channels last: each channel is convolved by itself with `M` windows.
//! Input `[N, H, W, C]`, weights `[KH, KW, C, M]`, output `[N, OH, OW, C * M]`, in which channel
//! `c * M + m` comes from input channel `c`, as in Keras.
//!
//! A [`Depthwise`] has all passes for a shape and an [`Isa`](crate::Isa); the functions take both each time.
//! Weights are read in place. Vectors run along the channels; where `M` is more than one, which is
//! rare, everything goes one element at a time.

mod depthwise;
mod direct;
mod geometry;
mod grad_weights;

pub use depthwise::Depthwise;
pub use direct::{forward, grad_input};
pub use geometry::Geometry;
pub use grad_weights::grad_weights;

use crate::simd::Simd;

/// Positions of which all channels are treated before the next are: few enough for their input to
/// stay in the first-level cache, and for a chip's stack.
const POSITIONS: usize = 64;

/// # Safety
/// `p` is valid for reading `n <= LANES` elements: with `WHOLE` for all.
#[inline(always)]
unsafe fn load<S: Simd, const WHOLE: bool>(simd: S, p: *const f32, n: usize) -> S::Vector {
    // SAFETY: the caller's promise.
    unsafe { if WHOLE { simd.load(p) } else { simd.load_n(p, n) } }
}
