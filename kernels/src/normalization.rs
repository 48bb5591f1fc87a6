//! Normalisation of a sample by its own mean and variance, in groups of channels (Wu and He, "Group Normalization", arXiv
//! 1803.08494). A row of one group is layer normalisation (Ba et al., arXiv 1607.06450): its pixel is the sample.
//!
//! The variance is the mean of the squared differences from the mean, in a second pass: the difference of two sums would
//! have the rounding errors of a large mean. All sums are pairwise.

use crate::channels::{Combine, Map};
use crate::error::{check, elements};
use crate::reduce::{Matrix, SumRows, Terms, row_sum};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

/// Maps `[images, pixels, channels]` whose channels are in so many groups of as many neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    images: usize,
    pixels: usize,
    channels: usize,
    groups: usize,
}

impl Groups {
    /// Those of maps of that size.
    ///
    /// # Errors
    /// Pixels or channels are none, the groups do not share the channels evenly, or the map is more than memory can hold.
    pub fn new(images: usize, pixels: usize, channels: usize, groups: usize) -> Result<Groups, Error> {
        for (what, size) in [("pixels", pixels), ("channels", channels), ("groups", groups)] {
            if size == 0 {
                return Err(Error::ZeroSize { what });
            }
        }
        if !channels.is_multiple_of(groups) {
            return Err(Error::Groups { groups, channels });
        }
        elements("input", &[images, pixels, channels])?;
        Ok(Groups { images, pixels, channels, groups })
    }

    /// The same groups of so many images.
    #[must_use]
    pub fn of(self, images: usize) -> Groups {
        Groups { images: images.min(self.images), ..self }
    }

    /// How many images there are.
    pub fn images(&self) -> usize {
        self.images
    }

    /// How many groups all images have.
    pub fn count(&self) -> usize {
        self.images * self.groups
    }

    /// Elements of scratch that the functions of this module take.
    pub fn scratch_len(&self) -> usize {
        // Less than four maps of one pixel: `usize` has room where maps exist.
        self.channels.saturating_mul(4)
    }

    /// Elements of all maps.
    fn len(&self) -> usize {
        self.images * self.pixels * self.channels
    }

    /// Channels of a group.
    fn width(&self) -> usize {
        self.channels / self.groups
    }
}

/// `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, with mean and variance of each image and group, and `gamma` and
/// `beta` of each channel: without them ones and zeros. A variance that overflows gives NaN.
///
/// # Errors
/// A slice's length differs from its shape's.
///
/// ```
/// use bantam_kernels::Isa;
/// use bantam_kernels::normalization::{self, Groups};
/// let (groups, mut y) = (Groups::new(1, 1, 2, 1)?, [0.0; 2]);
/// let mut scratch = vec![0.0; groups.scratch_len()];
/// normalization::forward(Isa::detect(), groups, 0.0, &[3.0, 5.0], [None; 2], &mut y, &mut scratch)?;
/// assert_eq!(y, [-1.0, 1.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn forward(
    isa: Isa,
    groups: Groups,
    epsilon: f32,
    x: &[f32],
    gamma_beta: [Option<&[f32]>; 2],
    y: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    check("input", x, groups.len())?;
    checked(groups, gamma_beta, y, scratch)?;
    isa.run(Forward { groups, epsilon, x: Some(x), gamma_beta, y, inverse: None, scratch });
    Ok(())
}

/// As [`forward`], where `y` is input and output.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn forward_in_place(
    isa: Isa,
    groups: Groups,
    epsilon: f32,
    gamma_beta: [Option<&[f32]>; 2],
    y: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    checked(groups, gamma_beta, y, scratch)?;
    isa.run(Forward { groups, epsilon, x: None, gamma_beta, y, inverse: None, scratch });
    Ok(())
}

/// [`forward`] without `gamma` and `beta`, and `1 / sqrt(variance + epsilon)` of each image and group: what the gradients are
/// computed from.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn normalize(
    isa: Isa,
    groups: Groups,
    epsilon: f32,
    x: &[f32],
    y: &mut [f32],
    inverse: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    check("input", x, groups.len())?;
    check("inverse deviations", inverse, groups.count())?;
    checked(groups, [None; 2], y, scratch)?;
    let inverse = Some(inverse);
    isa.run(Forward { groups, epsilon, x: Some(x), gamma_beta: [None; 2], y, inverse, scratch });
    Ok(())
}

/// The gradient of [`forward`] to its input, in the place of what [`normalize`] gave:
/// `d_x = inverse (d gamma - mean(d gamma) - y mean(d gamma y))` with the means of each image and group.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn grad_input(
    isa: Isa,
    groups: Groups,
    d: &[f32],
    gamma: Option<&[f32]>,
    inverse: &[f32],
    y: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    check("output gradient", d, groups.len())?;
    check("inverse deviations", inverse, groups.count())?;
    checked(groups, [gamma, None], y, scratch)?;
    isa.run(GradInput { groups, d, gamma, inverse, y, scratch });
    Ok(())
}

fn checked(
    groups: Groups,
    [gamma, beta]: [Option<&[f32]>; 2],
    y: &[f32],
    scratch: &[f32],
) -> Result<(), Error> {
    gamma.map_or(Ok(()), |gamma| check("gamma", gamma, groups.channels))?;
    beta.map_or(Ok(()), |beta| check("beta", beta, groups.channels))?;
    check("output", y, groups.len())?;
    check("scratch", scratch, groups.scratch_len())
}

struct Forward<'a> {
    groups: Groups,
    epsilon: f32,
    /// `None` is what `y` held before.
    x: Option<&'a [f32]>,
    gamma_beta: [Option<&'a [f32]>; 2],
    y: &'a mut [f32],
    inverse: Option<&'a mut [f32]>,
    scratch: &'a mut [f32],
}

impl Operation for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Groups { pixels, channels, groups, .. } = self.groups;
        let (len, width) = (pixels * channels, self.groups.width());
        let (sums, scratch) = self.scratch.split_at_mut(channels);
        let (mean, scratch) = scratch.split_at_mut(channels);
        let (scale, shift) = scratch.split_at_mut(channels);
        let [gamma, beta] = self.gamma_beta;
        shift.fill(0.0);
        let shift = beta.unwrap_or(shift);
        for (image, y) in self.y.chunks_exact_mut(len).enumerate() {
            let x = match self.x {
                Some(x) => &x[image * len..][..len],
                None => &*y,
            };
            let plain = Matrix { x, columns: channels };
            for group in 0..groups {
                let of = group * width..(group + 1) * width;
                // SAFETY: `x` has so many pixels and channels.
                let value = unsafe { mean_of(simd, pixels, &plain, group == 0, of.clone(), sums) };
                mean[of].fill(value);
            }
            let squares = Squares { x: x.as_ptr(), channels, mean: mean.as_ptr() };
            for group in 0..groups {
                let of = group * width..(group + 1) * width;
                // SAFETY: the same.
                let variance = unsafe { mean_of(simd, pixels, &squares, group == 0, of.clone(), sums) };
                // Of an infinite one nothing would be left of any difference.
                let variance = if variance < f32::INFINITY { variance } else { f32::NAN };
                let inverse = 1.0 / libm::sqrtf(variance + self.epsilon);
                if let Some(inverses) = &mut self.inverse {
                    inverses[image * groups + group] = inverse;
                }
                scale[of.clone()].fill(inverse);
                if let Some(gamma) = gamma {
                    for (scale, gamma) in scale[of.clone()].iter_mut().zip(&gamma[of]) {
                        *scale *= gamma;
                    }
                }
            }
            let x = self.x.map(|x| (&x[image * len..][..len], channels));
            let parameters = [&*mean, &*scale, shift];
            Map { combine: Normalized, images: 1, pixels, channels, x, parameters, y }.run(simd);
        }
    }
}

#[derive(Clone, Copy)]
struct Normalized;
impl Combine<3> for Normalized {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::Vector, [mean, scale, shift]: [S::Vector; 3]) -> S::Vector {
        simd.mul_add(simd.sub(x, mean), scale, shift)
    }
}

/// The mean of a group's terms. Of several pixels the channels are summed `first`, of all groups at once.
///
/// # Safety
/// There are so many rows of terms, each as long as `sums`, and the group's columns exist.
#[inline(always)]
unsafe fn mean_of<S: Simd, T: Terms>(
    simd: S,
    pixels: usize,
    terms: &T,
    first: bool,
    group: core::ops::Range<usize>,
    sums: &mut [f32],
) -> f32 {
    let count = (pixels * group.len()) as f32;
    // SAFETY: the caller's promise.
    unsafe {
        if pixels == 1 {
            return row_sum(simd, terms, group) / count;
        }
        if first {
            SumRows { rows: pixels, terms, y: &mut *sums }.run(simd);
        }
        row_sum(simd, &Matrix { x: sums, columns: sums.len() }, group) / count
    }
}

/// Squared differences from the channels' means.
struct Squares {
    x: *const f32,
    channels: usize,
    mean: *const f32,
}

impl Terms for Squares {
    #[inline(always)]
    unsafe fn load_n<S: Simd>(&self, simd: S, row: usize, column: usize, n: usize) -> S::Vector {
        // SAFETY: the caller's promise. Lanes that are not there are zero in both.
        unsafe {
            let x = simd.load_n(self.x.add(row * self.channels + column), n);
            let difference = simd.sub(x, simd.load_n(self.mean.add(column), n));
            simd.mul(difference, difference)
        }
    }
}

struct GradInput<'a> {
    groups: Groups,
    d: &'a [f32],
    gamma: Option<&'a [f32]>,
    inverse: &'a [f32],
    y: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Operation for GradInput<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Groups { pixels, channels, groups, .. } = self.groups;
        let (len, width) = (pixels * channels, self.groups.width());
        let (sums, scratch) = self.scratch.split_at_mut(channels);
        let (ones, scratch) = scratch.split_at_mut(channels);
        let (means, means_of_products) = scratch.split_at_mut(channels);
        ones.fill(1.0);
        let gamma = self.gamma.unwrap_or(ones);
        let images = self.y.chunks_exact_mut(len).zip(self.d.chunks_exact(len));
        for ((y, d), inverse) in images.zip(self.inverse.chunks_exact(groups)) {
            let scaled = Scaled::<false> { d: d.as_ptr(), y: y.as_ptr(), channels, gamma: gamma.as_ptr() };
            let products = Scaled::<true> { d: d.as_ptr(), y: y.as_ptr(), channels, gamma: gamma.as_ptr() };
            // SAFETY: `d` and `y` have so many pixels and channels.
            unsafe {
                for (group, &inverse) in inverse.iter().enumerate() {
                    let of = group * width..(group + 1) * width;
                    let mean = mean_of(simd, pixels, &scaled, group == 0, of.clone(), sums);
                    means[of].fill(inverse * mean);
                }
                for (group, &inverse) in inverse.iter().enumerate() {
                    let of = group * width..(group + 1) * width;
                    let mean = mean_of(simd, pixels, &products, group == 0, of.clone(), sums);
                    means_of_products[of.clone()].fill(inverse * mean);
                    for (scale, gamma) in sums[of.clone()].iter_mut().zip(&gamma[of]) {
                        // What the group's channels summed up to is used.
                        *scale = inverse * gamma;
                    }
                }
            }
            let parameters = [&*sums, &*means, &*means_of_products];
            gradients(simd, channels, d, parameters, y);
        }
    }
}

/// `y = d scale - mean - y mean_of_products` of the pixels of an image, with parameters of each channel.
#[inline(always)]
fn gradients<S: Simd>(simd: S, channels: usize, d: &[f32], parameters: [&[f32]; 3], y: &mut [f32]) {
    let zero = simd.splat(0.0);
    for (d, y) in d.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
        let mut i = 0;
        while i < channels {
            let n = S::LANES.min(channels - i);
            // SAFETY: `n` channels from `i` on exist, in a pixel as in the parameters.
            unsafe {
                let mut vectors = [zero; 3];
                for (vector, parameter) in vectors.iter_mut().zip(&parameters) {
                    *vector = simd.load_n(parameter.as_ptr().add(i), n);
                }
                let [scale, mean, of_products] = vectors;
                let (d, y_vector) = (simd.load_n(d.as_ptr().add(i), n), simd.load_n(y.as_ptr().add(i), n));
                let rest = simd.mul_add(y_vector, of_products, mean);
                simd.store_n(y.as_mut_ptr().add(i), simd.sub(simd.mul(d, scale), rest), n);
            }
            i += n;
        }
    }
}

/// Gradients times their channels' gammas, and times what was normalised if it is to `BY_Y`.
struct Scaled<const BY_Y: bool> {
    d: *const f32,
    y: *const f32,
    channels: usize,
    gamma: *const f32,
}

impl<const BY_Y: bool> Terms for Scaled<BY_Y> {
    #[inline(always)]
    unsafe fn load_n<S: Simd>(&self, simd: S, row: usize, column: usize, n: usize) -> S::Vector {
        let at = row * self.channels + column;
        // SAFETY: the caller's promise.
        unsafe {
            let d = simd.load_n(self.d.add(at), n);
            let scaled = simd.mul(d, simd.load_n(self.gamma.add(column), n));
            if BY_Y { simd.mul(scaled, simd.load_n(self.y.add(at), n)) } else { scaled }
        }
    }
}
