//! Pictures of one of ten classes, from IDX files.

use crate::idx::{self, FileError};
use bantam::{Dataset, Error, Shape};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::fmt;
use std::path::{Path, PathBuf};

/// Digits, or the ten kinds of clothes of Fashion-MNIST.
pub const CLASSES: usize = 10;

/// Which part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// To learn from.
    Train,
    /// To test with.
    Test,
}

/// Grey pictures and their classes.
#[derive(Debug)]
pub struct Pictures {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    shape: Shape,
}

/// Why pictures cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum DataError {
    /// A file cannot be read.
    File(FileError),
    /// There are not as many labels as pictures.
    Counts {
        /// The file of labels, without `.gz`.
        file: PathBuf,
        /// Pictures found.
        pictures: usize,
        /// Labels found.
        labels: usize,
    },
    /// A label is no class.
    Label {
        /// The file of labels, without `.gz`.
        file: PathBuf,
        /// Its position.
        index: usize,
        /// The label found.
        label: u8,
    },
    /// There are no pictures, or they have no pixels.
    Empty {
        /// The file of pictures, without `.gz`.
        file: PathBuf,
    },
}

impl Pictures {
    /// Reads `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or those that begin with
    /// `t10k`, from a folder; each may end in `.gz`.
    ///
    /// # Errors
    /// A file is missing or damaged, or the two do not fit each other.
    pub fn load(folder: &Path, part: Part) -> Result<Pictures, DataError> {
        let prefix = match part {
            Part::Train => "train",
            Part::Test => "t10k",
        };
        let (images_name, labels_name) =
            (format!("{prefix}-images-idx3-ubyte"), format!("{prefix}-labels-idx1-ubyte"));
        let pictures = idx::load(folder, &images_name, 3)?;
        let labels = idx::load(folder, &labels_name, 1)?.data;
        let empty = || DataError::Empty { file: folder.join(&images_name) };
        let [count, rows, columns] = pictures.dims[..] else { return Err(empty()) };
        if count != labels.len() {
            let file = folder.join(labels_name);
            return Err(DataError::Counts { file, pictures: count, labels: labels.len() });
        }
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
            return Err(DataError::Label { file: folder.join(labels_name), index, label: labels[index] });
        }
        let shape = Shape::new(&[rows, columns, 1]).map_err(|_| empty())?;
        if count == 0 {
            return Err(empty());
        }
        Ok(Pictures { pixels: pictures.data, labels, shape })
    }

    /// Only `limit` of the pictures, drawn from `seed`.
    pub fn limited(self, limit: usize, seed: u64) -> Pictures {
        let mut order: Vec<usize> = (0..self.len()).collect();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let limit = limit.min(order.len());
        for i in 0..limit {
            let rest = (order.len() - i) as u128;
            order.swap(i, i + ((u128::from(random.next_u64()) * rest) >> 64) as usize);
        }
        let chosen = &order[..limit];
        Pictures {
            pixels: chosen.iter().flat_map(|&i| self.pixels(i)).copied().collect(),
            labels: chosen.iter().map(|&i| self.labels[i]).collect(),
            shape: self.shape,
        }
    }

    /// The class of a picture.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index].into()
    }

    /// The pixels of a picture, row by row: 0 is dark.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let len = self.shape.elements();
        &self.pixels[index * len..][..len]
    }
}

impl Dataset for Pictures {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn target_len(&self) -> usize {
        1
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        for (x, &pixel) in input.iter_mut().zip(self.pixels(index)) {
            *x = f32::from(pixel) / 255.0;
        }
        target[0] = self.labels[index].into();
        Ok(())
    }
}

impl From<FileError> for DataError {
    fn from(error: FileError) -> DataError {
        DataError::File(error)
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataError::File(error) => error.fmt(f),
            DataError::Counts { file, pictures, labels } => {
                write!(f, "{}: expected {pictures}, one a picture, found {labels}", file.display())
            }
            DataError::Label { file, index, label } => {
                let (file, last) = (file.display(), CLASSES - 1);
                write!(f, "{file}: label {index}: expected 0 to {last}, found {label}")
            }
            DataError::Empty { file } => {
                write!(f, "{}: expected at least one picture with a pixel, found none", file.display())
            }
        }
    }
}

impl std::error::Error for DataError {}
