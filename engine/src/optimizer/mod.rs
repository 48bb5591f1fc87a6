//! Optimisers, with Keras's update rules and defaults.

mod adam;
mod rmsprop;
mod sgd;

pub use adam::Adam;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;

use crate::error::Error;
use crate::memory::heap;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use core::fmt;

/// An optimiser and what it remembers of each parameter.
///
/// ```
/// use bantam::{Isa, Optimizer, Sgd};
/// let mut optimizer = Optimizer::from(Sgd { rate: 0.5, ..Sgd::default() });
/// let mut weights = [1.0];
/// optimizer.begin_step()?.update(Isa::detect(), 0, &mut weights, &[2.0])?;
/// assert_eq!(weights, [0.0]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Box<dyn Rule>,
    steps: u64,
    /// For each parameter; empty until it is first updated.
    memory: Vec<[Vec<f32>; 2]>,
}

/// A step of an optimiser, in which each parameter is updated once.
pub struct OptimizerStep<'o>(&'o mut Optimizer);

/// How weights move, and what is remembered for it. A trait, so that a program that names one rule has the code of
/// no other in it; and not `Debug`, which would have the formatting of floats in it.
pub(crate) trait Rule: Send + Sync {
    /// As in Keras.
    fn name(&self) -> &'static str;

    /// Checks that its numbers are in their ranges.
    fn check(&self) -> Result<(), Error>;

    /// How many arrays of the weights' length it remembers.
    fn arrays(&self) -> usize;

    /// Moves weights in the `step`th step, from 1. Arrays that it does not remember are empty.
    fn update(
        &self,
        isa: Isa,
        step: u64,
        weights: &mut [f32],
        memory: [&mut [f32]; 2],
        gradients: &[f32],
    ) -> Result<(), Error>;

    /// A copy.
    fn boxed(&self) -> Box<dyn Rule>;
}

impl fmt::Debug for dyn Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Clone for Box<dyn Rule> {
    fn clone(&self) -> Box<dyn Rule> {
        (**self).boxed()
    }
}

impl Optimizer {
    fn new(rule: &dyn Rule) -> Optimizer {
        Optimizer { rule: rule.boxed(), steps: 0, memory: Vec::new() }
    }

    /// Begins a step.
    ///
    /// # Errors
    /// A rate, or another number that it goes by, is out of its range.
    pub fn begin_step(&mut self) -> Result<OptimizerStep<'_>, Error> {
        self.rule.check()?;
        self.steps += 1;
        Ok(OptimizerStep(self))
    }

    pub(crate) fn rule(&self) -> &dyn Rule {
        &*self.rule
    }

    /// The same with nothing remembered.
    pub(crate) fn restarted(&self) -> Optimizer {
        Optimizer::new(&*self.rule)
    }
}

impl OptimizerStep<'_> {
    /// Moves the weights of parameter `index`, any number that stays the parameter's, by their gradients. The
    /// first time, memory for the parameter is allocated.
    ///
    /// # Errors
    /// The lengths differ from each other or from those of an earlier step.
    pub fn update(
        &mut self,
        isa: Isa,
        index: usize,
        weights: &mut [f32],
        gradients: &[f32],
    ) -> Result<(), Error> {
        let Optimizer { rule, steps, memory } = &mut *self.0;
        if memory.len() <= index {
            let more = (index - memory.len()).saturating_add(1);
            let bytes = more.saturating_mul(size_of::<[Vec<f32>; 2]>());
            memory.try_reserve(more).map_err(|_| Error::OutOfMemory { bytes })?;
            memory.resize_with(index + 1, Default::default);
        }
        let memory = &mut memory[index];
        for array in &mut memory[..rule.arrays()] {
            if array.is_empty() {
                *array = heap::zeros(weights.len())?;
            }
        }
        let [first, second] = memory;
        rule.update(isa, *steps, weights, [first, second], gradients)
    }
}

fn check_rate(rate: f32) -> Result<(), Error> {
    match rate {
        0.0..=f32::MAX => Ok(()),
        got => {
            Err(Error::OutOfRange { what: "learning rate", expected: "a finite number of at least 0", got })
        }
    }
}

fn check_epsilon(epsilon: f32) -> Result<(), Error> {
    match epsilon {
        f32::MIN_POSITIVE..=f32::MAX => Ok(()),
        got => Err(Error::OutOfRange { what: "epsilon", expected: "a finite number above 0", got }),
    }
}

/// Of something that decays.
fn check_share(what: &'static str, share: f32) -> Result<(), Error> {
    match share {
        0.0..1.0 => Ok(()),
        got => Err(Error::OutOfRange { what, expected: "at least 0 and less than 1", got }),
    }
}
