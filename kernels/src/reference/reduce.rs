//! Pairwise sums.

use super::{Expected, LEAST, Sum, gamma, pairwise};

/// The sum of all elements.
pub fn sum(x: &[f32]) -> Expected {
    let mut sum = Sum::default();
    x.iter().for_each(|&x| sum.add(x, 1.0));
    sum.pairwise()
}

/// The sum of all squares.
pub fn sum_squares(x: &[f32]) -> Expected {
    let mut sum = Sum::default();
    x.iter().for_each(|&x| sum.add(x, x));
    let Expected { value, error } = sum.pairwise();
    Expected { value, error: error + x.len() as f64 * LEAST }
}

/// The sum of each column of `x`, `[rows, columns]`.
pub fn sum_rows(rows: usize, columns: usize, x: &[f32]) -> impl Iterator<Item = Expected> {
    (0..columns).map(move |column| {
        let mut sum = Sum::default();
        (0..rows).for_each(|row| sum.add(x[row * columns + column], 1.0));
        sum.pairwise()
    })
}

/// `l1 Σ|x| + l2 Σx²`.
pub fn penalty([l1, l2]: [f32; 2], x: &[f32]) -> Expected {
    let size = |&x: &f32| f64::from(x.abs());
    let value = x.iter().map(size).map(|x| x * (f64::from(l1) + x * f64::from(l2))).sum();
    // Two products and a sum.
    Expected { value, error: gamma(pairwise(x.len()) + 3) * value }
}
