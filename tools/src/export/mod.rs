//! Models for other programs. [`export`] tells the format by the file's ending.
//!
//! | ending | what is written | file or folder |
//! | --- | --- | --- |
//! | `.onnx` | ONNX, and `.onnx.data` beside it if it is large | `onnx` |
//! | `.h5` | weights, for `load_weights` of Keras 2 and 3 | `keras` |
//! | `.weights.h5` | weights, for `load_weights` of Keras 3 | `keras` |
//! | `.safetensors` | weights | `safetensors` |
//!
//! A file is written under another name beside the one that it replaces, and renamed when the disk has all of it. What a format
//! has no words for is collected, and said at once.

mod error;
mod hdf5;
mod keras;
mod onnx;
mod safetensors;
mod sink;

pub use error::{Cause, ExportError};

use bantam::Model;
use std::path::Path;

/// What a file is to say that the model does not.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    pub(crate) batch: Option<usize>,
    pub(crate) channels_first: bool,
    pub(crate) opset: Option<u32>,
}

impl ExportOptions {
    /// An open batch, inputs as the model has them, and the oldest operators that are widely known.
    pub fn new() -> ExportOptions {
        ExportOptions::default()
    }

    /// For batches of so many samples alone.
    #[must_use]
    pub fn batch(self, samples: usize) -> ExportOptions {
        ExportOptions { batch: Some(samples), ..self }
    }

    /// ONNX: with inputs of maps and series `[N, C, H, W]` and `[N, C, L]`, which the model has as `[N, H, W, C]` and `[N, L, C]`.
    #[must_use]
    pub fn channels_first(self) -> ExportOptions {
        ExportOptions { channels_first: true, ..self }
    }

    /// ONNX: the version of its operators, 13 to 28. Else it is 17, or the first that has all that the model needs.
    #[must_use]
    pub fn opset(self, version: u32) -> ExportOptions {
        ExportOptions { opset: Some(version), ..self }
    }
}

/// Writes a model to a file of another program.
///
/// ```
/// use bantam::Sequential;
/// use bantam_tools::export::{ExportOptions, export};
/// let model = Sequential::new([28, 28, 1]).conv2d(8, 3).relu().flatten().dense(10).softmax().build(1)?;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("digits.onnx");
/// export(&model, &path, &ExportOptions::new())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The file's ending is of no format that is known, the format cannot say something that the model has, of which all is told, or
/// the file cannot be written.
pub fn export(model: &Model<'_>, path: impl AsRef<Path>, options: &ExportOptions) -> Result<(), ExportError> {
    let path = path.as_ref();
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let written = match &ending[..] {
        "onnx" => onnx::export(model, path, options),
        "h5" => keras::write(model, path),
        "safetensors" => safetensors::write(model, path),
        _ => Err(Cause::Ending { got: ending }),
    };
    written.map_err(|cause| ExportError { path: path.to_path_buf(), cause })
}
