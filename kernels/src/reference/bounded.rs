//! Numbers that carry how far an `f32` computation of them may be off: running error analysis (Higham, section 3.3).

use super::{Expected, gamma, pairwise};
use core::ops::{Add, Div, Mul, Neg, Sub};

/// A value, and a bound of the distance of what `f32` arithmetic gives for it.
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    /// In `f64`.
    pub value: f64,
    /// Of the same computation in `f32`.
    pub error: f64,
}

/// Half of the smallest number above 0.
const UNDERFLOW: f64 = 1.0 / (1u128 << 100) as f64 / (1u64 << 50) as f64;

impl Bounded {
    /// A number that is exact in `f32`.
    pub fn exact(x: f32) -> Bounded {
        Bounded { value: f64::from(x), error: 0.0 }
    }

    /// After so many roundings more.
    fn rounded(value: f64, error: f64, roundings: usize) -> Bounded {
        Bounded { value, error: error + gamma(roundings) * (libm::fabs(value) + error) + UNDERFLOW }
    }

    /// A function that rises or falls all over, computed to so many halves of a unit in the last place.
    fn map(self, f: impl Fn(f64) -> f64, roundings: usize) -> Bounded {
        let value = f(self.value);
        let at = |x: f64| libm::fabs(f(x) - value);
        let error = at(self.value + self.error).max(at(self.value - self.error));
        Bounded::rounded(value, if error.is_nan() { f64::INFINITY } else { error }, roundings)
    }

    /// `exp(x)`.
    pub fn exp(self) -> Bounded {
        self.map(libm::exp, 2)
    }

    /// `exp(x) - 1`.
    pub fn expm1(self) -> Bounded {
        self.map(libm::expm1, 2)
    }

    /// `ln(x)`.
    pub fn ln(self) -> Bounded {
        self.map(libm::log, 2)
    }

    /// `ln(1 + x)`.
    pub fn ln_1p(self) -> Bounded {
        self.map(libm::log1p, 2)
    }

    /// The hyperbolic tangent, which `libm` has to two units in the last place and a fifth.
    pub fn tanh(self) -> Bounded {
        self.map(libm::tanh, 5)
    }

    /// `x` to a power of at least 0, of an `x` of at least 0.
    pub fn pow(self, exponent: f32) -> Bounded {
        self.map(|x| libm::pow(x.max(0.0), f64::from(exponent)), 2)
    }

    /// `x exp(x) / (1 - exp(x))`, which is -1 at 0, of two functions, a product and a quotient.
    pub fn odds(self) -> Bounded {
        self.map(|x| if x == 0.0 { -1.0 } else { x / libm::expm1(-x) }, 2 + 2 + 2)
    }

    /// `|x|`.
    pub fn abs(self) -> Bounded {
        Bounded { value: libm::fabs(self.value), ..self }
    }

    /// The larger of `x` and a number that is exact.
    pub fn max(self, least: f32) -> Bounded {
        Bounded { value: self.value.max(f64::from(least)), ..self }
    }

    /// The smaller of `x` and a number that is exact.
    pub fn min(self, most: f32) -> Bounded {
        Bounded { value: self.value.min(f64::from(most)), ..self }
    }

    /// A pairwise sum.
    pub fn sum(terms: impl Iterator<Item = Bounded>) -> Bounded {
        let (mut value, mut error, mut magnitude, mut count) = (0.0, 0.0, 0.0, 0);
        for term in terms {
            value += term.value;
            error += term.error;
            magnitude += libm::fabs(term.value) + term.error;
            count += 1;
        }
        Bounded { value, error: error + gamma(pairwise(count)) * magnitude }
    }

    /// A result to compare with.
    pub fn expected(self) -> Expected {
        Expected { value: self.value, error: self.error }
    }
}

impl Neg for Bounded {
    type Output = Bounded;

    fn neg(self) -> Bounded {
        Bounded { value: -self.value, ..self }
    }
}

impl Add for Bounded {
    type Output = Bounded;

    fn add(self, other: Bounded) -> Bounded {
        Bounded::rounded(self.value + other.value, self.error + other.error, 1)
    }
}

impl Sub for Bounded {
    type Output = Bounded;

    fn sub(self, other: Bounded) -> Bounded {
        self + -other
    }
}

impl Mul for Bounded {
    type Output = Bounded;

    fn mul(self, other: Bounded) -> Bounded {
        let error = libm::fabs(self.value) * other.error
            + libm::fabs(other.value) * self.error
            + self.error * other.error;
        Bounded::rounded(self.value * other.value, error, 1)
    }
}

impl Div for Bounded {
    type Output = Bounded;

    fn div(self, other: Bounded) -> Bounded {
        let (value, least) = (self.value / other.value, libm::fabs(other.value) - other.error);
        let error = (self.error + libm::fabs(value) * other.error) / least;
        Bounded::rounded(value, if least > 0.0 { error } else { f64::INFINITY }, 1)
    }
}
