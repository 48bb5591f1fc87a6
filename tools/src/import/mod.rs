//! Models of other programs. [`import`] finds a file's format by its first bytes.
//!
//! | format | file | folder |
//! | --- | --- | --- |
//! | Keras | `.keras`, `.h5`, `.weights.h5` | [`keras`] |
//! | ONNX | `.onnx`, and weights beside it | [`onnx`] |
//! | PyTorch's weights | `.safetensors` | [`safetensors`] |
//! | TensorFlow Lite | `.tflite` | [`tflite`] |
//!
//! All have the same way to fail: what a model has and the engine has not is collected, and said at once.

mod blocks;
mod check;
mod constant;
mod error;
mod fold;
pub mod keras;
mod net;
pub mod onnx;
mod refused;
mod report;
mod resampling;
pub mod safetensors;
pub mod tflite;
mod weights;

pub use check::check;
pub use error::{Cause, ImportError, Unsupported, WeightProblem};
pub use report::{Difference, Port, Report, Transposes};
pub use weights::load_weights;

use bantam::Model;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A model that came in, and what was done to it.
#[derive(Debug)]
pub struct Import {
    /// The model, with its weights.
    pub model: Model<'static>,
    /// What was in the file, and what became of it.
    pub report: Report,
}

/// What a file does not say itself.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    pub(crate) input_size: Option<[usize; 2]>,
    dimensions: Vec<(String, usize)>,
}

impl ImportOptions {
    /// That the file says all.
    pub fn new() -> ImportOptions {
        ImportOptions::default()
    }

    /// Rows and columns of the images, where the file leaves them open.
    #[must_use]
    pub fn input_size(mut self, height: usize, width: usize) -> ImportOptions {
        self.input_size = Some([height, width]);
        self
    }

    /// The size of a dimension that has that name, which the file leaves open. One without a name is called by its input and its
    /// place, counted from 0: `"input.2"`. The first is the batch, which has no size.
    #[must_use]
    pub fn dimension(mut self, name: &str, size: usize) -> ImportOptions {
        self.dimensions.push((name.into(), size));
        self
    }

    /// The size of that dimension.
    pub(crate) fn dimension_of(&self, name: &str) -> Option<usize> {
        self.dimensions
            .iter()
            .find(|(known, _)| known == name)
            .map(|&(_, size)| size)
            .filter(|&size| size > 0)
    }

    /// Checks that the file leaves all dimensions open whose sizes are given: these are.
    pub(crate) fn check_dimensions(&self, open: Vec<String>) -> Result<(), Cause> {
        match self.dimensions.iter().find(|(name, _)| !open.contains(name)) {
            Some((name, _)) => Err(Cause::Dimension { name: name.clone(), open }),
            None => Ok(()),
        }
    }
}

/// A format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// An HDF5 file, as Keras 1 to 3 write it.
    KerasHdf5,
    /// The archive of Keras 3.
    KerasArchive,
    /// A message of ONNX, which begins with its version.
    Onnx,
    /// Weights alone, behind the length of a header of JSON.
    Safetensors,
    /// A FlatBuffer of TensorFlow Lite, as the bytes behind its first offset say.
    TfLite,
}

/// What may help where a file has weights and no model.
const WEIGHTS_ALONE: &str =
    "say the model that takes them: bantam import --into or --net, import::load_weights";

/// Bytes from the start of a file that tell its format.
const HEAD: usize = 16;

impl Format {
    /// The format of a file that begins with these bytes, 16 of them or all.
    ///
    /// # Errors
    /// None that is known begins so. What it seems to be is said.
    pub fn of(head: &[u8]) -> Result<Format, Cause> {
        let foreign = |found: &'static str, advice: &'static str| Err(Cause::Foreign { found, advice });
        match head {
            [0x89, b'H', b'D', b'F', ..] => Ok(Format::KerasHdf5),
            [b'P', b'K', 3, 4, ..] => Ok(Format::KerasArchive),
            [b'B', b'A', b'N', b'T', b'A', b'M', ..] => {
                foreign("a model of this library", "load it as it is")
            }
            [_, _, _, _, 0, 0, 0, 0, b'{', ..] => Ok(Format::Safetensors),
            [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Ok(Format::TfLite),
            [0x08, 1..=31, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..] => Ok(Format::Onnx),
            [0x80, 2..=5, ..] => foreign("a Python pickle", "save the weights as .safetensors"),
            [] => foreign("no bytes", "look whether the download is whole"),
            _ => foreign("other bytes", "expected is .keras, .h5, .onnx, .tflite or .safetensors"),
        }
    }
}

/// Reads a model from a file of another program.
///
/// # Errors
/// The file cannot be read, is of no format that is known, is damaged, or has what the engine has not: all of it is told. Or
/// the options give the size of a dimension that the file does not leave open.
pub fn import(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Import, ImportError> {
    let path = path.as_ref();
    let found = format_of(path).and_then(|format| match format {
        Format::KerasHdf5 | Format::KerasArchive => keras::import(path, options),
        Format::Onnx => onnx::import(path, options),
        Format::Safetensors => {
            Err(Cause::Foreign { found: "weights without a model (.safetensors)", advice: WEIGHTS_ALONE })
        }
        Format::TfLite => tflite::import(path, options),
    });
    found.map_err(|cause| cause.in_file(path))
}

/// The format of a file.
fn format_of(path: &Path) -> Result<Format, Cause> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Cause::Unreadable)?;
    file.take(HEAD as u64).read_to_end(&mut head).map_err(Cause::Unreadable)?;
    Format::of(&head)
}
