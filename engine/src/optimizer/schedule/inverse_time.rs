use super::{Schedule, check_rate, check_steps, turns};
use crate::error::Error;
use crate::optimizer::rule::check_not_negative;

/// `initial_rate / (1 + decay_rate step / decay_steps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InverseTimeDecay {
    /// Of the first step.
    pub initial_rate: f32,
    /// Steps that make one in the quotient.
    pub decay_steps: u64,
    /// What the quotient is multiplied by.
    pub decay_rate: f32,
    /// Whether the quotient is rounded down, so that the rate is constant in between.
    pub staircase: bool,
}

impl Schedule for InverseTimeDecay {
    fn rate(&self, step: u64) -> f32 {
        let turns = turns(step, self.decay_steps.max(1), self.staircase);
        (f64::from(self.initial_rate) / (1.0 + f64::from(self.decay_rate) * turns)) as f32
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.initial_rate)?;
        check_steps("decay steps", self.decay_steps)?;
        check_not_negative("decay rate", self.decay_rate)
    }
}
