use super::{Schedule, check_rate, check_steps};
use crate::error::Error;
use crate::optimizer::rule::check_not_negative;

/// `(initial_rate - end_rate) (1 - step / decay_steps)^power + end_rate`, and the last rate from there on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolynomialDecay {
    /// Of the first step.
    pub initial_rate: f32,
    /// Steps until the last rate.
    pub decay_steps: u64,
    /// The last rate.
    pub end_rate: f32,
    /// Of the part of the way that is left; 1 is a straight line.
    pub power: f32,
    /// Whether the rate jumps up when it is down, to where a way of twice, three times, … as many steps would be.
    pub cycle: bool,
}

impl Default for PolynomialDecay {
    fn default() -> PolynomialDecay {
        PolynomialDecay { initial_rate: 1e-3, decay_steps: 1000, end_rate: 1e-4, power: 1.0, cycle: false }
    }
}

impl Schedule for PolynomialDecay {
    fn rate(&self, step: u64) -> f32 {
        let steps = self.decay_steps.max(1);
        let cycles = if self.cycle { step.div_ceil(steps).max(1) } else { 1 };
        let all = steps as f64 * cycles as f64;
        let left = 1.0 - (step as f64).min(all) / all;
        let [initial, end] = [self.initial_rate, self.end_rate].map(f64::from);
        ((initial - end) * libm::pow(left, self.power.into()) + end) as f32
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.initial_rate)?;
        check_steps("decay steps", self.decay_steps)?;
        check_not_negative("last learning rate", self.end_rate)?;
        check_not_negative("power", self.power)
    }
}
