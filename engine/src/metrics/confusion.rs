use super::{Metric, Predictions, check_threshold, share};
use crate::error::Error;
use crate::memory::heap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

/// The share of outputs above a threshold that should be: of what is said to be there, what is.
#[derive(Clone, Debug)]
pub struct Precision {
    sides: Sides,
}

/// The share of outputs that should be above a threshold and are: of what is there, what is said to be.
#[derive(Clone, Debug)]
pub struct Recall {
    sides: Sides,
}

/// How many outputs are on which side of a threshold, and how many should be.
#[derive(Clone, Debug)]
struct Sides {
    threshold: f32,
    class: Option<usize>,
    true_positives: f64,
    false_positives: f64,
    false_negatives: f64,
}

impl Sides {
    const NONE: Sides = Sides {
        threshold: 0.5,
        class: None,
        true_positives: 0.0,
        false_positives: 0.0,
        false_negatives: 0.0,
    };

    fn reset(&mut self) {
        *self = Sides { threshold: self.threshold, class: self.class, ..Sides::NONE };
    }

    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
        check_threshold(self.threshold)?;
        let columns = columns_of(self.class, batch)?;
        for row in batch.rows() {
            for column in columns.clone() {
                let count = match (row.outputs[column] > self.threshold, row.target(column) != 0.0) {
                    (true, true) => &mut self.true_positives,
                    (true, false) => &mut self.false_positives,
                    (false, true) => &mut self.false_negatives,
                    (false, false) => continue,
                };
                *count += f64::from(row.weight);
            }
        }
        Ok(())
    }
}

/// The columns of one class, or all.
pub(super) fn columns_of(
    class: Option<usize>,
    batch: &Predictions<'_>,
) -> Result<core::ops::Range<usize>, Error> {
    let columns = batch.columns();
    match class {
        Some(class) if class < columns => Ok(class..class + 1),
        Some(got) => {
            let max = columns - 1;
            Err(bantam_kernels::Error::OutOfRange { what: "class of a metric", max, got }.into())
        }
        None => Ok(0..columns),
    }
}

macro_rules! sides {
    ($metric:ident, $name:literal, $other:ident) => {
        impl $metric {
            /// Of all outputs, with a threshold of 1/2.
            pub fn new() -> $metric {
                $metric { sides: Sides::NONE }
            }

            /// With another threshold.
            pub fn threshold(mut self, threshold: f32) -> $metric {
                self.sides.threshold = threshold;
                self
            }

            /// Of the outputs of one class.
            pub fn class(mut self, class: usize) -> $metric {
                self.sides.class = Some(class);
                self
            }
        }

        impl Default for $metric {
            fn default() -> $metric {
                $metric::new()
            }
        }

        impl Metric for $metric {
            fn name(&self) -> &'static str {
                $name
            }

            fn reset(&mut self) {
                self.sides.reset();
            }

            fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
                self.sides.update(batch)
            }

            fn result(&self) -> f32 {
                let Sides { true_positives, $other, .. } = self.sides;
                share(true_positives, true_positives + $other) as f32
            }
        }
    };
}

sides!(Precision, "precision", false_positives);
sides!(Recall, "recall", false_negatives);

/// How often each class was taken for each: `[classes, classes]`, a row for each class that was right, a column for each
/// that was said. Its result as a metric is the share on the diagonal.
///
/// ```
/// use bantam::{ConfusionMatrix, Metric, Predictions};
/// let mut matrix = ConfusionMatrix::new(2)?;
/// matrix.update(&Predictions::new(2, &[0.9, 0.1, 0.8, 0.2, 0.3, 0.7], &[0.0, 1.0, 1.0])?)?;
/// assert_eq!(matrix.count(1, 0), 1.0);
/// assert_eq!(matrix.to_string(), "  0 1\n0 1 0\n1 1 1\n");
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<f64>,
}

impl ConfusionMatrix {
    /// Of so many classes; two, if there is one output, which says the second where it is above 1/2.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(classes: usize) -> Result<ConfusionMatrix, Error> {
        Ok(ConfusionMatrix { classes, counts: heap::filled(classes.saturating_mul(classes), 0.0)? })
    }

    /// How many there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often a class was taken for `predicted`; 0 for classes that there are not.
    pub fn count(&self, class: usize, predicted: usize) -> f64 {
        let within = class < self.classes && predicted < self.classes;
        if within { self.counts[class * self.classes + predicted] } else { 0.0 }
    }

    /// All counts, row by row.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }
}

impl Metric for ConfusionMatrix {
    fn name(&self) -> &'static str {
        "confusion_matrix"
    }

    fn reset(&mut self) {
        self.counts.fill(0.0);
    }

    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
        let (expected, classes) = (self.classes, batch.columns().max(2));
        if classes != expected {
            let what = "classes of the confusion matrix";
            return Err(bantam_kernels::Error::Length { what, expected, got: classes }.into());
        }
        for row in batch.rows() {
            if let (Some(class), Some(predicted)) = (row.class(), row.predicted()) {
                self.counts[class * classes + predicted] += f64::from(row.weight);
            }
        }
        Ok(())
    }

    fn result(&self) -> f32 {
        let right: f64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        share(right, self.counts.iter().sum()) as f32
    }
}

/// The matrix with its classes' numbers.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.classes.saturating_sub(1).to_string().len();
        let width = self.counts.iter().map(|count| count.to_string().len()).max().unwrap_or(0).max(last);
        write!(f, "{:last$}", "")?;
        (0..self.classes).try_for_each(|class| write!(f, " {class:width$}"))?;
        writeln!(f)?;
        for (class, row) in self.counts.chunks(self.classes.max(1)).enumerate() {
            write!(f, "{class:last$}")?;
            row.iter().try_for_each(|count| write!(f, " {count:width$}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}
