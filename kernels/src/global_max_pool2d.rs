//! The maximum over all pixels of an image, channel by channel: maps `[N, P, C]`, of `P` pixels, to `[N, C]`.
//!
//! [`max_pool2d`](crate::max_pool2d) keeps which cell each maximum came from, in a byte. Here the gradient finds the
//! maximum again, so that an image may be of any size.

use crate::error::{check, elements};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

/// `y[n, c]` is the largest `x[n, p, c]`, or NaN if one of them is.
///
/// # Errors
/// A slice's length differs from its shape's, or `pixels` is zero.
///
/// ```
/// use bantam_kernels::{Isa, global_max_pool2d};
/// let mut y = [0.0; 2];
/// global_max_pool2d::forward(Isa::detect(), 1, 3, 2, &[1.0, -1.0, 5.0, -2.0, 3.0, -3.0], &mut y)?;
/// assert_eq!(y, [5.0, -1.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn forward(
    isa: Isa,
    images: usize,
    pixels: usize,
    channels: usize,
    x: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check_map("input", images, pixels, channels, x)?;
    check("output", y, elements("output", &[images, channels])?)?;
    isa.run(Maximum { images, pixels, channels, x, y });
    Ok(())
}

/// Gradient of [`forward`] to its input, from that input, the output `y` and its gradient `d_y`, both `[N, C]`: equal
/// shares to all pixels that have the maximum, as in Keras, or that are NaN where the maximum is. `d_x` is
/// overwritten.
///
/// # Errors
/// As [`forward`].
#[expect(clippy::too_many_arguments, reason = "three sizes and four slices")]
pub fn grad_input(
    isa: Isa,
    images: usize,
    pixels: usize,
    channels: usize,
    x: &[f32],
    y: &[f32],
    d_y: &[f32],
    d_x: &mut [f32],
) -> Result<(), Error> {
    check_map("input", images, pixels, channels, x)?;
    check("output", y, elements("output", &[images, channels])?)?;
    check("output gradient", d_y, y.len())?;
    check("input gradient", d_x, x.len())?;
    isa.run(Share { images, pixels, channels, x, y, d_y, d_x });
    Ok(())
}

fn check_map(
    what: &'static str,
    images: usize,
    pixels: usize,
    channels: usize,
    x: &[f32],
) -> Result<(), Error> {
    if pixels == 0 {
        return Err(Error::ZeroSize { what: "pixels" });
    }
    check(what, x, elements(what, &[images, pixels, channels])?)
}

/// What is done with `V` vectors of an image's channels.
trait Block {
    /// # Safety
    /// The map has channels in `V` vectors of `n` each from `channel` of `image` on; `n` is `LANES`, or `V` is 1.
    unsafe fn block<S: Simd, const V: usize>(&mut self, simd: S, image: usize, channel: usize, n: usize);
}

/// All channels of all images.
///
/// # Safety
/// The map has as many.
#[inline(always)]
unsafe fn blocks<S: Simd>(simd: S, images: usize, channels: usize, mut block: impl Block) {
    for image in 0..images {
        let mut channel = 0;
        // SAFETY: the caller's promise.
        unsafe {
            while channels - channel >= 4 * S::LANES {
                block.block::<S, 4>(simd, image, channel, S::LANES);
                channel += 4 * S::LANES;
            }
            while channel < channels {
                let n = S::LANES.min(channels - channel);
                block.block::<S, 1>(simd, image, channel, n);
                channel += n;
            }
        }
    }
}

struct Maximum<'a> {
    images: usize,
    pixels: usize,
    channels: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Operation for Maximum<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // SAFETY: `forward` checked the lengths.
        unsafe { blocks(simd, self.images, self.channels, self) };
    }
}

impl Block for Maximum<'_> {
    #[inline(always)]
    unsafe fn block<S: Simd, const V: usize>(&mut self, simd: S, image: usize, channel: usize, n: usize) {
        let mut best = [simd.splat(f32::NEG_INFINITY); V];
        let mut x = self.x.as_ptr().wrapping_add(image * self.pixels * self.channels + channel);
        for _ in 0..self.pixels {
            for (v, best) in best.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *best = simd.max_or_nan(unsafe { simd.load_n(x.add(v * S::LANES), n) }, *best);
            }
            x = x.wrapping_add(self.channels);
        }
        let y = self.y.as_mut_ptr().wrapping_add(image * self.channels + channel);
        for (v, &best) in best.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { simd.store_n(y.add(v * S::LANES), best, n) };
        }
    }
}

struct Share<'a> {
    images: usize,
    pixels: usize,
    channels: usize,
    x: &'a [f32],
    y: &'a [f32],
    d_y: &'a [f32],
    d_x: &'a mut [f32],
}

impl Operation for Share<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // SAFETY: `grad_input` checked the lengths.
        unsafe { blocks(simd, self.images, self.channels, self) };
    }
}

/// `share` where `x` is the maximum, or NaN, which the maximum then is too; else 0.
#[inline(always)]
fn where_maximum<S: Simd>(simd: S, x: S::Vector, maximum: S::Vector, share: S::Vector) -> S::Vector {
    let of_number = simd.select(simd.eq(x, maximum), share, simd.splat(0.0));
    simd.select(simd.eq(x, x), of_number, share)
}

impl Block for Share<'_> {
    #[inline(always)]
    unsafe fn block<S: Simd, const V: usize>(&mut self, simd: S, image: usize, channel: usize, n: usize) {
        let first = image * self.pixels * self.channels + channel;
        let start = self.x.as_ptr().wrapping_add(first);
        let of_image = image * self.channels + channel;
        let mut maxima = [simd.splat(0.0); V];
        let mut counts = [simd.splat(0.0); V];
        let mut shares = [simd.splat(0.0); V];
        // SAFETY: the caller's promise, for all three loops.
        unsafe {
            for (v, maximum) in maxima.iter_mut().enumerate() {
                *maximum = simd.load_n(self.y.as_ptr().add(of_image + v * S::LANES), n);
            }
            let mut x = start;
            for _ in 0..self.pixels {
                for (v, count) in counts.iter_mut().enumerate() {
                    let x = simd.load_n(x.add(v * S::LANES), n);
                    *count = simd.add(*count, where_maximum(simd, x, maxima[v], simd.splat(1.0)));
                }
                x = x.wrapping_add(self.channels);
            }
            for (v, share) in shares.iter_mut().enumerate() {
                let d = simd.load_n(self.d_y.as_ptr().add(of_image + v * S::LANES), n);
                *share = simd.div(d, counts[v]);
            }
            let (mut x, mut d_x) = (start, self.d_x.as_mut_ptr().wrapping_add(first));
            for _ in 0..self.pixels {
                for (v, &share) in shares.iter().enumerate() {
                    let x = simd.load_n(x.add(v * S::LANES), n);
                    simd.store_n(d_x.add(v * S::LANES), where_maximum(simd, x, maxima[v], share), n);
                }
                x = x.wrapping_add(self.channels);
                d_x = d_x.wrapping_add(self.channels);
            }
        }
    }
}
