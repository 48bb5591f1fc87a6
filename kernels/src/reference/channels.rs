//! Kernels over the channels of maps.

use super::{Expected, Sum, gamma};
use crate::conv2d::Activation;
use libm::fabs;

/// `x scale + shift` and the activation, of `[rows, columns]`.
pub fn scale_shift<'a>(
    activation: Activation,
    rows: usize,
    columns: usize,
    x: &'a [f32],
    x_stride: usize,
    scale: &'a [f32],
    shift: &'a [f32],
) -> impl Iterator<Item = Expected> {
    (0..rows * columns).map(move |i| {
        let (row, column) = (i / columns, i % columns);
        let product = f64::from(x[row * x_stride + column]) * f64::from(scale[column]);
        let shift = f64::from(shift[column]);
        // The product, the sum.
        let error = gamma(2) * (fabs(product) + fabs(shift));
        Expected { value: product + shift, error }.activated(activation)
    })
}

/// `x + shift` and the activation, of rows of as many columns as there are shifts.
pub fn shift<'a>(activation: Activation, x: &'a [f32], shift: &'a [f32]) -> impl Iterator<Item = Expected> {
    x.iter().enumerate().map(move |(i, &x)| {
        let (x, shift) = (f64::from(x), f64::from(shift[i % shift.len()]));
        Expected { value: x + shift, error: gamma(1) * (fabs(x) + fabs(shift)) }.activated(activation)
    })
}

/// `[images, pixels, channels]` times `[images, 1, channels]`.
pub fn mul<'a>(
    images: usize,
    pixels: usize,
    channels: usize,
    x: &'a [f32],
    scale: &'a [f32],
) -> impl Iterator<Item = Expected> {
    (0..images * pixels * channels).map(move |i| {
        let (image, channel) = (i / channels / pixels, i % channels);
        super::elementwise::mul(x[i], scale[image * channels + channel])
    })
}

/// `Σ d_y x` over the pixels, `[images, channels]`.
pub fn grad_scale<'a>(
    images: usize,
    pixels: usize,
    channels: usize,
    d_y: &'a [f32],
    x: &'a [f32],
    x_stride: usize,
) -> impl Iterator<Item = Expected> {
    (0..images * channels).map(move |i| {
        let (image, channel) = (i / channels, i % channels);
        let mut sum = Sum::default();
        for row in image * pixels..(image + 1) * pixels {
            sum.add(d_y[row * channels + channel], x[row * x_stride + channel]);
        }
        sum.pairwise()
    })
}

/// `(x - mean) scale`, of `[rows, columns]`.
pub fn normalize<'a>(
    columns: usize,
    x: &'a [f32],
    mean: &'a [f32],
    scale: &'a [f32],
) -> impl Iterator<Item = Expected> {
    x.iter().enumerate().map(move |(i, &x)| {
        let value = (f64::from(x) - f64::from(mean[i % columns])) * f64::from(scale[i % columns]);
        // The difference, the product.
        Expected { value, error: gamma(2) * fabs(value) }
    })
}

/// `x`, or `alpha x` if it is not positive, of `[rows, columns]`.
pub fn prelu<'a>(columns: usize, x: &'a [f32], alpha: &'a [f32]) -> impl Iterator<Item = Expected> {
    x.iter().enumerate().map(move |(i, &x)| super::elementwise::leaky_relu(alpha[i % columns], x))
}

/// `1`, `alpha` or, at zero, `0`.
pub fn prelu_slopes<'a>(columns: usize, x: &'a [f32], alpha: &'a [f32]) -> impl Iterator<Item = Expected> {
    x.iter().enumerate().map(move |(i, &x)| {
        let below = if x == 0.0 { 0.0 } else { alpha[i % columns] };
        Expected { value: if x > 0.0 { 1.0 } else { below.into() }, error: 0.0 }
    })
}

/// `Σ d_y min(0, x)` over the rows, `[columns]`.
pub fn grad_alpha<'a>(
    rows: usize,
    columns: usize,
    d_y: &'a [f32],
    x: &'a [f32],
) -> impl Iterator<Item = Expected> {
    (0..columns).map(move |column| {
        let mut sum = Sum::default();
        for row in 0..rows {
            sum.add(d_y[row * columns + column], x[row * columns + column].min(0.0));
        }
        sum.pairwise()
    })
}
