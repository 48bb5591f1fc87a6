use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a file gives no image.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImageError {
    /// The system refused to read it.
    Unreadable(io::Error),
    /// It begins as no image does: neither JPEG, PNG, BMP, GIF nor WebP.
    Foreign,
    /// Its header says that it has no pixels, or more than are allowed. Nothing was decoded.
    Size {
        /// Pixels of a row.
        width: u32,
        /// Rows.
        height: u32,
        /// The most pixels that are allowed.
        max: u64,
    },
    /// It is grey where all images are to have three channels of their own.
    Grey,
    /// It ends before the image does.
    CutShort,
    /// Its bytes make no image.
    Damaged(String),
    /// It cannot be changed as it is to be.
    Augmentation(bantam::Error),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Unreadable(problem) => problem.fmt(f),
            ImageError::Foreign => f.write_str("expected a JPEG, PNG, BMP, GIF or WebP, found another file"),
            ImageError::Size { width, height, max } => {
                write!(f, "expected 1 to {max} pixels, its header says {width}×{height}")
            }
            ImageError::Grey => f.write_str("expected colours, found grey"),
            ImageError::CutShort => f.write_str("it ends before the image does"),
            ImageError::Damaged(problem) => f.write_str(problem),
            ImageError::Augmentation(problem) => problem.fmt(f),
        }
    }
}

impl std::error::Error for ImageError {}

/// Why a folder cannot be opened as a data set.
#[derive(Debug)]
#[non_exhaustive]
pub enum FolderError {
    /// The system refused to read a folder.
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        problem: io::Error,
    },
    /// There are too few folders of classes.
    Classes {
        /// The folder that they are expected in.
        path: PathBuf,
        /// Those that there are.
        found: Vec<String>,
    },
    /// The folders are parts of a data set, not classes.
    Parts {
        /// The folder that classes are expected in.
        path: PathBuf,
        /// The parts.
        found: Vec<String>,
    },
    /// A class is one of two where there are more, or fewer.
    NotBinary {
        /// The classes.
        found: Vec<String>,
    },
    /// The name of a class's folder is no Unicode text.
    Name {
        /// The folder.
        path: PathBuf,
    },
    /// A class has no images.
    EmptyClass {
        /// Its folder.
        path: PathBuf,
    },
    /// A class has too few images to be split.
    Split {
        /// The class.
        class: String,
        /// Its images.
        images: usize,
        /// The share of the second part.
        share: f64,
    },
    /// A number lies outside its range.
    OutOfRange {
        /// Which one.
        what: &'static str,
        /// What it should have been.
        expected: &'static str,
        /// What it is.
        got: f64,
    },
    /// Images of that size cannot be.
    Shape(bantam::Error),
    /// Images cannot be changed that way.
    Augmentation(bantam::Error),
    /// An augmentation crops, so that the images of an epoch would be others than those of an evaluation.
    Crop,
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FolderError::Unreadable { path, problem } => write!(f, "{}: {problem}", path.display()),
            FolderError::Classes { path, found } => {
                write!(f, "{}: expected a folder for each of two classes or more, found ", path.display())?;
                match &found[..] {
                    [] => f.write_str("none"),
                    names => write!(f, "only \"{}\"", names.join("\", \"")),
                }
            }
            FolderError::Parts { path, found } => {
                let (path, found) = (path.display(), found.join(", "));
                write!(
                    f,
                    "{path}: expected a folder for each class, found parts of a data set, {found}: name one of them"
                )
            }
            FolderError::NotBinary { found } => {
                write!(f, "classes: expected two, found {}: {}", found.len(), found.join(", "))
            }
            FolderError::Name { path } => {
                write!(f, "{}: expected a name in Unicode, found another", path.display())
            }
            FolderError::EmptyClass { path } => {
                write!(f, "{}: expected images of that class, found none", path.display())
            }
            FolderError::Split { class, images, share } => write!(
                f,
                "class \"{class}\": expected images for both parts, found {images}, of which {share} would leave one empty"
            ),
            FolderError::OutOfRange { what, expected, got } => {
                write!(f, "{what}: expected {expected}, got {got}")
            }
            FolderError::Shape(problem) | FolderError::Augmentation(problem) => problem.fmt(f),
            FolderError::Crop => {
                f.write_str("augmentation: expected one that leaves the size of images, it crops")
            }
        }
    }
}

impl std::error::Error for FolderError {}
