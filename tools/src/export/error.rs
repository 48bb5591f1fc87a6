use crate::draw::count;
use crate::import::Unsupported;
use std::fmt;
use std::path::PathBuf;

/// Why a model does not become a file.
#[derive(Debug)]
pub struct ExportError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub cause: Cause,
}

/// Why a model does not become a file, without the file's name.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The file's name ends as that of no format does.
    Ending {
        /// How it ends.
        got: String,
    },
    /// An option is none that the format has.
    Option {
        /// Which.
        what: &'static str,
        /// What would be one.
        expected: String,
        /// What was told.
        got: String,
    },
    /// The format has no words for something.
    Unsupported(Vec<Unsupported>),
    /// The file cannot be written.
    File(bantam::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            // It names the file.
            Cause::File(problem) => problem.fmt(f),
            cause => write!(f, "{}: {cause}", self.path.display()),
        }
    }
}

impl std::error::Error for ExportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::File(problem) => Some(problem),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Ending { got } => {
                write!(f, "expected a name that ends in .onnx, .h5 or .safetensors, got \".{got}\"")
            }
            Cause::Option { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            Cause::Unsupported(parts) => {
                write!(f, "{} cannot be exported:", count(parts.len() as u64, "part"))?;
                parts.iter().try_for_each(|part| write!(f, "\n  {part}"))
            }
            Cause::File(problem) => problem.fmt(f),
        }
    }
}

impl From<bantam::Error> for Cause {
    fn from(error: bantam::Error) -> Cause {
        Cause::File(error)
    }
}
