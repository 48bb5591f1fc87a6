//! Pairwise sums.

use super::{Expected, Sum};

/// The sum of all elements.
pub fn sum(x: &[f32]) -> Expected {
    let mut sum = Sum::default();
    x.iter().for_each(|&x| sum.add(x, 1.0));
    sum.pairwise()
}

/// The sum of each column of `x`, `[rows, columns]`.
pub fn sum_rows(rows: usize, columns: usize, x: &[f32]) -> impl Iterator<Item = Expected> {
    (0..columns).map(move |column| {
        let mut sum = Sum::default();
        (0..rows).for_each(|row| sum.add(x[row * columns + column], 1.0));
        sum.pairwise()
    })
}
