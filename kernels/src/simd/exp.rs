//! The exponential function and a logarithm of whole vectors, by the same steps on every instruction set.

use super::Simd;
use core::f32::consts::LOG2_E;

/// `exp(x)` to a unit in the last place: 0 where it is below some 2⁻¹²⁶, infinity above the largest number, NaN
/// for NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let [power, excess] = power_and_excess(simd, x);
    simd.mul(power, simd.add(simd.splat(1.0), excess))
}

/// `exp(x) - 1` for `x` from 0 to 80, to a unit in the last place. Below 0 digits cancel.
#[inline(always)]
pub(crate) fn exp_m1<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let [power, excess] = power_and_excess(simd, x);
    simd.mul_add(power, excess, simd.sub(power, simd.splat(1.0)))
}

/// `2ⁿ` and `m` from 0 to 1 where `exp(x) = 2ⁿ (1 + m)`. Below the range of normal numbers `2ⁿ` is 0, above it
/// infinity.
///
/// With `x = n ln 2 + r`, `r` from 0 to `ln 2`, `m` is `exp(r) - 1`. `ln 2` comes in two parts, of which the first
/// has few enough bits for its product with `n` to be exact (Cody and Waite, "Software Manual for the Elementary
/// Functions", 1980). The polynomial's largest error, relative to `m`, is the least that there is for its degree.
#[inline(always)]
fn power_and_excess<S: Simd>(simd: S, x: S::Vector) -> [S::Vector; 2] {
    const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 5] = [1.860_421_7e-3, 7.962_555e-3, 4.179_486e-2, 1.666_476_9e-1, 5.000_009e-1];
    /// 1.5 · 2²³: its sum with a small number is rounded to a whole one.
    const WHOLE: f32 = 12_582_912.0;
    // Beyond them nothing changes.
    let x = simd.clamp([-88.0, 89.0], x);
    let n = simd.mul_add(x, simd.splat(LOG2_E), simd.splat(-0.5));
    let n = simd.sub(simd.add(n, simd.splat(WHOLE)), simd.splat(WHOLE));
    let r = simd.mul_add(n, simd.splat(-LN_2[0]), x);
    let r = simd.mul_add(n, simd.splat(-LN_2[1]), r);
    let mut sum = simd.splat(POLYNOMIAL[0]);
    for &coefficient in &POLYNOMIAL[1..] {
        sum = simd.mul_add(sum, r, simd.splat(coefficient));
    }
    [simd.pow2(n), simd.mul_add(simd.mul(r, r), sum, r)]
}

/// `ln(1 + x)` for `x` from 0 to 1, to two units in the last place.
///
/// It is `2 artanh(s)` with `s = x / (2 + x)`, whose series has powers of `s²`, which is 1/9 at most. The polynomial's
/// largest relative error is the least that there is for its degree.
#[inline(always)]
pub(crate) fn ln_1p<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    const POLYNOMIAL: [f32; 4] = [2.801_084_2e-1, 2.800_201_8e-1, 4.002_151_5e-1, 6.666_642e-1];
    let two = simd.splat(2.0);
    let inverse = simd.div(simd.splat(1.0), simd.add(two, x));
    // Of smaller numbers the square would be subnormal before long, and counts for nothing.
    let s = simd.mul(simd.flush(x, simd.splat(1e-10)), inverse);
    let square = simd.mul(s, s);
    let mut sum = simd.splat(POLYNOMIAL[0]);
    for &coefficient in &POLYNOMIAL[1..] {
        sum = simd.mul_add(sum, square, simd.splat(coefficient));
    }
    simd.mul(x, simd.mul(simd.mul_add(sum, square, two), inverse))
}

#[cfg(test)]
mod tests {
    use super::{exp, exp_m1, ln_1p};
    use crate::Isa;
    use crate::simd::{Operation, Simd};

    /// The exponentials of some numbers, those minus 1, and logarithms.
    struct Exponentials<'a> {
        x: &'a [f32; 64],
        y: [&'a mut [f32; 64]; 3],
    }

    impl Operation for Exponentials<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for i in (0..64).step_by(S::LANES) {
                // SAFETY: 64 elements are whole vectors of every instruction set.
                unsafe {
                    let x = simd.load(self.x.as_ptr().add(i));
                    simd.store(self.y[0].as_mut_ptr().add(i), exp(simd, x));
                    simd.store(self.y[1].as_mut_ptr().add(i), exp_m1(simd, x));
                    simd.store(self.y[2].as_mut_ptr().add(i), ln_1p(simd, x));
                }
            }
        }
    }

    fn exponentials(isa: Isa, x: &[f32; 64]) -> [[f32; 64]; 3] {
        let [mut exp, mut exp_m1, mut ln_1p] = [[f32::NAN; 64]; 3];
        isa.run(Exponentials { x, y: [&mut exp, &mut exp_m1, &mut ln_1p] });
        [exp, exp_m1, ln_1p]
    }

    /// Relative error in units of 2⁻²³: no unit in the last place is larger.
    fn units(got: f32, want: f64) -> f64 {
        libm::fabs(f64::from(got) - want) / want / f64::from(f32::EPSILON)
    }

    #[test]
    fn is_within_a_unit() {
        // A prime, so that all last digits occur.
        const STEP: usize = 1009;
        let mut worst = [0.0f64; 3];
        for isa in Isa::available() {
            for sign in [0, 1 << 31] {
                for first in (0..f32::INFINITY.to_bits()).step_by(64 * STEP) {
                    let x = core::array::from_fn(|i| f32::from_bits((first + (i * STEP) as u32) | sign));
                    let [exp, exp_m1, ln_1p] = exponentials(isa, &x);
                    for i in 0..64 {
                        let want = libm::exp(f64::from(x[i]));
                        if x[i].is_nan() {
                            assert!(exp[i].is_nan());
                        } else if want < f64::from(f32::MIN_POSITIVE) {
                            assert_eq!(exp[i], 0.0, "{isa} {}", x[i]);
                        } else if want > f64::from(f32::MAX) {
                            assert_eq!(exp[i], f32::INFINITY, "{isa} {}", x[i]);
                        } else {
                            worst[0] = worst[0].max(units(exp[i], want));
                        }
                        if x[i] > 0.0 && x[i] <= 80.0 {
                            worst[1] = worst[1].max(units(exp_m1[i], libm::expm1(f64::from(x[i]))));
                        }
                        if x[i] >= f32::MIN_POSITIVE && x[i] <= 1.0 {
                            worst[2] = worst[2].max(units(ln_1p[i], libm::log1p(f64::from(x[i]))));
                        }
                    }
                }
            }
            assert!(worst[0] < 1.0 && worst[1] < 1.0 && worst[2] < 2.0, "{isa}: {worst:?}");
        }
    }

    #[test]
    fn saturates_and_keeps_nan() {
        for isa in Isa::available() {
            let mut x = [0.0; 64];
            x[1..7].copy_from_slice(&[-0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::NAN]);
            let [exp, ..] = exponentials(isa, &x);
            assert_eq!(exp[..6], [1.0, 1.0, f32::INFINITY, 0.0, f32::INFINITY, 0.0], "{isa}");
            assert!(exp[6].is_nan());
            // The largest number whose exponential is finite, and the smallest whose is normal.
            x[..4].copy_from_slice(&[88.722_83, 88.722_84, -87.336_54, -87.336_6]);
            let [exp, ..] = exponentials(isa, &x);
            assert!(exp[0] < f32::INFINITY && exp[2] >= f32::MIN_POSITIVE, "{isa}");
            assert_eq!([exp[1], exp[3]], [f32::INFINITY, 0.0], "{isa}");
        }
    }
}
