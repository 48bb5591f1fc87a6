//! Options that several commands have.

use crate::Failure;
use bantam::{Adam, Error, Isa, Model, Optimizer, RmsProp, Sgd, Shape};
use clap::ValueEnum;
use mnist::nets;
use std::path::{Path, PathBuf};

/// An optimiser with Keras's defaults.
#[derive(Clone, Copy, ValueEnum)]
pub enum OptimizerChoice {
    Sgd,
    Rmsprop,
    Adam,
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

/// A net to train.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum NetChoice {
    /// Three convolutions and two dense layers
    Convnet,
    /// Residual blocks of depthwise convolutions, with batch normalisation
    Residual,
}

impl NetChoice {
    /// The net for pictures of that shape, with weights drawn from `seed`.
    ///
    /// # Errors
    /// The pictures are too small for it.
    pub fn build(self, input: Shape, seed: u64) -> Result<Model<'static>, Error> {
        match self {
            NetChoice::Convnet => nets::convnet(input.dims(), seed),
            NetChoice::Residual => nets::residual(input.dims(), seed),
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

/// That folder of IDX files, or the one that comes with the program.
pub fn data_folder(chosen: Option<&Path>) -> PathBuf {
    chosen.unwrap_or(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data"))).to_path_buf()
}
