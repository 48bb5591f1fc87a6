//! What training makes small: losses, as Keras has them, and penalties.

mod criterion;
mod kind;
mod regularizer;

pub(crate) use criterion::{Criterion, Examples, check_weights, fill_one_hot, is_class, is_probability};
pub(crate) use regularizer::{Penalty, Regularizer, penalties, penalty, penalty_of};

pub use regularizer::L1L2;

use crate::error::Error;
use crate::graph::Model;
use crate::layers::{Layer, Sigmoid, Softmax};
use core::fmt;
use kind::{Kind, Link};

/// What training makes small. It is data: a kind of loss, of which a program has the code that names it, and its numbers.
///
/// The loss of a batch is the mean over its samples and, of outputs `[H, W, C]`, over their pixels; of the losses that
/// measure each output by itself also over the outputs. Where samples or classes have weights, it is the sum of the
/// weighted losses by the same number, as Keras has it: not by the sum of the weights.
///
/// **Classes.** The targets of [`SoftmaxCrossEntropy`](Loss::SoftmaxCrossEntropy),
/// [`categorical_focal`](Loss::categorical_focal), [`CategoricalHinge`](Loss::CategoricalHinge) and
/// [`KullbackLeibler`](Loss::KullbackLeibler) are either the class, a whole number (of each pixel), which Keras calls
/// sparse, or as many probabilities as there are outputs. The targets of [`BinaryCrossEntropy`](Loss::BinaryCrossEntropy)
/// and [`binary_focal`](Loss::binary_focal) lie from 0 to 1, one for each output.
///
/// **Logits.** The cross-entropies and focal losses are computed from logits, in a form that loses no digits. A last layer
/// that is the softmax, or sigmoid, of the loss is left out for that, in training and in evaluation. So there is nothing to
/// say, and nothing to say wrongly, of a model that ends in that layer, or in none. Where a model gives probabilities in
/// another way, [`of_probabilities`](Loss::of_probabilities) says so.
///
/// ```
/// use bantam::{Loss, Sequential, Sgd, Trainer, TrainingSession};
/// let model = Sequential::new([2]).dense(3).softmax().build(1)?;
/// let loss = Loss::SoftmaxCrossEntropy.label_smoothing(0.1);
/// let trainer = Trainer::new(Sgd::default(), loss).batch_size(1);
/// let labelled = TrainingSession::new(&trainer, &model)?.step(&[1.0, 2.0], &[2.0])?;
/// let one_hot = TrainingSession::new(&trainer, &model)?.step(&[1.0, 2.0], &[0.0, 0.0, 1.0])?;
/// assert_eq!(labelled, one_hot);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Loss {
    kind: &'static dyn Kind,
    how: How,
}

/// What there is to say of a loss.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub from_logits: bool,
    pub smoothing: f32,
    /// Those that the kind takes.
    pub numbers: [f32; 2],
}

#[allow(non_upper_case_globals, reason = "losses that have no numbers read like variants")]
impl Loss {
    /// Cross-entropy of the softmax of the model's output over its last dimension; Keras's `CategoricalCrossentropy` and
    /// `SparseCategoricalCrossentropy`.
    pub const SoftmaxCrossEntropy: Loss = Loss::of(&kind::CROSS_ENTROPY, [0.0; 2]);
    /// Cross-entropy of the sigmoid of each output; Keras's `BinaryCrossentropy`.
    pub const BinaryCrossEntropy: Loss = Loss::of(&kind::BINARY_CROSS_ENTROPY, [0.0; 2]);
    /// The squared differences from the targets.
    pub const MeanSquaredError: Loss = Loss::of(&kind::MEAN_SQUARED_ERROR, [0.0; 2]);
    /// The differences from the targets, whatever their signs.
    pub const MeanAbsoluteError: Loss = Loss::of(&kind::MEAN_ABSOLUTE_ERROR, [0.0; 2]);
    /// `ln cosh(output - target)`: half the squares of small differences, and no more than large ones themselves.
    pub const LogCosh: Loss = Loss::of(&kind::LOG_COSH, [0.0; 2]);
    /// `output - target ln(output)`, for counts; outputs are above 0.
    pub const Poisson: Loss = Loss::of(&kind::POISSON, [0.0; 2]);
    /// `max(1 - target output, 0)`. Targets are -1 and 1, or 0 and 1, where 0 is -1.
    pub const Hinge: Loss = Loss::of(&kind::HINGE, [0.0; 2]);
    /// The square of [`Hinge`](Loss::Hinge).
    pub const SquaredHinge: Loss = Loss::of(&kind::SQUARED_HINGE, [0.0; 2]);
    /// `max(0, 1 + the largest output of a wrong class - that of the class)`.
    pub const CategoricalHinge: Loss = Loss::of(&kind::CATEGORICAL_HINGE, [0.0; 2]);
    /// `Σ target ln(target / output)` over the classes, with both from 1e-7 to 1; outputs are probabilities.
    pub const KullbackLeibler: Loss = Loss::of(&kind::KULLBACK_LEIBLER, [0.0; 2]);

    const fn of(kind: &'static dyn Kind, numbers: [f32; 2]) -> Loss {
        Loss { kind, how: How { from_logits: true, smoothing: 0.0, numbers } }
    }

    /// Half the squares of differences up to `delta`, which is 1 in Keras, and straight lines from there on.
    pub const fn huber(delta: f32) -> Loss {
        Loss::of(&kind::HUBER, [delta, 0.0])
    }

    /// `-Σ alpha (1 - p)^gamma target ln p` over the classes; Keras's numbers are 0.25 and 2 (Lin et al., ICCV 2017).
    ///
    /// Behind a softmax it is computed from the logits. There Keras keeps probabilities 1e-7 from 0 and 1, where the
    /// gradient then vanishes; here it does not.
    pub const fn categorical_focal(alpha: f32, gamma: f32) -> Loss {
        Loss::of(&kind::CATEGORICAL_FOCAL, [gamma, alpha])
    }

    /// Binary cross-entropy times `(1 - p)^gamma`, with `p` the probability of the right answer; with an `alpha`, targets
    /// of 1 count `alpha` and those of 0 `1 - alpha`, Keras's `apply_class_balancing`. Keras's numbers are 0.25 and 2.
    pub const fn binary_focal(alpha: Option<f32>, gamma: f32) -> Loss {
        match alpha {
            Some(alpha) => Loss::of(&kind::BALANCED_BINARY_FOCAL, [gamma, alpha]),
            None => Loss::of(&kind::BINARY_FOCAL, [gamma, 0.0]),
        }
    }

    /// Moves targets towards ignorance: `target (1 - share) + share / classes`, and towards 1/2 where each output is by
    /// itself.
    pub const fn label_smoothing(mut self, share: f32) -> Loss {
        self.how.smoothing = share;
        self
    }

    /// Of a model whose outputs are probabilities, but whose last layer is not the softmax or sigmoid that gives them;
    /// Keras's `from_logits=False`. They are divided by their sum where there are classes, and kept 1e-7 from 0 and 1.
    /// Outputs that are no probabilities are an error. Other losses take outputs as they are.
    pub const fn of_probabilities(mut self) -> Loss {
        self.how.from_logits = false;
        self
    }

    /// Its name, as Keras's class has it.
    pub fn name(&self) -> &'static str {
        self.kind.about().name
    }

    /// Checks that its numbers are in their ranges.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (about, how) = (self.kind.about(), &self.how);
        let (what, got) = ("label smoothing", how.smoothing);
        match (about.link, got) {
            (_, 0.0) | (Some(_), 0.0..=1.0) => (about.check)(how),
            (Some(_), _) => Err(Error::OutOfRange { what, expected: "from 0 to 1", got }),
            (None, _) => Err(Error::OutOfRange { what, expected: "0 with this loss", got }),
        }
    }

    /// The value of a model that it is measured on, and the loss as it is measured there: a softmax or sigmoid at the end
    /// is in the loss.
    pub(crate) fn output(self, model: &Model<'_>) -> Result<(usize, Loss), Error> {
        let output = model.only_output()?;
        let node = output.checked_sub(model.input_shapes().len()).map(|node| &model.nodes()[node]);
        let last = match self.kind.about().link {
            Some(Link::Softmax) => Softmax::NAME,
            Some(Link::Sigmoid) => <Sigmoid as Layer>::NAME,
            None => "",
        };
        Ok(match node {
            Some(node) if node.layer_type().name() == last => {
                let how = How { from_logits: true, ..self.how };
                (model.inputs_of(node)[0], Loss { how, ..self })
            }
            _ => (output, self),
        })
    }
}

impl PartialEq for Loss {
    fn eq(&self, other: &Loss) -> bool {
        let bits = |loss: &Loss| {
            let How { from_logits, smoothing, numbers: [a, b] } = loss.how;
            (loss.name(), from_logits, [smoothing, a, b].map(f32::to_bits))
        };
        bits(self) == bits(other)
    }
}

impl Eq for Loss {}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
