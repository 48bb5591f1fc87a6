//! Softmax.

use super::{Expected, gamma, pairwise};

/// `exp(x) / Σ exp(x)` over the rows of `x`, `[rows, columns]`.
pub fn forward(columns: usize, x: &[f32]) -> impl Iterator<Item = Expected> {
    x.chunks(columns).flat_map(move |row| {
        row.iter().map(move |&x| {
            let terms = Terms::new(row);
            let value = libm::exp(f64::from(x) - terms.max) / terms.sum;
            Expected { value, error: terms.relative_error() * value }
        })
    })
}

/// `y (d_y - Σ d_y y)` over the rows of `y` and `d_y`, `[rows, columns]`.
pub fn grad<'a>(columns: usize, y: &'a [f32], d_y: &'a [f32]) -> impl Iterator<Item = Expected> {
    y.chunks(columns).zip(d_y.chunks(columns)).flat_map(move |(y, d_y)| {
        let mut dot = super::Sum::default();
        y.iter().zip(d_y).for_each(|(&y, &d_y)| dot.add(y, d_y));
        y.iter().zip(d_y).map(move |(&y, &d_y)| {
            let (y, d_y) = (f64::from(y), f64::from(d_y));
            // The dot product, the difference, the product.
            let error = gamma(pairwise(columns) + 2) * libm::fabs(y) * (libm::fabs(d_y) + dot.magnitude);
            Expected { value: y * (d_y - dot.value), error }
        })
    })
}

/// The exponentials of a row.
pub(super) struct Terms {
    pub max: f64,
    /// `Σ exp(x - max)`.
    pub sum: f64,
    /// Of the largest and the smallest element.
    difference: f64,
    columns: usize,
}

impl Terms {
    pub fn new(row: &[f32]) -> Terms {
        let extreme = |row: &[f32], sign: f64| {
            let signed = row.iter().map(|&x| f64::from(x) * sign);
            sign * signed.fold(f64::NEG_INFINITY, |max, x| if x.is_nan() || x > max { x } else { max })
        };
        let (max, min) = (extreme(row, 1.0), extreme(row, -1.0));
        let sum = row.iter().map(|&x| libm::exp(f64::from(x) - max)).sum();
        Terms { max, sum, difference: max - min, columns: row.len() }
    }

    /// Of `sum`. `x - max` is rounded, and what that changes is relative in the exponential, which
    /// is good to a unit in the last place: two roundings.
    pub fn sum_error(&self) -> f64 {
        gamma(pairwise(self.columns) + 2) + gamma(1) * self.difference
    }

    /// Of one exponential divided by the sum.
    pub fn relative_error(&self) -> f64 {
        self.sum_error() + gamma(3) + gamma(1) * self.difference
    }
}
