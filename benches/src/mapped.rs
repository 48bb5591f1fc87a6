//! The border to mapped files.

use bantam_mapped::MappedFile;
use std::path::Path;

/// Maps a file of a bench.
pub fn map(file: &Path) -> Result<MappedFile, String> {
    // SAFETY: a bench's file, which nobody writes to while it runs.
    unsafe { MappedFile::open(file) }.map_err(|error| format!("{}: {error}", file.display()))
}
