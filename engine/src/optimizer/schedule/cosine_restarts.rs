use super::{Schedule, check_rate, check_steps, half_wave};
use crate::error::Error;
use crate::optimizer::rule::check_not_negative;

/// Down along half a wave, up again, and down, each time in more steps (Loshchilov and Hutter, arXiv 1608.03983).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineDecayRestarts {
    /// Of the first step.
    pub initial_rate: f32,
    /// Steps of the first way down.
    pub first_decay_steps: u64,
    /// Each cycle has so many times the steps of the one before.
    pub t_mul: f32,
    /// Each cycle begins at so many times the rate of the one before.
    pub m_mul: f32,
    /// The lowest rate is this share of the first.
    pub alpha: f32,
}

impl Default for CosineDecayRestarts {
    fn default() -> CosineDecayRestarts {
        CosineDecayRestarts {
            initial_rate: 1e-3,
            first_decay_steps: 1000,
            t_mul: 2.0,
            m_mul: 1.0,
            alpha: 0.0,
        }
    }
}

impl Schedule for CosineDecayRestarts {
    fn rate(&self, step: u64) -> f32 {
        let [initial, growth, factor, alpha] =
            [self.initial_rate, self.t_mul, self.m_mul, self.alpha].map(f64::from);
        let ways = step as f64 / self.first_decay_steps.max(1) as f64;
        let (restarts, part) = if growth == 1.0 {
            (libm::floor(ways), ways - libm::floor(ways))
        } else {
            // Ways are `1 + growth + growth² + …` long in all.
            let begin = |restarts| (libm::pow(growth, restarts) - 1.0) / (growth - 1.0);
            let mut restarts = libm::floor(libm::log(1.0 + ways * (growth - 1.0)) / libm::log(growth));
            // The quotient of two logarithms may be a rounding below the whole number that it is.
            if ways >= begin(restarts + 1.0) {
                restarts += 1.0;
            }
            (restarts, (ways - begin(restarts)) / libm::pow(growth, restarts))
        };
        let wave = libm::pow(factor, restarts) * half_wave(part);
        (initial * ((1.0 - alpha) * wave + alpha)) as f32
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.initial_rate)?;
        check_steps("first decay steps", self.first_decay_steps)?;
        if !(1.0..=f32::MAX).contains(&self.t_mul) {
            let (what, expected) = ("t_mul", "a finite number of at least 1");
            return Err(Error::OutOfRange { what, expected, got: self.t_mul });
        }
        check_not_negative("m_mul", self.m_mul)?;
        check_not_negative("alpha", self.alpha)
    }
}
