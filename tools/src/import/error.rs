use crate::draw::count;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file gives no model.
#[derive(Debug)]
pub struct ImportError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub cause: Cause,
}

/// Why a file gives no model, without the file's name.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The system refused to read it.
    Unreadable(io::Error),
    /// It begins as none does that can be read.
    Foreign {
        /// What it seems to be.
        found: &'static str,
        /// What may help.
        advice: &'static str,
    },
    /// Its bytes are not what the format has there.
    Damaged {
        /// Which part of the file.
        what: String,
        /// Where it begins, in bytes from the start, if that is known.
        offset: Option<u64>,
        /// What is wrong with it.
        problem: String,
    },
    /// It has what the engine has not.
    Unsupported(Vec<Unsupported>),
    /// It leaves no dimension of that name open, whose size [`ImportOptions::dimension`](super::ImportOptions::dimension) gives.
    Dimension {
        /// The name.
        name: String,
        /// Those that it leaves open, behind the batch.
        open: Vec<String>,
    },
    /// Its weights are not those of the model that takes them.
    Weights(Vec<WeightProblem>),
    /// The model that it describes cannot be.
    Model(bantam::Error),
}

/// A part of a model that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The layer's or the operator's name.
    pub name: String,
    /// What it has that the engine has not.
    pub what: String,
    /// What may help.
    pub advice: String,
}

/// What is wrong with the weights of a file for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightProblem {
    /// The file has none for this array, or for this layer, of the model.
    Missing {
        /// The layer and the array: `conv2d/kernel`. The layer alone if none was found.
        name: String,
    },
    /// The file has none of the names that an array may have.
    Sought {
        /// The layer and the array: `conv2d/kernel`.
        name: String,
        /// The names.
        sought: Vec<String>,
        /// The most similar of the file's that no array has.
        nearest: Option<String>,
    },
    /// No array of the model fits this key of the map.
    Key {
        /// The key.
        key: String,
    },
    /// The model has none for this array of the file.
    Extra {
        /// Its name in the file.
        name: String,
    },
    /// They have other sizes.
    Shape {
        /// The layer and the array: `conv2d/kernel`.
        name: String,
        /// The model's.
        expected: Vec<usize>,
        /// The file's.
        got: Vec<usize>,
    },
    /// A layer has others.
    Arrays {
        /// The layer.
        name: String,
        /// The model's.
        expected: String,
        /// The file's.
        got: String,
    },
    /// Their dimensions are in Theano's order.
    Theano {
        /// The layer and the array: `conv2d/kernel`.
        name: String,
    },
    /// They are of a kind that cannot be read.
    Kind {
        /// The layer and the array: `conv2d/kernel`.
        name: String,
        /// What they are.
        got: String,
    },
}

impl Cause {
    /// Of that file.
    pub(crate) fn in_file(self, path: &Path) -> ImportError {
        ImportError { path: path.to_path_buf(), cause: self }
    }

    /// Damage in that part of a file.
    pub(crate) fn damaged(what: impl Into<String>, problem: impl fmt::Display) -> Cause {
        Cause::Damaged { what: what.into(), offset: None, problem: problem.to_string() }
    }
}

impl From<bantam::Error> for Cause {
    fn from(error: bantam::Error) -> Cause {
        Cause::Model(error)
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause)
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Unreadable(problem) => Some(problem),
            Cause::Model(problem) => Some(problem),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Unreadable(problem) => problem.fmt(f),
            Cause::Foreign { found, advice } => {
                write!(f, "expected a model of a format that can be read, found {found}: {advice}")
            }
            Cause::Damaged { what, offset: Some(offset), problem } => {
                write!(f, "{what}, at byte {offset}: {problem}")
            }
            Cause::Damaged { what, offset: None, problem } => write!(f, "{what}: {problem}"),
            Cause::Unsupported(parts) => {
                write!(f, "{} cannot be imported:", count(parts.len() as u64, "part"))?;
                parts.iter().try_for_each(|part| write!(f, "\n  {part}"))
            }
            Cause::Dimension { name, open } if open.is_empty() => {
                write!(
                    f,
                    "dimension: expected none, as all sizes but the batch's are in the file, got \"{name}\""
                )
            }
            Cause::Dimension { name, open } => {
                let open = open.join("\", \"");
                write!(f, "dimension: expected one that the file leaves open, \"{open}\", got \"{name}\"")
            }
            Cause::Weights(problems) => {
                f.write_str("the weights are not those of the model:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            Cause::Model(problem) => problem.fmt(f),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unsupported { name, what, advice } = self;
        write!(f, "\"{name}\": {what}")?;
        if advice.is_empty() { Ok(()) } else { write!(f, "; {advice}") }
    }
}

impl fmt::Display for WeightProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WeightProblem::Missing { name } => write!(f, "{name}: the file has none"),
            WeightProblem::Sought { name, sought, nearest } => {
                write!(f, "{name}: the file has no {}", sought.join(" and no "))?;
                nearest.iter().try_for_each(|nearest| write!(f, "; the nearest is {nearest}"))
            }
            WeightProblem::Key { key } => {
                write!(f, "\"{key}\" of the map: expected a layer or an array of the model, found none")
            }
            WeightProblem::Extra { name } => write!(f, "{name}: the file has it, the model has not"),
            WeightProblem::Shape { name, expected, got } => {
                write!(f, "{name}: expected {expected:?}, got {got:?}")
            }
            WeightProblem::Arrays { name, expected, got } => {
                write!(f, "{name}: expected {expected}, got {got}")
            }
            WeightProblem::Theano { name } => {
                write!(f, "{name}: a kernel in Theano's order; take the file for TensorFlow, tf_dim_ordering")
            }
            WeightProblem::Kind { name, got } => {
                write!(f, "{name}: expected floating-point numbers, got {got}")
            }
        }
    }
}
