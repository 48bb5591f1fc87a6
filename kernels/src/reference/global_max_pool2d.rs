//! The maximum over an image's pixels, and its gradient.

use super::{Expected, gamma};

/// The maxima, `[images, channels]`.
pub fn forward(images: usize, pixels: usize, channels: usize, x: &[f32]) -> impl Iterator<Item = f32> {
    (0..images * channels).map(move |i| max(column(pixels, channels, x, i)))
}

/// The gradient to the input, `[images, pixels, channels]`, from the gradient to the output.
pub fn grad_input<'a>(
    images: usize,
    pixels: usize,
    channels: usize,
    x: &'a [f32],
    d_y: &'a [f32],
) -> impl Iterator<Item = Expected> {
    (0..images * pixels * channels).map(move |element| {
        let i = element / channels / pixels * channels + element % channels;
        let column = || column(pixels, channels, x, i);
        let max = max(column());
        let has_maximum = |x: f32| x == max || (x.is_nan() && max.is_nan());
        let value = if has_maximum(x[element]) {
            f64::from(d_y[i]) / column().filter(|&x| has_maximum(x)).count() as f64
        } else {
            0.0
        };
        Expected { value, error: gamma(1) * libm::fabs(value) }
    })
}

/// The pixels of the `i`th of the channels of all images.
fn column(pixels: usize, channels: usize, x: &[f32], i: usize) -> impl Iterator<Item = f32> {
    let first = i / channels * pixels * channels + i % channels;
    (0..pixels).map(move |pixel| x[first + pixel * channels])
}

fn max(x: impl Iterator<Item = f32>) -> f32 {
    x.fold(f32::NEG_INFINITY, |max, x| if x > max || x.is_nan() { x } else { max })
}
