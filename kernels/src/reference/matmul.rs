//! Matrix product.

use super::{Expected, Sum};

/// The product `[m, n]` of two matrices that are given as functions of row and column, `[m, k]`
/// and `[k, n]`.
pub fn matmul(
    [m, k, n]: [usize; 3],
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> impl Iterator<Item = Expected> {
    (0..m * n).map(move |i| {
        let mut sum = Sum::default();
        (0..k).for_each(|k| sum.add(a(i / n, k), b(k, i % n)));
        sum.expected()
    })
}
