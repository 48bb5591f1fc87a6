//! The one-dimensional transforms of F(M, 3), for vectors.
//!
//! Toom-Cook: a signal of `T = M + 2` samples and a filter of 3 are polynomials, evaluated at `T`
//! points and multiplied there. The points are pairs `±p`, zero if `T` is even, and infinity, in
//! this order. Even and odd powers are summed apart, so that a pair costs little more than a point.
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015); points after Alam
//! et al., "Winograd Convolution for Deep Neural Networks: Efficient Point Selection" (2022).

#![allow(clippy::needless_range_loop, reason = "ranges of constants are unrolled, iterators not always")]

use crate::simd::Simd;
use core::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// The points of the transforms with `T` of them.
pub(super) struct Points<const T: usize>;

const MOST_PAIRS: usize = 3;
/// Of the largest tile, along a side.
pub(super) const MOST_POINTS: usize = 8;

/// The coefficients, in powers of x², of the product of `x² - p²` over all pairs but `left_out`.
const fn product(points: &[f64; MOST_PAIRS], pairs: usize, left_out: usize) -> [f64; MOST_PAIRS + 1] {
    let mut coefficients = [0.0; MOST_PAIRS + 1];
    coefficients[0] = 1.0;
    let mut i = 0;
    while i < pairs {
        if i != left_out {
            let square = points[i] * points[i];
            let mut power = MOST_PAIRS;
            while power > 0 {
                coefficients[power] = coefficients[power - 1] - square * coefficients[power];
                power -= 1;
            }
            coefficients[0] *= -square;
        }
        i += 1;
    }
    coefficients
}

impl<const T: usize> Points<T> {
    /// How many pairs there are.
    const PAIRS: usize = (T - 1) / 2;
    /// 1 if zero is a point.
    const ZERO: usize = (T + 1) % 2;
    const PAIR: [f64; MOST_PAIRS] = match T {
        4 => [1.0, 0.0, 0.0],
        5 => [0.5, 1.5, 0.0],
        6 => [FRAC_1_SQRT_2, SQRT_2, 0.0],
        7 => [0.28125, 0.875, 1.71875],
        8 => [1.0, 2.0, 0.5],
        _ => panic!("no points were chosen"),
    };
    const ALL: [f64; MOST_PAIRS + 1] = product(&Self::PAIR, Self::PAIRS, MOST_PAIRS);
    const OTHERS: [[f64; MOST_PAIRS + 1]; MOST_PAIRS] = [
        product(&Self::PAIR, Self::PAIRS, 0),
        product(&Self::PAIR, Self::PAIRS, 1),
        product(&Self::PAIR, Self::PAIRS, 2),
    ];

    /// `1 / N` for a pair: the product of its distances from all other points.
    const fn scale(pair: usize) -> f64 {
        let p = Self::PAIR[pair];
        let square = p * p;
        let (mut value, mut i) = (0.0, MOST_PAIRS + 1);
        while i > 0 {
            i -= 1;
            value = value * square + Self::OTHERS[pair][i];
        }
        if Self::ZERO == 1 { 1.0 / (2.0 * square * value) } else { 1.0 / (2.0 * p * value) }
    }
    const SCALE: [f64; MOST_PAIRS] = {
        let mut scale = [0.0; MOST_PAIRS];
        let mut i = 0;
        while i < Self::PAIRS {
            scale[i] = Self::scale(i);
            i += 1;
        }
        scale
    };
    /// The scale of `-p` is that of `p` times this.
    const MIRRORED: f64 = if Self::ZERO == 1 { 1.0 } else { -1.0 };

    /// Of each pair the powers from 0 on, as many as the largest tile has outputs.
    const POWERS: [[f32; 6]; MOST_PAIRS] = {
        let mut powers = [[1.0; 6]; MOST_PAIRS];
        let (mut i, mut k) = (0, 1);
        let mut power = [1.0; MOST_PAIRS];
        while k < 6 {
            while i < MOST_PAIRS {
                power[i] *= Self::PAIR[i];
                powers[i][k] = power[i] as f32;
                i += 1;
            }
            (i, k) = (0, k + 1);
        }
        powers
    };
}

/// `Σ coefficients[i] * d[2 i + first]`, the last coefficient, of index `degree`, being 1.
#[inline(always)]
fn every_other<S: Simd, const P: usize>(
    simd: S,
    coefficients: &[f64; MOST_PAIRS + 1],
    degree: usize,
    d: &[S::Vector; P],
    first: usize,
) -> S::Vector {
    let mut sum = d[2 * degree + first];
    for i in 0..degree {
        sum = simd.mul_add(simd.splat(coefficients[i] as f32), d[2 * i + first], sum);
    }
    sum
}

/// A patch of the input, `P = T`, or of the output's gradient, `P = M`, to points.
#[inline(always)]
pub(super) fn patch<S: Simd, const P: usize, const T: usize>(simd: S, d: &[S::Vector; P]) -> [S::Vector; T] {
    let mut out = [d[0]; T];
    for first in (0..T).step_by(2) {
        let [point, next] = patch_pair::<S, P, T>(simd, d, first);
        out[first] = point;
        if first + 1 < T {
            out[first + 1] = next;
        }
    }
    out
}

/// Of [`patch`] the points `first`, an even number, and `first + 1`, if there is one: they share the most.
#[inline(always)]
pub(super) fn patch_pair<S: Simd, const P: usize, const T: usize>(
    simd: S,
    d: &[S::Vector; P],
    first: usize,
) -> [S::Vector; 2] {
    if P == T {
        input::<S, P, T>(simd, d, first / 2)
    } else {
        output_transposed::<S, P, T>(simd, d, first / 2)
    }
}

/// `Bᵀ d`: samples to points. `P` is `T`.
#[inline(always)]
fn input<S: Simd, const P: usize, const T: usize>(
    simd: S,
    d: &[S::Vector; P],
    pair: usize,
) -> [S::Vector; 2] {
    let (pairs, zero) = (Points::<T>::PAIRS, Points::<T>::ZERO);
    if pair < pairs {
        let others = &Points::<T>::OTHERS[pair];
        let even = every_other(simd, others, pairs - 1, d, 1 + zero);
        let odd = every_other(simd, others, pairs - 1, d, zero);
        let p = Points::<T>::PAIR[pair] as f32;
        [simd.mul_add(simd.splat(p), odd, even), simd.mul_add(simd.splat(-p), odd, even)]
    } else {
        let all = &Points::<T>::ALL;
        [every_other(simd, all, pairs, d, 0), every_other(simd, all, pairs, d, zero)]
    }
}

/// `Aᵀ m`: points to outputs.
#[inline(always)]
pub(super) fn output<S: Simd, const T: usize, const M: usize>(simd: S, m: &[S::Vector; T]) -> [S::Vector; M] {
    let mut out = [m[0]; M];
    for k in 0..M {
        out[k] = output_at::<S, T, M>(simd, m, k);
    }
    out
}

/// Of [`output`] the output `k`.
#[inline(always)]
pub(super) fn output_at<S: Simd, const T: usize, const M: usize>(
    simd: S,
    m: &[S::Vector; T],
    k: usize,
) -> S::Vector {
    let pairs = Points::<T>::PAIRS;
    let powers = &Points::<T>::POWERS;
    let mut sum = m[0];
    for i in 0..pairs {
        let (p, q) = (m[2 * i], m[2 * i + 1]);
        let term = if k.is_multiple_of(2) { simd.add(p, q) } else { simd.sub(p, q) };
        let power = simd.splat(powers[i][k]);
        sum = if i == 0 { simd.mul(power, term) } else { simd.mul_add(power, term, sum) };
    }
    if k == 0 && Points::<T>::ZERO == 1 {
        sum = simd.add(sum, m[2 * pairs]);
    }
    if k == M - 1 {
        sum = simd.add(sum, m[T - 1]);
    }
    sum
}

/// `A y`: the transpose of [`output`].
#[inline(always)]
fn output_transposed<S: Simd, const M: usize, const T: usize>(
    simd: S,
    y: &[S::Vector; M],
    pair: usize,
) -> [S::Vector; 2] {
    if pair == Points::<T>::PAIRS {
        return if Points::<T>::ZERO == 1 { [y[0], y[M - 1]] } else { [y[M - 1]; 2] };
    }
    let powers = &Points::<T>::POWERS[pair];
    let (mut even, mut odd) = (y[0], simd.mul(simd.splat(powers[1]), y[1]));
    for k in 2..M {
        if k % 2 == 0 {
            even = simd.mul_add(simd.splat(powers[k]), y[k], even);
        } else {
            odd = simd.mul_add(simd.splat(powers[k]), y[k], odd);
        }
    }
    [simd.add(even, odd), simd.sub(even, odd)]
}

/// The most taps of a filter.
const MOST_TAPS: usize = 5;

/// What a filter's transform multiplies by.
pub(super) struct Filter {
    points: usize,
    pairs: usize,
    /// Of each pair the powers from 0 on, times its scale.
    powers: [[f32; MOST_TAPS]; MOST_PAIRS],
    mirrored: f32,
    /// At zero, if that is a point.
    at_zero: Option<f32>,
}

impl<const T: usize> Points<T> {
    pub const FILTER: Filter = Filter {
        points: T,
        pairs: Self::PAIRS,
        powers: {
            let mut powers = [[0.0; MOST_TAPS]; MOST_PAIRS];
            let mut i = 0;
            while i < Self::PAIRS {
                let (mut power, mut k) = (Self::SCALE[i], 0);
                while k < MOST_TAPS {
                    powers[i][k] = power as f32;
                    power *= Self::PAIR[i];
                    k += 1;
                }
                i += 1;
            }
            powers
        },
        mirrored: Self::MIRRORED as f32,
        at_zero: if Self::ZERO == 1 { Some((1.0 / Self::ALL[0]) as f32) } else { None },
    };
}

impl Filter {
    /// Along one side.
    #[inline(always)]
    pub fn points(&self) -> usize {
        self.points
    }

    /// `G g`: `R` filter taps to points, the first of `MOST`. `R` is `points + 1 - M`.
    #[inline(always)]
    pub fn transform<S: Simd, const MOST: usize, const R: usize>(
        &self,
        simd: S,
        g: &[S::Vector; R],
    ) -> [S::Vector; MOST] {
        let mut out = [g[R - 1]; MOST];
        for i in 0..self.pairs {
            let powers = &self.powers[i];
            let mut even = simd.mul(simd.splat(powers[0]), g[0]);
            let mut odd = simd.mul(simd.splat(powers[1]), g[1]);
            for k in 2..R {
                if k % 2 == 0 {
                    even = simd.mul_add(simd.splat(powers[k]), g[k], even);
                } else {
                    odd = simd.mul_add(simd.splat(powers[k]), g[k], odd);
                }
            }
            out[2 * i] = simd.add(even, odd);
            let mirrored = simd.sub(even, odd);
            out[2 * i + 1] = simd.mul(simd.splat(self.mirrored), mirrored);
        }
        if let Some(at_zero) = self.at_zero {
            out[2 * self.pairs] = simd.mul(simd.splat(at_zero), g[0]);
        }
        out
    }
}

/// `Gᵀ u`: the transpose of [`Filter::transform`].
#[inline(always)]
pub(super) fn filter_transposed<S: Simd, const T: usize>(simd: S, u: &[S::Vector; T]) -> [S::Vector; 3] {
    let pairs = Points::<T>::PAIRS;
    let mut out = [simd.splat(0.0), simd.splat(0.0), u[T - 1]];
    if Points::<T>::ZERO == 1 {
        out[0] = simd.mul(simd.splat((1.0 / Points::<T>::ALL[0]) as f32), u[2 * pairs]);
    }
    for i in 0..pairs {
        let (p, scale) = (Points::<T>::PAIR[i], Points::<T>::SCALE[i]);
        let mirrored = simd.mul(simd.splat(Points::<T>::MIRRORED as f32), u[2 * i + 1]);
        let (even, odd) = (simd.add(u[2 * i], mirrored), simd.sub(u[2 * i], mirrored));
        out[0] = simd.mul_add(simd.splat(scale as f32), even, out[0]);
        out[1] = simd.mul_add(simd.splat((scale * p) as f32), odd, out[1]);
        out[2] = simd.mul_add(simd.splat((scale * p * p) as f32), even, out[2]);
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Points, output, patch};
    use crate::conv2d::winograd::Tile;
    use crate::simd::Scalar;

    fn unit<const N: usize>(at: usize) -> [f32; N] {
        core::array::from_fn(|i| f32::from(u8::from(i == at)))
    }

    /// The largest `Σₚ |Aᵢₚ| |Gₚⱼ| Σₖ |Bₚₖ|`.
    pub(in super::super) fn error_amplification<const T: usize, const M: usize, const R: usize>() -> f64 {
        growth_of::<T, M, R>(|tap| Points::<T>::FILTER.transform(Scalar, &unit::<R>(tap)))
    }

    /// The same for an error of a transformed weight, without `|Gₚⱼ|`.
    fn growth_past_filter<const T: usize, const M: usize>() -> f64 {
        growth_of::<T, M, 1>(|_| [1.0; T])
    }

    fn growth_of<const T: usize, const M: usize, const R: usize>(filter: impl Fn(usize) -> [f32; T]) -> f64 {
        let mut rows = [0.0f64; T];
        for sample in 0..T {
            let b: [f32; T] = patch(Scalar, &unit::<T>(sample));
            rows.iter_mut().zip(b).for_each(|(row, b)| *row += f64::from(b.abs()));
        }
        let (mut largest, mut sums) = (0.0f64, [[0.0f64; R]; M]);
        for point in 0..T {
            let a: [f32; M] = output(Scalar, &unit::<T>(point));
            for (sums, a) in sums.iter_mut().zip(a) {
                for (tap, sum) in sums.iter_mut().enumerate() {
                    *sum += f64::from(a.abs()) * f64::from(filter(tap)[point].abs()) * rows[point];
                    largest = largest.max(*sum);
                }
            }
        }
        largest
    }

    #[test]
    fn growth_is_as_stated() {
        let computed = [
            error_amplification::<4, 2, 3>(),
            error_amplification::<5, 3, 3>(),
            error_amplification::<6, 4, 3>(),
            error_amplification::<7, 5, 3>(),
            error_amplification::<8, 6, 3>(),
        ];
        for (tile, error_amplification) in
            [Tile::F2, Tile::F3, Tile::F4, Tile::F5, Tile::F6].into_iter().zip(computed)
        {
            // Once for each dimension.
            let computed = error_amplification * error_amplification;
            let stated = tile.error_amplification();
            assert!(computed <= stated && stated < computed + 1.0, "{tile:?}: {computed}, stated {stated}");
        }
    }

    #[test]
    fn errors_of_transformed_weights_grow_14_times_as_much_at_the_most() {
        let ratios = [
            growth_past_filter::<4, 2>() / error_amplification::<4, 2, 3>(),
            growth_past_filter::<5, 3>() / error_amplification::<5, 3, 3>(),
            growth_past_filter::<6, 4>() / error_amplification::<6, 4, 3>(),
            growth_past_filter::<7, 5>() / error_amplification::<7, 5, 3>(),
            growth_past_filter::<8, 6>() / error_amplification::<8, 6, 3>(),
            growth_past_filter::<7, 4>() / error_amplification::<7, 4, 4>(),
            growth_past_filter::<5, 4>() / error_amplification::<5, 4, 2>(),
            growth_past_filter::<8, 4>() / error_amplification::<8, 4, 5>(),
        ];
        assert!(ratios.iter().all(|&ratio| ratio <= 14.0), "{ratios:?}");
    }
}
