use super::{Schedule, check_rate};
use crate::error::Error;
use alloc::borrow::Cow;

/// One rate up to and including a step, another up to the next, …: `values[0]` to `boundaries[0]`, and so on.
///
/// ```
/// use bantam::{PiecewiseConstantDecay, Schedule};
/// let schedule = PiecewiseConstantDecay { boundaries: [100, 200][..].into(), values: [0.1, 0.01, 0.001][..].into() };
/// schedule.check()?;
/// assert_eq!([0, 100, 101, 201].map(|step| schedule.rate(step)), [0.1, 0.1, 0.01, 0.001]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PiecewiseConstantDecay {
    /// Where rates hold for the last time, ascending.
    pub boundaries: Cow<'static, [u64]>,
    /// Rates, one more than boundaries.
    pub values: Cow<'static, [f32]>,
}

impl Schedule for PiecewiseConstantDecay {
    fn rate(&self, step: u64) -> f32 {
        let passed = self.boundaries.iter().take_while(|&&boundary| boundary < step).count();
        self.values.get(passed).copied().unwrap_or(0.0)
    }

    fn check(&self) -> Result<(), Error> {
        let (what, expected, got) = ("rates of a schedule", self.boundaries.len() + 1, self.values.len());
        if got != expected {
            return Err(bantam_kernels::Error::Length { what, expected, got }.into());
        }
        if let Some(pair) = self.boundaries.windows(2).find(|pair| pair[0] >= pair[1]) {
            let expected = "more than the boundary before it";
            return Err(Error::OutOfRange { what: "boundary", expected, got: pair[1] as f32 });
        }
        self.values.iter().try_for_each(|&rate| check_rate(rate))
    }
}
