use crate::error::Error;
use core::ops::RangeInclusive;

/// What a number is drawn from, evenly: `0.2` is all from 0.2 below what changes nothing to 0.2 above it, and `0.1..=0.3` that
/// range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    least: f32,
    most: f32,
    /// Whether it is about what changes nothing.
    around: bool,
}

impl From<f32> for Spread {
    fn from(far: f32) -> Spread {
        Spread { least: -far.abs(), most: far.abs(), around: true }
    }
}

impl From<RangeInclusive<f32>> for Spread {
    fn from(range: RangeInclusive<f32>) -> Spread {
        Spread { least: *range.start(), most: *range.end(), around: false }
    }
}

impl Spread {
    pub(super) const ZERO: Spread = Spread { least: 0.0, most: 0.0, around: false };
    pub(super) const ONE: Spread = Spread { least: 1.0, most: 1.0, around: false };

    pub(super) fn plus(self, term: f32) -> Spread {
        Spread { least: self.least + term, most: self.most + term, around: false }
    }

    pub(super) fn times(self, factor: f32) -> Spread {
        Spread { least: self.least * factor, most: self.most * factor, ..self }
    }

    /// About a number that changes nothing; a range stays.
    pub(super) fn around(self, neutral: f32) -> Spread {
        if self.around { self.plus(neutral) } else { self }
    }

    /// At a share of it from 0 to 1.
    pub(super) fn at(self, share: f32) -> f32 {
        self.least + (self.most - self.least) * share
    }

    /// Whether all of it lies in a range.
    pub(super) fn check(
        self,
        what: &'static str,
        [least, most]: [f32; 2],
        expected: &'static str,
    ) -> Result<(), Error> {
        // NaN is neither.
        for got in [self.least, self.most] {
            if !(least..=most).contains(&got) {
                return Err(Error::OutOfRange { what, expected, got });
            }
        }
        let expected = "a range that ends where it begins or above";
        if self.least <= self.most {
            Ok(())
        } else {
            Err(Error::OutOfRange { what, expected, got: self.most })
        }
    }
}
