//! Learning rates that change from step to step, with Keras's rules and defaults.

mod cosine;
mod cosine_restarts;
mod exponential;
mod inverse_time;
mod one_cycle;
mod piecewise_constant;
mod polynomial;

pub use cosine::CosineDecay;
pub use cosine_restarts::CosineDecayRestarts;
pub use exponential::ExponentialDecay;
pub use inverse_time::InverseTimeDecay;
pub use one_cycle::OneCycle;
pub use piecewise_constant::PiecewiseConstantDecay;
pub use polynomial::PolynomialDecay;

use super::rule::{check_once, check_rate};
use super::{Asks, Names, Optimizer, Rule, Update};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::Isa;

/// A learning rate for each step. A program can have schedules of its own.
///
/// ```
/// use bantam::{ExponentialDecay, Schedule};
/// let schedule = ExponentialDecay { initial_rate: 0.5, decay_steps: 10, decay_rate: 0.25, staircase: false };
/// schedule.check()?;
/// assert_eq!([0, 5, 10].map(|step| schedule.rate(step)), [0.5, 0.25, 0.125]);
/// # Ok::<(), bantam::Error>(())
/// ```
pub trait Schedule: Clone + Send + Sync + 'static {
    /// The rate of a step, counted from 0.
    fn rate(&self, step: u64) -> f32;

    /// Checks that its numbers are in their ranges.
    ///
    /// # Errors
    /// One is not.
    fn check(&self) -> Result<(), Error>;
}

impl Optimizer {
    /// With rates of a schedule in place of the rule's. What the rule was made with is checked and then ignored.
    pub fn schedule(self, schedule: impl Schedule) -> Optimizer {
        self.within(|rule| Scheduled { rule, schedule })
    }
}

/// A rule whose rate a schedule gives.
struct Scheduled<S> {
    rule: Box<dyn Rule>,
    schedule: S,
}

impl<S: Schedule> Rule for Scheduled<S> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn check(&self) -> Result<(), Error> {
        check_once(&*self.rule, Asks::Schedule, "schedules")?;
        self.schedule.check()?;
        self.rule.check()
    }

    fn rate(&self, step: u64) -> f32 {
        self.schedule.rate(step.saturating_sub(1))
    }

    fn arrays(&self) -> usize {
        self.rule.arrays()
    }

    fn initial(&self) -> f32 {
        self.rule.initial()
    }

    fn asks(&self, asks: Asks) -> bool {
        asks == Asks::Schedule || self.rule.asks(asks)
    }

    fn add_squares(&self, isa: Isa, gradients: &[f32], sum: f32) -> Result<f32, Error> {
        self.rule.add_squares(isa, gradients, sum)
    }

    fn check_names(&self, names: &dyn Names) -> Result<(), Error> {
        self.rule.check_names(names)
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        self.rule.update(run)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(Scheduled { rule: self.rule.clone(), schedule: self.schedule.clone() })
    }
}

/// Checks that there is a step to spread a change over.
fn check_steps(what: &'static str, steps: u64) -> Result<(), Error> {
    if steps == 0 { Err(Error::Empty { what }) } else { Ok(()) }
}

/// How many times `steps` have passed, or in whole turns.
fn turns(step: u64, steps: u64, staircase: bool) -> f64 {
    if staircase { (step / steps) as f64 } else { step as f64 / steps as f64 }
}

/// From 1 to 0 along half a wave, for a part of the way.
fn half_wave(part: f64) -> f64 {
    0.5 * (1.0 + libm::cos(core::f64::consts::PI * part))
}
