//! Batch normalisation by the statistics of the batch.

use super::{Expected, gamma, pairwise};
use crate::batch_normalization::Normalized;
use libm::{fabs, sqrt};

/// Mean and variance of each column of `[rows, columns]`.
pub fn moments(rows: usize, columns: usize, x: &[f32]) -> impl Iterator<Item = [Expected; 2]> {
    let count = rows as f64;
    let levels = 1 + rows.max(1).ilog2() as usize / 5;
    // A block's sum and mean, then on each level 32 parts and one more at the end, each of whose means takes four
    // roundings.
    let rounding = gamma(38 + 4 * 34 * levels);
    (0..columns).map(move |c| {
        let column = || (0..rows).map(|row| f64::from(x[row * columns + c]));
        let mean = column().sum::<f64>() / count;
        let variance = column().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        let of_mean = rounding * column().map(fabs).sum::<f64>() / count;
        // The squares' own roundings, and what wrong means do to them, within a block and between blocks.
        let mixed = of_mean * sqrt(levels as f64 * variance);
        let of_variance = 2.0 * rounding * variance + 4.0 * mixed + 4.0 * of_mean * of_mean;
        [Expected { value: mean, error: of_mean }, Expected { value: variance, error: of_variance }]
    })
}

/// The moments of two parts together.
pub fn merge_moments(share: f32, parts: [[&[f32]; 2]; 2]) -> impl Iterator<Item = [Expected; 2]> {
    let [[mean, variance], [other_mean, other_variance]] = parts.map(|part| part.map(|array| array.iter()));
    let parts = mean.zip(variance).zip(other_mean.zip(other_variance));
    parts.map(move |((&mean, &variance), (&other_mean, &other_variance))| {
        let [share, mean, variance] = [share, mean, variance].map(f64::from);
        let [other_mean, other_variance] = [other_mean, other_variance].map(f64::from);
        let apart = other_mean - mean;
        let value = mean + share * apart;
        let merged = Expected { value, error: gamma(3) * (fabs(mean) + fabs(share * apart)) };
        let between = share * (1.0 - share) * apart * apart;
        let value = variance + share * (other_variance - variance) + between;
        let error = gamma(7) * (fabs(variance) + fabs(share * (other_variance - variance)) + between);
        [merged, Expected { value, error }]
    })
}

/// What the activation lets pass of the gradient, and how much of it rounding decides.
fn passed(normalized: &Normalized<'_>, columns: usize, d_y: &[f32], i: usize) -> Expected {
    let [least, most] = normalized.activation.range().map(f64::from);
    let (c, d) = (i % columns, f64::from(d_y[i]));
    let product = f64::from(normalized.x[i]) * f64::from(normalized.scale[c]);
    let shift = f64::from(normalized.shift[c]);
    let (y, error) = (product + shift, gamma(2) * (fabs(product) + fabs(shift)));
    let value = if y > least && y < most { d } else { 0.0 };
    let near = |edge: f64| fabs(y - edge) <= error && y != edge;
    Expected { value, error: if near(least) || near(most) { fabs(d) } else { 0.0 } }
}

/// For each column the sums of what passes of the gradient, and of its products with `x - mean`.
pub fn grad_sums<'a>(
    rows: usize,
    columns: usize,
    normalized: Normalized<'a>,
    d_y: &'a [f32],
) -> impl Iterator<Item = [Expected; 2]> {
    let rounding = gamma(pairwise(rows) + 2);
    (0..columns).map(move |c| {
        let zero = Expected { value: 0.0, error: 0.0 };
        let mut sums = [zero; 2];
        for row in 0..rows {
            let i = row * columns + c;
            let d = passed(&normalized, columns, d_y, i);
            let apart = f64::from(normalized.x[i]) - f64::from(normalized.mean[c]);
            for (sum, factor) in sums.iter_mut().zip([1.0, apart]) {
                sum.value += d.value * factor;
                sum.error += (d.error + rounding * fabs(d.value)) * fabs(factor);
            }
        }
        sums
    })
}

/// The gradient to `x`.
pub fn grad_input<'a>(
    rows: usize,
    columns: usize,
    normalized: Normalized<'a>,
    [d_mean, slope]: [&'a [f32]; 2],
    d_y: &'a [f32],
) -> impl Iterator<Item = Expected> {
    (0..rows * columns).map(move |i| {
        let c = i % columns;
        let d = passed(&normalized, columns, d_y, i);
        let [mean, scale, d_mean, slope] =
            [normalized.mean, normalized.scale, d_mean, slope].map(|array| f64::from(array[c]));
        let along = slope * (f64::from(normalized.x[i]) - mean);
        let magnitude = fabs(d.value) + fabs(d_mean) + fabs(along);
        let value = scale * (d.value - d_mean - along);
        Expected { value, error: fabs(scale) * (d.error + gamma(5) * magnitude) }
    })
}
