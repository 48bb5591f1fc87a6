//! Penalties for large weights, by layer.

use crate::error::Error;
use crate::graph::Model;
use crate::layers::Role;
use crate::memory::heap;
use alloc::string::String;
use alloc::vec::Vec;
use bantam_kernels::{Isa, elementwise, reduce};
use core::fmt;

/// A penalty for large weights, Keras's `L1L2`: `Σ l1 |w| + l2 w²`. It is added to the loss, in training and in evaluation,
/// once for a batch, and is of layers that are trainable.
///
/// ```
/// use bantam::{L1L2, Loss, Sgd, Trainer};
/// let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy)
///     .regularizer("conv2d", "kernel", L1L2 { l2: 1e-4, ..L1L2::default() })
///     .regularizer("dense", "bias", L1L2 { l1: 1e-5, l2: 1e-5 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct L1L2 {
    /// What the sum of the weights' sizes counts.
    pub l1: f32,
    /// What the sum of their squares counts.
    pub l2: f32,
}

/// A penalty as a trainer is told it.
#[derive(Clone)]
pub(crate) struct Regularizer {
    layer: String,
    weights: String,
    how: L1L2,
    rule: &'static dyn Rule,
}

/// The penalty of a model's parameter.
#[derive(Clone, Copy)]
pub(crate) struct Penalty {
    pub parameter: usize,
    how: L1L2,
    rule: &'static dyn Rule,
}

/// How weights are penalised: a trait, so that a program that penalises none has no code of it.
trait Rule: Sync {
    /// The parameter of a model, if it learns.
    fn find(&self, regularizer: &Regularizer, model: &Model<'_>) -> Result<Option<usize>, Error>;

    fn value(&self, how: L1L2, isa: Isa, weights: &[f32]) -> f32;

    fn add_gradient(&self, how: L1L2, isa: Isa, weights: &[f32], gradient: &mut [f32]) -> Result<(), Error>;
}

struct SizesAndSquares;

impl Rule for SizesAndSquares {
    fn find(&self, regularizer: &Regularizer, model: &Model<'_>) -> Result<Option<usize>, Error> {
        let Regularizer { layer, weights, how, .. } = regularizer;
        for (what, got) in [("l1", how.l1), ("l2", how.l2)] {
            if !(0.0..=f32::MAX).contains(&got) {
                return Err(Error::OutOfRange { what, expected: "a finite number of at least 0", got });
            }
        }
        let node = model.node(layer)?;
        let at = node.parameters.clone().find(|&at| model.parameters()[at].name() == weights);
        let Some(parameter) = at else {
            return Err(Error::UnknownWeights {
                layer: layer.as_str().into(),
                name: weights.as_str().into(),
            });
        };
        let learns = model.roles()?[parameter] == Role::Learnt;
        Ok(learns.then_some(parameter))
    }

    fn value(&self, how: L1L2, isa: Isa, weights: &[f32]) -> f32 {
        reduce::penalty(isa, [how.l1, how.l2], weights)
    }

    fn add_gradient(&self, how: L1L2, isa: Isa, weights: &[f32], gradient: &mut [f32]) -> Result<(), Error> {
        Ok(elementwise::add_penalty_grad(isa, [how.l1, how.l2], weights, gradient)?)
    }
}

impl Regularizer {
    pub fn new(layer: &str, weights: &str, how: L1L2) -> Regularizer {
        Regularizer { layer: layer.into(), weights: weights.into(), how, rule: &SizesAndSquares }
    }
}

impl fmt::Debug for Regularizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Regularizer").field("layer", &self.layer).field("weights", &self.weights).finish()
    }
}

impl Penalty {
    pub fn value(&self, isa: Isa, weights: &[f32]) -> f32 {
        self.rule.value(self.how, isa, weights)
    }

    /// Adds its gradient to the loss's.
    pub fn add_gradient(&self, isa: Isa, weights: &[f32], gradient: &mut [f32]) -> Result<(), Error> {
        self.rule.add_gradient(self.how, isa, weights, gradient)
    }
}

/// The penalties of those weights of a model that learn. Of several for the same the last counts.
pub(crate) fn penalties(regularizers: &[Regularizer], model: &Model<'_>) -> Result<Vec<Penalty>, Error> {
    let mut list: Vec<Penalty> = heap::list(regularizers.len())?;
    for regularizer in regularizers {
        if let Some(parameter) = regularizer.rule.find(regularizer, model)? {
            list.retain(|penalty| penalty.parameter != parameter);
            list.push(Penalty { parameter, how: regularizer.how, rule: regularizer.rule });
        }
    }
    Ok(list)
}

/// The penalty for all of a model's weights.
pub(crate) fn penalty(penalties: &[Penalty], isa: Isa, model: &Model<'_>) -> f64 {
    let weights = |at: usize| model.parameters()[at].values();
    penalties.iter().map(|penalty| f64::from(penalty.value(isa, weights(penalty.parameter)))).sum()
}

/// The penalty of a parameter, if it has one.
pub(crate) fn penalty_of(penalties: &[Penalty], parameter: usize) -> Option<Penalty> {
    penalties.iter().find(|penalty| penalty.parameter == parameter).copied()
}
