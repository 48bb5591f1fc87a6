//! Options that several programs and commands have.

use crate::Failure;
use bantam::{Adam, Error, Isa, Loss, Model, Optimizer, RmsProp, Sgd};
use clap::ValueEnum;
use std::path::Path;

/// An optimiser with Keras's defaults.
#[derive(Clone, Copy, ValueEnum)]
pub enum OptimizerChoice {
    /// Stochastic gradient descent
    Sgd,
    /// RMSprop
    Rmsprop,
    /// Adam
    Adam,
}

impl OptimizerChoice {
    /// With that learning rate.
    pub fn with_rate(self, rate: f32) -> Optimizer {
        match self {
            OptimizerChoice::Sgd => Sgd { rate, ..Sgd::default() }.into(),
            OptimizerChoice::Rmsprop => RmsProp { rate, ..RmsProp::default() }.into(),
            OptimizerChoice::Adam => Adam { rate, ..Adam::default() }.into(),
        }
    }
}

impl From<OptimizerChoice> for Optimizer {
    fn from(choice: OptimizerChoice) -> Optimizer {
        match choice {
            OptimizerChoice::Sgd => Sgd::default().into(),
            OptimizerChoice::Rmsprop => RmsProp::default().into(),
            OptimizerChoice::Adam => Adam::default().into(),
        }
    }
}

/// The instruction set of that name.
///
/// # Errors
/// This CPU does not have it.
pub fn isa(name: &str) -> Result<Isa, String> {
    Isa::named(name).ok_or_else(|| {
        let known = Isa::available().map(Isa::name).collect::<Vec<_>>().join(", ");
        format!("expected one that this CPU has ({known}), got {name}")
    })
}

/// A number of bytes, such as `262144`, `256K` or `1M`.
///
/// # Errors
/// It is something else, or too many.
pub fn bytes(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k', 'M', 'm']) {
        Some(digits) if text.ends_with(['K', 'k']) => (digits, 1 << 10),
        Some(digits) => (digits, 1 << 20),
        None => (text, 1),
    };
    let number = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    number.filter(|&number| number > 0).ok_or_else(|| format!("expected bytes, such as 256K, got {text}"))
}

/// Rows and columns, such as `150x150`.
///
/// # Errors
/// It is something else, or one of them is 0.
pub fn size(text: &str) -> Result<[usize; 2], String> {
    let sizes =
        text.split_once('x').and_then(|(height, width)| Some([height.parse().ok()?, width.parse().ok()?]));
    sizes
        .filter(|sizes| !sizes.contains(&0))
        .ok_or_else(|| format!("expected rows and columns, such as 150x150, got {text}"))
}

/// Reads a model. What is wrong is said of that file.
///
/// # Errors
/// There is none, or it is damaged.
pub fn load(path: &Path) -> Result<Model<'static>, Failure> {
    Model::load(path).map_err(|error| match error {
        Error::File { .. } => error.into(),
        error => format!("{}: {error}", path.display()).into(),
    })
}

/// What a classifier learns by: the binary cross-entropy of a single output, that of the softmax of more.
pub fn loss_of(model: &Model<'_>) -> Loss {
    if model.output_shape().elements() == 1 { Loss::BinaryCrossEntropy } else { Loss::SoftmaxCrossEntropy }
}
