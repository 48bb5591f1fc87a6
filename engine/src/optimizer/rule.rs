use super::Optimizer;
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::Isa;
use core::fmt;
use core::ops::Range;

/// How weights move, and what is remembered for it. A trait, so that a program that names one rule has the code of
/// no other in it; and not `Debug`, which would have the formatting of floats in it.
///
/// Clipping, decay, the average and schedules are rules around a rule. As one changes gradients, one weights before the
/// step, one looks at them after it, and one the rate, the order in which they stand around it makes no difference.
pub(crate) trait Rule: Send + Sync {
    /// Keras's name of the class, and what else tells apart what is remembered.
    fn name(&self) -> &'static str;

    /// Checks that its numbers are in their ranges.
    fn check(&self) -> Result<(), Error>;

    /// The learning rate in the `step`th step, from 1.
    fn rate(&self, step: u64) -> f32;

    /// How many arrays of the weights' length it remembers.
    fn arrays(&self) -> usize;

    /// What the arrays hold before the first step.
    fn initial(&self) -> f32 {
        0.0
    }

    /// Whether it, or a rule in it, asks for something.
    fn asks(&self, _: Asks) -> bool {
        false
    }

    /// Adds the squares of gradients to a sum, if the rule clips by a norm.
    fn add_squares(&self, _: Isa, _gradients: &[f32], sum: f32) -> Result<f32, Error> {
        Ok(sum)
    }

    /// Checks that the names that it goes by are some of these.
    fn check_names(&self, _: &dyn Names) -> Result<(), Error> {
        Ok(())
    }

    /// Moves weights.
    fn update(&self, run: Update<'_>) -> Result<(), Error>;

    /// A copy.
    fn boxed(&self) -> Box<dyn Rule>;
}

/// What a rule may ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// To clip gradients, however it does.
    Clipping,
    /// All gradients to an array of weights at once.
    WholeGradients,
    /// The gradients to all weights, before any of them move.
    AllGradients,
    /// That weights decay.
    Decay,
    /// A moving average of the weights: it is the last of the arrays.
    Average,
    /// That the rate follows a schedule.
    Schedule,
}

/// What parameters are called.
pub(crate) trait Names {
    /// The name of the layer and that in the layer of one of them, if there are so many and they have names.
    fn of(&self, parameter: usize) -> Option<[&str; 2]>;
}

/// Without names.
impl Names for () {
    fn of(&self, _: usize) -> Option<[&str; 2]> {
        None
    }
}

/// Of one parameter.
impl Names for [&str; 2] {
    fn of(&self, _: usize) -> Option<[&str; 2]> {
        Some(*self)
    }
}

/// Weights that move in a step.
pub(crate) struct Update<'a> {
    pub isa: Isa,
    /// From 1.
    pub step: u64,
    /// The learning rate in this step.
    pub rate: f32,
    /// Whether the state is as it was before any step.
    pub first: bool,
    /// The sum of all gradients' squares, if the rule asked for them.
    pub squares: f32,
    pub names: &'a dyn Names,
    pub parameter: usize,
    pub weights: &'a mut [f32],
    pub state: State<'a>,
    pub gradients: &'a [f32],
}

impl Update<'_> {
    /// The same of some of the weights, with other gradients.
    pub fn part<'a>(&'a mut self, range: Range<usize>, gradients: &'a [f32]) -> Update<'a> {
        let Range { start, end } = range;
        let at = self.state.part.start;
        let state = State::new(self.state.arrays, self.state.stride, at + start..at + end);
        Update { weights: &mut self.weights[range], state, gradients, ..*self }
    }
}

/// What is remembered of some of a parameter's weights.
pub(crate) struct State<'a> {
    /// Of all weights of the parameter, one array after the other.
    arrays: &'a mut [f32],
    /// From the start of an array to that of the next.
    stride: usize,
    part: Range<usize>,
}

impl<'a> State<'a> {
    pub fn new(arrays: &'a mut [f32], stride: usize, part: Range<usize>) -> State<'a> {
        State { arrays, stride, part }
    }

    /// That part of each array.
    pub fn split<const N: usize>(self) -> [&'a mut [f32]; N] {
        let State { arrays: mut rest, stride, part } = self;
        [(); N].map(|()| {
            let (array, others) = core::mem::take(&mut rest).split_at_mut(stride);
            rest = others;
            &mut array[part.clone()]
        })
    }

    /// That part of the last array.
    pub fn last(&mut self) -> &mut [f32] {
        let start = self.arrays.len().saturating_sub(self.stride);
        &mut self.arrays[start..][self.part.clone()]
    }
}

impl Optimizer {
    /// With its rule within another.
    pub(super) fn within<R: Rule>(self, around: impl FnOnce(Box<dyn Rule>) -> R) -> Optimizer {
        Optimizer::new(&around(self.rule))
    }
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

pub(crate) fn check_rate(rate: f32) -> Result<(), Error> {
    check_not_negative("learning rate", rate)
}

pub(super) fn check_not_negative(what: &'static str, number: f32) -> Result<(), Error> {
    match number {
        0.0..=f32::MAX => Ok(()),
        got => Err(Error::OutOfRange { what, expected: "a finite number of at least 0", got }),
    }
}

pub(super) fn check_epsilon(epsilon: f32) -> Result<(), Error> {
    check_positive("epsilon", epsilon)
}

pub(super) fn check_positive(what: &'static str, number: f32) -> Result<(), Error> {
    match number {
        f32::MIN_POSITIVE..=f32::MAX => Ok(()),
        got => Err(Error::OutOfRange { what, expected: "a finite number above 0", got }),
    }
}

/// Of something that decays.
pub(super) fn check_share(what: &'static str, share: f32) -> Result<(), Error> {
    match share {
        0.0..1.0 => Ok(()),
        got => Err(Error::OutOfRange { what, expected: "at least 0 and less than 1", got }),
    }
}

/// Checks that a rule does not ask for what the rule around it gives.
pub(super) fn check_once(rule: &dyn Rule, asks: Asks, what: &'static str) -> Result<(), Error> {
    if rule.asks(asks) { Err(Error::TooMany { what, max: 1, got: 2 }) } else { Ok(()) }
}
