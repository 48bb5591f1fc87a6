//! Maps `[N, P, C]` whose channels are each treated in their own way, alike at all `P` pixels: scaled and shifted,
//! as batch normalisation does at inference, weighted for each image, copied from one map into another.
//!
//! A matrix of `rows` by `columns` is a map too: its rows are the pixels of all images. With a stride, which is the
//! width of a row in memory, its columns can be some channels of a wider map; its slice then goes from the first
//! element that is used to the last.

use crate::conv2d::Activation;
use crate::error::{check, elements};
use crate::reduce::{SumRows, Terms};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

/// `y[r, c] = x[r, c] scale[c] + shift[c]` and an activation: `x` of `[rows, columns]`, `x_stride` from row to row,
/// to `y`, whose rows follow each other. The gradient to `x` is [`mul`] by `scale`, over one image, that to `scale`
/// [`grad_scale`] and that to `shift` [`sum_rows`](crate::reduce::sum_rows).
///
/// # Errors
/// A slice's length differs from its shape's, or rows are wider than their stride.
///
/// ```
/// use bantam_kernels::{Isa, channels, conv2d::Activation};
/// // The first two of three channels of two pixels.
/// let (x, mut y) = ([1.0, 2.0, 0.0, 3.0, 4.0], [0.0; 4]);
/// let (isa, activation) = (Isa::detect(), Activation::Relu);
/// channels::scale_shift(isa, activation, 2, 2, &x, 3, &[2.0, -1.0], &[1.0, 3.0], &mut y)?;
/// assert_eq!(y, [3.0, 1.0, 7.0, 0.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
#[expect(clippy::too_many_arguments, reason = "three shapes and four slices")]
pub fn scale_shift(
    isa: Isa,
    activation: Activation,
    rows: usize,
    columns: usize,
    x: &[f32],
    x_stride: usize,
    scale: &[f32],
    shift: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check("input", x, strided("input", rows, columns, x_stride)?)?;
    check("scale", scale, columns)?;
    check("shift", shift, columns)?;
    check("output", y, elements("output", &[rows, columns])?)?;
    let combine = ScaleShift(activation.range());
    let (x, parameters) = (Some((x, x_stride)), [scale, shift]);
    isa.run(Map { combine, images: 1, pixels: rows, channels: columns, x, parameters, y });
    Ok(())
}

/// As [`scale_shift`], where `y` of `[rows, columns]` is input and output.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn scale_shift_in_place(
    isa: Isa,
    activation: Activation,
    rows: usize,
    columns: usize,
    scale: &[f32],
    shift: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check("scale", scale, columns)?;
    check("shift", shift, columns)?;
    check("output", y, elements("output", &[rows, columns])?)?;
    let combine = ScaleShift(activation.range());
    let parameters = [scale, shift];
    isa.run(Map { combine, images: 1, pixels: rows, channels: columns, x: None, parameters, y });
    Ok(())
}

/// `y[r, c] += shift[c]` and an activation: a bias, for `y` of `[rows, columns]`.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn shift_in_place(
    isa: Isa,
    activation: Activation,
    rows: usize,
    columns: usize,
    shift: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check("shift", shift, columns)?;
    check("output", y, elements("output", &[rows, columns])?)?;
    let (combine, parameters) = (Shift(activation.range()), [shift]);
    isa.run(Map { combine, images: 1, pixels: rows, channels: columns, x: None, parameters, y });
    Ok(())
}

/// `y[n, p, c] = x[n, p, c] scale[n, c]`: weights for the channels of each image, as squeeze-and-excitation computes
/// them (Hu et al., arXiv 1709.01507). The gradient to `x` is the same product of the gradient to `y`, that to `scale`
/// [`grad_scale`].
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn mul(
    isa: Isa,
    images: usize,
    pixels: usize,
    channels: usize,
    x: &[f32],
    scale: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check("input", x, elements("input", &[images, pixels, channels])?)?;
    check("scale", scale, elements("scale", &[images, channels])?)?;
    check("output", y, x.len())?;
    let (x, parameters) = (Some((x, channels)), [scale]);
    isa.run(Map { combine: Scale, images, pixels, channels, x, parameters, y });
    Ok(())
}

/// `y[n, p, c] *= scale[n, c]`.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn mul_assign(
    isa: Isa,
    images: usize,
    pixels: usize,
    channels: usize,
    y: &mut [f32],
    scale: &[f32],
) -> Result<(), Error> {
    check("output", y, elements("output", &[images, pixels, channels])?)?;
    check("scale", scale, elements("scale", &[images, channels])?)?;
    isa.run(Map { combine: Scale, images, pixels, channels, x: None, parameters: [scale], y });
    Ok(())
}

/// `y[r, c] = (x[r, c] - mean[c]) scale[c]` of `[rows, columns]`: the mean goes first, so that one that is large against
/// what is left takes no digits of it.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn normalize(
    isa: Isa,
    rows: usize,
    columns: usize,
    x: &[f32],
    mean: &[f32],
    scale: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check("input", x, elements("input", &[rows, columns])?)?;
    check("mean", mean, columns)?;
    check("scale", scale, columns)?;
    check("output", y, x.len())?;
    let (x, parameters) = (Some((x, columns)), [mean, scale]);
    isa.run(Map { combine: Normalize, images: 1, pixels: rows, channels: columns, x, parameters, y });
    Ok(())
}

/// `y[r, c] = x[r, c]` if that is positive, else `alpha[c] x[r, c]`, of `[rows, columns]` (He et al., "Delving Deep into
/// Rectifiers", arXiv 1502.01852). The gradient to `x` is a product with [`prelu_slopes`], that to `alpha` [`grad_alpha`].
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn prelu(
    isa: Isa,
    rows: usize,
    columns: usize,
    x: &[f32],
    alpha: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check("input", x, elements("input", &[rows, columns])?)?;
    check("alpha", alpha, columns)?;
    check("output", y, x.len())?;
    let (x, parameters) = (Some((x, columns)), [alpha]);
    isa.run(Map { combine: Prelu, images: 1, pixels: rows, channels: columns, x, parameters, y });
    Ok(())
}

/// As [`prelu`], where `y` of `[rows, columns]` is input and output.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn prelu_in_place(
    isa: Isa,
    rows: usize,
    columns: usize,
    alpha: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check("alpha", alpha, columns)?;
    check("output", y, elements("output", &[rows, columns])?)?;
    let parameters = [alpha];
    isa.run(Map { combine: Prelu, images: 1, pixels: rows, channels: columns, x: None, parameters, y });
    Ok(())
}

/// The slopes of [`prelu`]: 1 above zero, `alpha[c]` below and 0 at zero, as in Keras.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn prelu_slopes(
    isa: Isa,
    rows: usize,
    columns: usize,
    x: &[f32],
    alpha: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    check("input", x, elements("input", &[rows, columns])?)?;
    check("alpha", alpha, columns)?;
    check("output", y, x.len())?;
    let (x, parameters) = (Some((x, columns)), [alpha]);
    isa.run(Map { combine: Slope, images: 1, pixels: rows, channels: columns, x, parameters, y });
    Ok(())
}

/// The gradient to `alpha` of [`prelu`]: a pairwise sum `d_alpha[c] = Σᵣ d_y[r, c] min(0, x[r, c])`.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn grad_alpha(
    isa: Isa,
    rows: usize,
    columns: usize,
    d_y: &[f32],
    x: &[f32],
    d_alpha: &mut [f32],
) -> Result<(), Error> {
    check("output gradient", d_y, elements("output gradient", &[rows, columns])?)?;
    check("input", x, d_y.len())?;
    check("alpha gradient", d_alpha, columns)?;
    isa.run(GradScale::<true> {
        pixels: rows,
        channels: columns,
        d_y,
        x,
        x_stride: columns,
        d_scale: d_alpha,
    });
    Ok(())
}

/// The gradient to the scale of [`mul`], or with one image to that of [`scale_shift`]: a pairwise sum
/// `d_scale[n, c] = Σₚ d_y[n, p, c] x[n, p, c]`, with `x_stride` from pixel to pixel of `x`.
///
/// # Errors
/// A slice's length differs from its shape's, or pixels are wider than their stride.
#[expect(clippy::too_many_arguments, reason = "four sizes and three slices")]
pub fn grad_scale(
    isa: Isa,
    images: usize,
    pixels: usize,
    channels: usize,
    d_y: &[f32],
    x: &[f32],
    x_stride: usize,
    d_scale: &mut [f32],
) -> Result<(), Error> {
    check("output gradient", d_y, elements("output gradient", &[images, pixels, channels])?)?;
    check("input", x, strided("input", images * pixels, channels, x_stride)?)?;
    check("scale gradient", d_scale, elements("scale gradient", &[images, channels])?)?;
    isa.run(GradScale::<false> { pixels, channels, d_y, x, x_stride, d_scale });
    Ok(())
}

/// Copies `x` into `y`, both `[rows, columns]` with strides of their own: some channels of one map to some of
/// another. Several maps into one side by side are a concatenation; its gradient goes back the same way.
///
/// # Errors
/// A slice's length differs from its shape's, or rows are wider than their stride.
///
/// ```
/// use bantam_kernels::channels;
/// // Two pixels of one channel, into the second of two.
/// let mut y = [0.0; 4];
/// channels::copy(2, 1, &[1.0, 2.0], 1, &mut y[1..], 2)?;
/// assert_eq!(y, [0.0, 1.0, 0.0, 2.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn copy(
    rows: usize,
    columns: usize,
    x: &[f32],
    x_stride: usize,
    y: &mut [f32],
    y_stride: usize,
) -> Result<(), Error> {
    check("input", x, strided("input", rows, columns, x_stride)?)?;
    check("output", y, strided("output", rows, columns, y_stride)?)?;
    if columns > 0 {
        for (x, y) in x.chunks(x_stride).zip(y.chunks_mut(y_stride)) {
            y[..columns].copy_from_slice(&x[..columns]);
        }
    }
    Ok(())
}

/// Elements from the first to the last of a matrix with a stride.
fn strided(what: &'static str, rows: usize, columns: usize, stride: usize) -> Result<usize, Error> {
    if columns > stride {
        return Err(Error::OutOfRange { what: "columns", max: stride, got: columns });
    }
    if rows == 0 || columns == 0 {
        return Ok(0);
    }
    Ok(elements(what, &[rows, stride])? - (stride - columns))
}

/// What becomes of one vector of a pixel with those of `N` parameters of its channels.
pub(crate) trait Combine<const N: usize>: Copy {
    fn apply<S: Simd>(self, simd: S, x: S::Vector, parameters: [S::Vector; N]) -> S::Vector;
}

/// One pass over `y`. All lengths are checked by whoever makes it.
pub(crate) struct Map<'a, C, const N: usize> {
    pub combine: C,
    pub images: usize,
    pub pixels: usize,
    pub channels: usize,
    /// With its stride; `None` is what `y` held before.
    pub x: Option<(&'a [f32], usize)>,
    /// `[images, channels]` each.
    pub parameters: [&'a [f32]; N],
    /// `[images, pixels, channels]`
    pub y: &'a mut [f32],
}

impl<C: Combine<N>, const N: usize> Operation for Map<'_, C, N> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut y = self.y.as_mut_ptr();
        let (mut x, x_stride) = match self.x {
            Some((x, stride)) => (x.as_ptr(), stride),
            None => (y.cast_const(), self.channels),
        };
        for image in 0..self.images {
            let mut parameters = [x; N];
            for (pointer, parameter) in parameters.iter_mut().zip(&self.parameters) {
                *pointer = parameter.as_ptr().wrapping_add(image * self.channels);
            }
            for _ in 0..self.pixels {
                // SAFETY: the pixel lies in `x` and `y`, and the image has its parameters: the functions above
                // checked the lengths.
                unsafe { pixel(simd, self.combine, self.channels, x, &parameters, y) };
                x = x.wrapping_add(x_stride);
                y = y.wrapping_add(self.channels);
            }
        }
    }
}

/// # Safety
/// `x` and the parameters can be read and `y` be written for so many channels.
#[inline(always)]
unsafe fn pixel<S: Simd, const N: usize>(
    simd: S,
    combine: impl Combine<N>,
    channels: usize,
    x: *const f32,
    parameters: &[*const f32; N],
    y: *mut f32,
) {
    let mut i = 0;
    let mut vectors = [simd.splat(0.0); N];
    // SAFETY: the caller's promise.
    unsafe {
        while i + S::LANES <= channels {
            for (vector, parameter) in vectors.iter_mut().zip(parameters) {
                *vector = simd.load(parameter.add(i));
            }
            simd.store(y.add(i), combine.apply(simd, simd.load(x.add(i)), vectors));
            i += S::LANES;
        }
        let n = channels - i;
        if n > 0 {
            for (vector, parameter) in vectors.iter_mut().zip(parameters) {
                *vector = simd.load_n(parameter.add(i), n);
            }
            simd.store_n(y.add(i), combine.apply(simd, simd.load_n(x.add(i), n), vectors), n);
        }
    }
}

/// With the range of the activation.
#[derive(Clone, Copy)]
struct ScaleShift([f32; 2]);
impl Combine<2> for ScaleShift {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::Vector, [scale, shift]: [S::Vector; 2]) -> S::Vector {
        simd.clamp(self.0, simd.mul_add(x, scale, shift))
    }
}

/// With the range of the activation.
#[derive(Clone, Copy)]
struct Shift([f32; 2]);
impl Combine<1> for Shift {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::Vector, [shift]: [S::Vector; 1]) -> S::Vector {
        simd.clamp(self.0, simd.add(x, shift))
    }
}

#[derive(Clone, Copy)]
struct Scale;
impl Combine<1> for Scale {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::Vector, [scale]: [S::Vector; 1]) -> S::Vector {
        simd.mul(x, scale)
    }
}

#[derive(Clone, Copy)]
struct Normalize;
impl Combine<2> for Normalize {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::Vector, [mean, scale]: [S::Vector; 2]) -> S::Vector {
        simd.mul(simd.sub(x, mean), scale)
    }
}

#[derive(Clone, Copy)]
struct Prelu;
impl Combine<1> for Prelu {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::Vector, [alpha]: [S::Vector; 1]) -> S::Vector {
        simd.select(simd.not_le(x, simd.splat(0.0)), x, simd.mul(x, alpha))
    }
}

#[derive(Clone, Copy)]
struct Slope;
impl Combine<1> for Slope {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::Vector, [alpha]: [S::Vector; 1]) -> S::Vector {
        let zero = simd.splat(0.0);
        let below = simd.select(simd.eq(x, zero), zero, alpha);
        simd.select(simd.not_le(x, zero), simd.splat(1.0), below)
    }
}

/// Of the input, or where it is to `FALL` of what is negative of it.
struct GradScale<'a, const FALL: bool> {
    pixels: usize,
    channels: usize,
    d_y: &'a [f32],
    x: &'a [f32],
    x_stride: usize,
    d_scale: &'a mut [f32],
}

impl<const FALL: bool> Operation for GradScale<'_, FALL> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if self.channels == 0 {
            return;
        }
        for (image, y) in self.d_scale.chunks_exact_mut(self.channels).enumerate() {
            let first = image * self.pixels;
            let terms = Products::<FALL> {
                d_y: self.d_y.as_ptr().wrapping_add(first * self.channels),
                channels: self.channels,
                x: self.x.as_ptr().wrapping_add(first * self.x_stride),
                x_stride: self.x_stride,
            };
            // SAFETY: the image's pixels lie in both slices, whose lengths `grad_scale` checked.
            unsafe { SumRows { rows: self.pixels, terms, y }.run(simd) };
        }
    }
}

/// Pixels of two maps, multiplied.
struct Products<const FALL: bool> {
    d_y: *const f32,
    channels: usize,
    x: *const f32,
    x_stride: usize,
}

impl<const FALL: bool> Terms for Products<FALL> {
    #[inline(always)]
    unsafe fn load_n<S: Simd>(&self, simd: S, row: usize, column: usize, n: usize) -> S::Vector {
        // SAFETY: the caller's promise.
        unsafe {
            let d_y = simd.load_n(self.d_y.add(row * self.channels + column), n);
            let x = simd.load_n(self.x.add(row * self.x_stride + column), n);
            simd.mul(d_y, if FALL { simd.min(simd.splat(0.0), x) } else { x })
        }
    }
}
