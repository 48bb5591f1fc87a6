//! Models and weights of Keras.

use super::{Cause, Import, ImportOptions};
use std::path::Path;

/// Reads a model.
pub(super) fn import(_path: &Path, _options: &ImportOptions) -> Result<Import, Cause> {
    Err(Cause::Unsupported(Vec::new()))
}
