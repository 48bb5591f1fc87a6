//! What is learnt from, and what is measured on.

use bantam::{Augmentation, Augmented, Dataset, Error, Fill, Samples, Tensor};
use bantam_tools::Failure;
use bantam_tools::images::{ImageFolder, ImageLoader};
use mnist::data::{self, Pictures};
use std::path::Path;

/// The digits that come with the example `mnist`.
pub const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mnist/data");

/// Digits to validate with.
const VALIDATION: usize = 1000;

/// Pictures in three parts: no picture is in two of them.
pub struct Data {
    /// To learn from, as they are.
    pub plain: Box<dyn Dataset>,
    /// The same pictures, other ones in every epoch.
    pub augmented: Box<dyn Dataset>,
    /// To see how training goes.
    pub validation: Box<dyn Dataset>,
    /// Held out: measured on once, at the end, and never chosen by.
    pub test: Box<dyn Dataset>,
    /// The names of the classes.
    pub classes: Vec<String>,
}

impl Data {
    /// So many digits, drawn by `seed` from the 60,000 of MNIST to learn from, others of these to validate with, and its test
    /// set.
    ///
    /// # Errors
    /// The files are missing or damaged, or have fewer digits.
    pub fn digits(count: usize, seed: u64) -> Result<Data, Failure> {
        let drawn = Pictures::load(Path::new(DIGITS), data::Part::Train)?.limited(count + VALIDATION, seed);
        if drawn.len() < count + VALIDATION {
            let most = drawn.len() - VALIDATION;
            return Err(format!("pictures: expected at most {most}, which leaves some, got {count}").into());
        }
        let order: Vec<usize> = (0..drawn.len()).collect();
        let (learnt, validated) = order.split_at(count);
        let plain = samples(&drawn, learnt, 0)?;
        Ok(Data {
            augmented: Box::new(Augmented::new(plain.clone(), changes_of_digits())?),
            plain: Box::new(plain),
            validation: Box::new(samples(&drawn, validated, 0)?),
            test: Box::new(Pictures::load(Path::new(DIGITS), data::Part::Test)?),
            classes: (0..data::CLASSES).map(|digit| digit.to_string()).collect(),
        })
    }

    /// The images of the folders `train`, `validation` and `test`, with a folder for each class in each, as `loader` reads them.
    ///
    /// # Errors
    /// A folder is missing, or has other classes.
    pub fn folder(folder: &Path, loader: &ImageLoader) -> Result<Data, Failure> {
        let part = |name: &str| ImageFolder::new(folder.join(name)).loader(loader.clone());
        let changes = Augmentation::image_data_generator()
            .rotation(40.0)
            .width_shift(0.2)
            .height_shift(0.2)
            .shear(0.2)
            .zoom(0.2)
            .horizontal_flip();
        let plain = part("train").open()?;
        let classes = plain.class_names().to_vec();
        let held_out = |name: &str| {
            let set = part(name).open()?;
            if set.class_names() != classes {
                let (path, expected) = (folder.join(name), classes.join(", "));
                let (path, got) = (path.display(), set.class_names().join(", "));
                return Err(Failure::from(format!("{path}: expected the classes {expected}, got {got}")));
            }
            Ok(Box::new(set))
        };
        Ok(Data {
            validation: held_out("validation")?,
            test: held_out("test")?,
            plain: Box::new(plain),
            augmented: Box::new(part("train").augment(changes).open()?),
            classes,
        })
    }
}

/// How digits are changed at random. A mirrored one is none, and beyond the edges there is paper.
pub fn changes_of_digits() -> Augmentation {
    Augmentation::image_data_generator()
        .rotation(15.0)
        .width_shift(0.1)
        .height_shift(0.1)
        .shear(10.0)
        .zoom(0.15)
        .fill(Fill::Constant(0.0))
}

/// Those of the pictures, in memory. Labels are counted from the class `first`.
///
/// # Errors
/// There are none, or there is no memory.
pub fn samples(pictures: &Pictures, indices: &[usize], first: usize) -> Result<Samples, Error> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for &index in indices {
        pixels.extend(pictures.pixels(index).iter().map(|&level| f32::from(level) / 255.0));
        labels.push((pictures.label(index) - first) as f32);
    }
    let (count, shape) = (indices.len(), pictures.input_shape());
    Samples::new(Tensor::new(shape.with_batch(count)?.dims(), pixels)?, Tensor::new(&[count, 1], labels)?)
}
