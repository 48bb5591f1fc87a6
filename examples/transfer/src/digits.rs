//! Digits to make a base with, and other digits to move it to.

use bantam::{Augmented, Dataset, Samples};
use bantam_tools::Failure;
use mnist::data::{Part, Pictures};
use small_dataset::data::{DIGITS, Data, changes_of_digits, samples};
use std::ops::Range;
use std::path::Path;

/// What the base learns to tell apart.
const OF_BASE: Range<usize> = 0..5;

/// What it never saw, and is moved to.
const OTHERS: Range<usize> = 5..10;

/// Of each digit to validate with.
const VALIDATION: usize = 200;

/// Digits, in two sets that have no class in common.
pub struct Digits {
    /// What the base learns: many pictures of 0 to 4.
    pub base: Data,
    /// What it is moved to: few pictures of 5 to 9.
    pub others: Data,
}

impl Digits {
    /// So many pictures of each class of the two sets, drawn by `seed`. Both are validated with others of the 60,000
    /// pictures of MNIST to learn from, and measured on those of its test set.
    ///
    /// # Errors
    /// The files are missing or damaged, or have fewer digits.
    pub fn draw(of_base: usize, of_others: usize, seed: u64) -> Result<Digits, Failure> {
        let pictures = Pictures::load(Path::new(DIGITS), Part::Train)?;
        let all = pictures.len();
        let pictures = pictures.limited(all, seed);
        let test = Pictures::load(Path::new(DIGITS), Part::Test)?;
        let data = |classes: Range<usize>, each: usize| -> Result<Data, Failure> {
            let plain = drawn(&pictures, &classes, 0..each)?;
            let validation = drawn(&pictures, &classes, each..each + VALIDATION)?;
            let test = drawn(&test, &classes, 0..test.len())?;
            Ok(Data {
                augmented: Box::new(Augmented::new(plain.clone(), changes_of_digits())?),
                plain: Box::new(plain),
                validation: Box::new(validation),
                test: Box::new(test),
                classes: classes.map(|digit| digit.to_string()).collect(),
            })
        };
        Ok(Digits { base: data(OF_BASE, of_base)?, others: data(OTHERS, of_others)? })
    }
}

/// Of each class those pictures, in the order that they are in; fewer, if there are no more.
fn drawn(pictures: &Pictures, classes: &Range<usize>, which: Range<usize>) -> Result<Samples, bantam::Error> {
    let mut indices = Vec::new();
    for class in classes.clone() {
        let of_class = (0..pictures.len()).filter(|&index| pictures.label(index) == class);
        indices.extend(of_class.skip(which.start).take(which.len()));
    }
    samples(pictures, &indices, classes.start)
}
