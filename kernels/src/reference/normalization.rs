//! Normalisation of samples in groups of channels.

use super::{Expected, gamma, pairwise};
use libm::{fabs, sqrt};

/// The indices of an element's group in maps `[images, pixels, channels]`.
fn group(i: usize, pixels: usize, channels: usize, groups: usize) -> impl Iterator<Item = usize> {
    let width = channels / groups;
    let first = i / (pixels * channels) * pixels * channels + i % channels / width * width;
    (0..pixels * width).map(move |j| first + j / width * channels + j % width)
}

/// A mean of products.
#[derive(Default)]
struct Mean {
    sum: f64,
    magnitude: f64,
    count: usize,
}

impl Mean {
    fn of(terms: impl Iterator<Item = f64>) -> Mean {
        let mut mean = Mean::default();
        for term in terms {
            mean.sum += term;
            mean.magnitude += fabs(term);
            mean.count += 1;
        }
        mean
    }

    /// With so many roundings of a term beside those of the sums, over pixels and then over channels.
    fn expected(&self, pixels: usize, roundings: usize) -> Expected {
        let count = self.count as f64;
        let sums = pairwise(pixels) + pairwise(self.count / pixels);
        // The quotient.
        let error = gamma(sums + roundings + 1) * self.magnitude / count;
        Expected { value: self.sum / count, error }
    }
}

/// Mean and `1 / sqrt(variance + epsilon)` of an element's group.
fn statistics(x: &[f32], i: usize, shape: [usize; 3], epsilon: f32) -> [Expected; 2] {
    let [pixels, channels, groups] = shape;
    let of = || group(i, pixels, channels, groups).map(|j| f64::from(x[j]));
    let mean = Mean::of(of()).expected(pixels, 0);
    // The difference, twice, and the square; about another mean it is larger by the square of the difference.
    let variance = Mean::of(of().map(|x| (x - mean.value) * (x - mean.value))).expected(pixels, 3);
    let shifted = mean.error * mean.error;
    let error = variance.error + shifted * 1.01;
    let total = variance.value + f64::from(epsilon);
    let relative = if error < total { sqrt(total / (total - error)) - 1.0 } else { f64::INFINITY };
    let value = 1.0 / sqrt(total);
    // The sum, the root, the quotient.
    [mean, Expected { value, error: value * (relative + gamma(3)) }]
}

/// `gamma (x - mean) / sqrt(variance + epsilon) + beta` of maps of `[pixels, channels, groups]`.
pub fn forward<'a>(
    shape: [usize; 3],
    epsilon: f32,
    x: &'a [f32],
    [gammas, betas]: [Option<&'a [f32]>; 2],
) -> impl Iterator<Item = Expected> {
    (0..x.len()).map(move |i| {
        let [mean, inverse] = statistics(x, i, shape, epsilon);
        let of = |parameters: Option<&[f32]>, default| parameters.map_or(default, |p| p[i % shape[1]]);
        let (scale, shift) = (f64::from(of(gammas, 1.0)), f64::from(of(betas, 0.0)));
        let difference = f64::from(x[i]) - mean.value;
        let value = difference * inverse.value * scale + shift;
        // The difference, the scale, the product; the sum.
        let largest = (fabs(difference) + mean.error) * (inverse.value + inverse.error) * fabs(scale);
        let errors =
            mean.error * inverse.value * fabs(scale) + (inverse.error / inverse.value + gamma(3)) * largest;
        Expected { value, error: errors + gamma(1) * (fabs(value) + errors) }
    })
}

/// `1 / sqrt(variance + epsilon)` of each image and group.
pub fn inverse(shape: [usize; 3], epsilon: f32, x: &[f32]) -> impl Iterator<Item = Expected> {
    let [pixels, channels, groups] = shape;
    (0..x.len() / (pixels * channels) * groups).map(move |at| {
        let first = at / groups * pixels * channels + at % groups * (channels / groups);
        statistics(x, first, shape, epsilon)[1]
    })
}

/// `inverse (d gamma - mean(d gamma) - y mean(d gamma y))`.
pub fn grad_input<'a>(
    shape: [usize; 3],
    d: &'a [f32],
    gammas: Option<&'a [f32]>,
    inverse: &'a [f32],
    y: &'a [f32],
) -> impl Iterator<Item = Expected> {
    let [pixels, channels, groups] = shape;
    (0..d.len()).map(move |i| {
        let scaled =
            |j: usize| f64::from(d[j]) * gammas.map_or(1.0, |gammas| f64::from(gammas[j % channels]));
        let of = || group(i, pixels, channels, groups);
        let mean = Mean::of(of().map(scaled)).expected(pixels, 1);
        let products = Mean::of(of().map(|j| scaled(j) * f64::from(y[j]))).expected(pixels, 2);
        let image = i / (pixels * channels);
        let inverse = f64::from(inverse[image * groups + i % channels / (channels / groups)]);
        let y = f64::from(y[i]);
        // The scale, its product and the difference; each mean's product with the inverse deviation, and the sums.
        let error = gamma(3) * fabs(scaled(i))
            + mean.error
            + gamma(3) * (fabs(mean.value) + mean.error)
            + fabs(y) * (products.error + gamma(4) * (fabs(products.value) + products.error));
        let value = inverse * (scaled(i) - mean.value - y * products.value);
        Expected { value, error: inverse * error }
    })
}
