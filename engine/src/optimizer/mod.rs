//! Optimisers, with Keras's update rules and defaults.

mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod clip;
mod decay;
mod ema;
mod lion;
mod nadam;
mod rmsprop;
mod rule;
pub(crate) mod schedule;
mod sgd;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use adamw::AdamW;
pub use lion::Lion;
pub use nadam::Nadam;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;

pub(crate) use rule::{Asks, Names, Rule, State, Update, check_rate};

use crate::error::Error;
use crate::memory::heap;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use rule::{check_epsilon, check_share};

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
///
/// What Keras's optimisers have in common is added to any rule, in any order, and happens in Keras's: gradients are
/// clipped, weights decay, then comes the rule's step, and the moving average of the weights.
///
/// ```
/// use bantam::{Adam, CosineDecay, Optimizer};
/// let schedule = CosineDecay { initial_rate: 0.01, decay_steps: 1000, ..CosineDecay::default() };
/// let optimizer = Optimizer::from(Adam::default())
///     .schedule(schedule)
///     .clip_global_norm(1.0)
///     .weight_decay(0.004, &["bias", "gamma", "beta"])
///     .ema(0.99, None);
/// assert_eq!(optimizer.rate(), 0.01);
/// ```
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Box<dyn Rule>,
    steps: u64,
    /// In place of the rule's rate.
    reduced: Option<f32>,
    /// For each parameter, the rule's arrays one after the other; empty until it is first updated.
    memory: Vec<Vec<f32>>,
}

/// A step of an optimiser, in which each parameter is updated once.
pub struct OptimizerStep<'o> {
    optimizer: &'o mut Optimizer,
    step: u64,
    rate: f32,
    /// Of the gradients that it observed.
    squares: Option<f32>,
}

impl Optimizer {
    fn new(rule: &dyn Rule) -> Optimizer {
        Optimizer { rule: rule.boxed(), steps: 0, reduced: None, memory: Vec::new() }
    }

    /// The learning rate of the next step.
    pub fn rate(&self) -> f32 {
        self.reduced.unwrap_or_else(|| self.rule.rate(self.steps.saturating_add(1)))
    }

    /// Begins a step. It counts once a parameter is updated.
    ///
    /// # Errors
    /// A rate, or another number that it goes by, is out of its range.
    pub fn begin_step(&mut self) -> Result<OptimizerStep<'_>, Error> {
        self.rule.check()?;
        let (step, rate) = (self.steps.saturating_add(1), self.rate());
        check_rate(rate)?;
        Ok(OptimizerStep { optimizer: self, step, rate, squares: None })
    }

    /// Exchanges weights of parameter `index` and their moving average, if there is one: the average to use the
    /// model with, and the weights again to go on.
    ///
    /// # Errors
    /// The length differs from that of an earlier step.
    pub fn swap_ema(&mut self, index: usize, weights: &mut [f32]) -> Result<(), Error> {
        let Some(memory) = self.memory.get_mut(index) else { return Ok(()) };
        if !self.rule.asks(Asks::Average) || memory.is_empty() {
            return Ok(());
        }
        check_memory(&*self.rule, memory, weights.len())?;
        let average = memory.len() - weights.len();
        memory[average..].swap_with_slice(weights);
        Ok(())
    }

    /// The same, as if it had made so many steps and remembered this: for each of a model's
    /// [parameters](crate::Model::parameters) the arrays that the rule keeps of it, one after the other, or none if it has not been
    /// updated. A training that began elsewhere goes on so; where it began here, a [checkpoint](crate::Trainer::checkpoint) does it.
    ///
    /// | rule | arrays |
    /// | --- | --- |
    /// | [`Sgd`] with momentum | velocity |
    /// | [`RmsProp`] | mean square; the mean, if centered; the velocity, with momentum |
    /// | [`Adam`], [`AdamW`] | mean; mean square; the largest of these, with AMSGrad |
    /// | [`Nadam`] | mean; mean square |
    /// | [`Adamax`] | mean; largest norm |
    /// | [`Adagrad`] | sum of squares |
    /// | [`Lion`] | mean |
    ///
    /// [`ema`](Optimizer::ema) has the average behind these.
    ///
    /// ```
    /// use bantam::{Isa, Optimizer, Sgd};
    /// let momentum = Sgd { rate: 0.5, momentum: 0.5, nesterov: false };
    /// let mut optimizer = Optimizer::from(momentum).resumed(7, vec![vec![4.0]])?;
    /// let mut weights = [1.0];
    /// optimizer.begin_step()?.update(Isa::detect(), 0, &mut weights, &[2.0])?;
    /// assert_eq!(weights, [1.0 + 0.5 * 4.0 - 0.5 * 2.0]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// A number is not finite. That there are as many as the weights call for is checked when they are updated.
    pub fn resumed(self, steps: u64, state: Vec<Vec<f32>>) -> Result<Optimizer, Error> {
        match state.iter().flatten().find(|number| !number.is_finite()) {
            Some(&got) => {
                Err(Error::OutOfRange { what: "optimiser's state", expected: "finite numbers", got })
            }
            None => Ok(Optimizer { steps, memory: state, ..self }),
        }
    }

    pub(crate) fn rule(&self) -> &dyn Rule {
        &*self.rule
    }

    /// The rule, the number of steps, the rate in place of the rule's, and what is remembered of each parameter.
    pub(crate) fn parts(&self) -> (&dyn Rule, u64, Option<f32>, &[Vec<f32>]) {
        (&*self.rule, self.steps, self.reduced, &self.memory)
    }

    /// The same rule, with other [parts](Self::parts).
    pub(crate) fn with(self, steps: u64, reduced: Option<f32>, memory: Vec<Vec<f32>>) -> Optimizer {
        Optimizer { steps, reduced, memory, ..self }
    }

    /// From now on with this rate.
    pub(crate) fn reduce(&mut self, rate: f32) {
        self.reduced = Some(rate);
    }

    /// The same with nothing remembered.
    pub(crate) fn restarted(&self) -> Optimizer {
        Optimizer::new(&*self.rule)
    }
}

impl OptimizerStep<'_> {
    /// Tells the step of a parameter's gradients before any are applied. Clipping by the global norm needs to know of all.
    ///
    /// # Errors
    /// The rule clips by a norm, and theirs is not finite.
    pub fn observe(&mut self, isa: Isa, gradients: &[f32]) -> Result<(), Error> {
        let squares = self.squares.unwrap_or(0.0);
        self.squares = Some(self.optimizer.rule.add_squares(isa, gradients, squares)?);
        Ok(())
    }

    /// Checks that what is remembered of parameter `index`, if anything is, is of so many weights.
    pub(crate) fn expect(&self, index: usize, weights: usize) -> Result<(), Error> {
        match self.optimizer.memory.get(index) {
            Some(memory) if !memory.is_empty() => check_memory(self.optimizer.rule(), memory, weights),
            _ => Ok(()),
        }
    }

    /// Moves the weights of parameter `index`, any number that stays the parameter's, by their gradients. The
    /// first time, memory for the parameter is allocated.
    ///
    /// # Errors
    /// The lengths differ from each other or from those of an earlier step; or parameters are excluded from weight decay
    /// by their names, which [`Model::update`](crate::Model::update) knows.
    pub fn update(
        &mut self,
        isa: Isa,
        index: usize,
        weights: &mut [f32],
        gradients: &[f32],
    ) -> Result<(), Error> {
        self.update_named(isa, index, &(), weights, gradients)
    }

    /// The same of a parameter that has names.
    pub(crate) fn update_named(
        &mut self,
        isa: Isa,
        index: usize,
        names: &dyn Names,
        weights: &mut [f32],
        gradients: &[f32],
    ) -> Result<(), Error> {
        let OptimizerStep { optimizer, step, rate, squares } = self;
        let Optimizer { rule, memory, .. } = &mut **optimizer;
        if squares.is_none() && rule.asks(Asks::AllGradients) {
            return Err(Error::Empty { what: "gradients that the step observed" });
        }
        if memory.len() <= index {
            let more = (index - memory.len()).saturating_add(1);
            heap::reserve(memory, more)?;
            memory.resize_with(index + 1, Default::default);
        }
        let (arrays, len) = (&mut memory[index], weights.len());
        let first = arrays.is_empty();
        if first {
            *arrays = heap::filled(len.saturating_mul(rule.arrays()), rule.initial())?;
        }
        check_memory(&**rule, arrays, len)?;
        rule.update(Update {
            isa,
            step: *step,
            rate: *rate,
            first,
            squares: squares.unwrap_or(0.0),
            names,
            parameter: index,
            weights,
            state: State::new(arrays, len, 0..len),
            gradients,
        })?;
        optimizer.steps = *step;
        Ok(())
    }
}

/// Checks that what is remembered is of so many weights.
fn check_memory(rule: &dyn Rule, memory: &[f32], weights: usize) -> Result<(), Error> {
    let (what, expected, got) = ("optimiser's state", weights.saturating_mul(rule.arrays()), memory.len());
    if got == expected { Ok(()) } else { Err(bantam_kernels::Error::Length { what, expected, got }.into()) }
}
