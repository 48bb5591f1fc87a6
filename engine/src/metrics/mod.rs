//! What is counted beside the loss.

mod accuracy;
mod auc;
mod confusion;

pub use accuracy::{BinaryAccuracy, CategoricalAccuracy, TopKAccuracy};
pub use auc::Auc;
pub use confusion::{ConfusionMatrix, Precision, Recall};

use crate::error::Error;
use alloc::vec::Vec;
use bantam_kernels::Error as KernelError;

/// Loss and accuracy over some samples. Accuracy is `None` where the loss knows no right and wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss of a sample.
    pub loss: f32,
    /// The share of samples that are right.
    pub accuracy: Option<f32>,
}

/// The index of the largest number, the first of equal ones; `None` if there is no number, or one is NaN.
///
/// ```
/// use bantam::argmax;
/// assert_eq!(argmax(&[0.1, 0.7, 0.2]), Some(1));
/// assert_eq!(argmax(&[f32::NAN, 0.7, 0.2]), None);
/// ```
pub fn argmax(x: &[f32]) -> Option<usize> {
    let mut best = 0;
    for (i, value) in x.iter().enumerate() {
        if value.is_nan() {
            return None;
        }
        if *value > x[best] {
            best = i;
        }
    }
    if x.is_empty() { None } else { Some(best) }
}

/// Something that is measured over batches, as [`Trainer::evaluate_with`](crate::Trainer::evaluate_with) does. Nothing is
/// allocated in it. A program can have metrics of its own.
///
/// ```
/// use bantam::{CategoricalAccuracy, Metric, Predictions};
/// let mut accuracy = CategoricalAccuracy::new();
/// accuracy.update(&Predictions::new(3, &[0.1, 0.7, 0.2, 0.5, 0.3, 0.2], &[1.0, 2.0])?)?;
/// assert_eq!((accuracy.name(), accuracy.result()), ("categorical_accuracy", 0.5));
/// # Ok::<(), bantam::Error>(())
/// ```
pub trait Metric {
    /// Its name, as Keras has it.
    fn name(&self) -> &'static str;

    /// Forgets what was measured.
    fn reset(&mut self);

    /// Measures a batch.
    ///
    /// # Errors
    /// The outputs are none that it can measure.
    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error>;

    /// Of all batches since the last [`reset`](Metric::reset); 0 if there was none.
    fn result(&self) -> f32;

    /// Whether samples count what their weights are. See [`Weighted`].
    fn is_weighted(&self) -> bool {
        false
    }

    /// Name and result.
    fn measured(&self) -> Measured {
        Measured { name: self.name(), value: self.result() }
    }
}

/// A metric's name and result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// As Keras has it.
    pub name: &'static str,
    /// Of all samples.
    pub value: f32,
}

/// A metric in which samples count what their weights are, one of Keras's `weighted_metrics`.
#[derive(Clone, Debug)]
pub struct Weighted<M>(pub M);

impl<M: Metric> Metric for Weighted<M> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
        self.0.update(batch)
    }

    fn result(&self) -> f32 {
        self.0.result()
    }

    fn is_weighted(&self) -> bool {
        true
    }
}

/// The mean of several metrics, of those of each class, say. Of areas under curves it is Keras's `AUC(multi_label=True)`.
///
/// ```
/// use bantam::{Auc, MeanOf, Metric, Predictions};
/// let mut auc = MeanOf((0..2).map(|class| Auc::roc().class(class)).collect());
/// // Any number of classes is true of a sample.
/// let (outputs, targets) = ([0.9, 0.2, 0.1, 0.8, 0.8, 0.9], [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
/// auc.update(&Predictions::new(2, &outputs, &targets)?)?;
/// assert_eq!((auc.name(), auc.result()), ("auc", 1.0));
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MeanOf<M>(pub Vec<M>);

impl<M: Metric> Metric for MeanOf<M> {
    /// The first one's, `"mean"` if there is none.
    fn name(&self) -> &'static str {
        self.0.first().map_or("mean", M::name)
    }

    fn reset(&mut self) {
        self.0.iter_mut().for_each(M::reset);
    }

    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
        self.0.iter_mut().try_for_each(|metric| metric.update(batch))
    }

    fn result(&self) -> f32 {
        let sum: f64 = self.0.iter().map(|metric| f64::from(metric.result())).sum();
        share(sum, self.0.len() as f64) as f32
    }
}

/// Outputs of a batch as rows, and their targets.
#[derive(Clone, Copy)]
pub struct Predictions<'a> {
    columns: usize,
    outputs: &'a [f32],
    targets: &'a [f32],
    /// One for each sample, of so many rows; none if all count the same.
    weights: &'a [f32],
    rows_of_sample: usize,
    labels: bool,
}

/// A row of outputs: those of a sample or of a pixel.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// What the model gave: probabilities where the loss takes some or logits.
    pub outputs: &'a [f32],
    /// What it counts.
    pub weight: f32,
    /// Its class alone, or a number for each output.
    targets: &'a [f32],
    labels: bool,
}

impl<'a> Predictions<'a> {
    /// Rows of so many outputs each. Targets are one class for each row of several outputs, or one number for each output.
    ///
    /// # Errors
    /// The lengths do not fit, an output or a target is no number, or a class is none.
    pub fn new(columns: usize, outputs: &'a [f32], targets: &'a [f32]) -> Result<Predictions<'a>, Error> {
        let rows = outputs.len().checked_div(columns).unwrap_or(0);
        if rows == 0 || outputs.len() != rows * columns {
            let (what, got) = ("outputs", outputs.len());
            return Err(KernelError::Length { what, expected: rows.max(1) * columns, got }.into());
        }
        let labels = columns > 1 && targets.len() == rows;
        if !labels && targets.len() != outputs.len() {
            let (what, got) = ("targets", targets.len());
            return Err(KernelError::Length { what, expected: outputs.len(), got }.into());
        }
        let predictions = Predictions { columns, outputs, targets, weights: &[], rows_of_sample: 1, labels };
        if let Some(sample) =
            targets.iter().position(|&label| labels && !crate::loss::is_class(label, columns))
        {
            return Err(Error::Label { sample, label: targets[sample], classes: columns });
        }
        for (what, numbers, width) in
            [("output", outputs, columns), ("target", targets, targets.len() / rows)]
        {
            if let Some(at) = numbers.iter().position(|number| number.is_nan()) {
                return Err(Error::NotFinite {
                    what,
                    sample: at / width,
                    index: at % width,
                    got: numbers[at],
                });
            }
        }
        Ok(predictions)
    }

    /// With a weight for each sample, of as many rows as there are for each.
    ///
    /// # Errors
    /// The rows cannot be parted into so many samples, or a weight is below 0 or not finite.
    pub fn weighted(self, weights: &'a [f32]) -> Result<Predictions<'a>, Error> {
        let rows = self.outputs.len() / self.columns;
        if weights.is_empty() || !rows.is_multiple_of(weights.len()) {
            let (what, got) = ("weights of a batch", weights.len());
            return Err(KernelError::Length { what, expected: rows, got }.into());
        }
        crate::loss::check_weights(weights, weights.len())?;
        Ok(Predictions { weights, rows_of_sample: rows / weights.len(), ..self })
    }

    /// The same where all samples count the same.
    pub(crate) fn unweighted(self) -> Predictions<'a> {
        Predictions { weights: &[], ..self }
    }

    /// Of what a criterion has checked.
    pub(crate) fn checked(
        columns: usize,
        rows_of_sample: usize,
        labels: bool,
        [outputs, targets, weights]: [&'a [f32]; 3],
    ) -> Predictions<'a> {
        Predictions { columns, outputs, targets, weights, rows_of_sample, labels }
    }

    /// Outputs of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = Row<'a>> {
        let Predictions { outputs, targets, weights, rows_of_sample, labels, columns } = *self;
        let targets = targets.chunks_exact(if labels { 1 } else { columns });
        outputs.chunks_exact(columns).zip(targets).enumerate().map(move |(row, (outputs, targets))| {
            let weight = weights.get(row / rows_of_sample).copied().unwrap_or(1.0);
            Row { outputs, weight, targets, labels }
        })
    }
}

impl Row<'_> {
    /// What output `column` should have been.
    pub fn target(&self, column: usize) -> f32 {
        if self.labels { f32::from(self.targets[0] as usize == column) } else { self.targets[column] }
    }

    /// The class: that of the largest target, or where there is one, whether it is above 1/2.
    pub fn class(&self) -> Option<usize> {
        if self.labels { Some(self.targets[0] as usize) } else { class_of(self.targets) }
    }

    /// The class that the outputs say, likewise.
    pub fn predicted(&self) -> Option<usize> {
        class_of(self.outputs)
    }
}

fn class_of(row: &[f32]) -> Option<usize> {
    match *row {
        [one] => (!one.is_nan()).then_some(usize::from(one > 0.5)),
        _ => argmax(row),
    }
}

fn check_threshold(got: f32) -> Result<(), Error> {
    let (what, expected) = ("threshold of a metric", "a number");
    if got.is_nan() { Err(Error::OutOfRange { what, expected, got }) } else { Ok(()) }
}

/// A weighted mean.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    weights: f64,
}

impl Mean {
    fn add(&mut self, value: f64, weight: f32) {
        self.sum += value * f64::from(weight);
        self.weights += f64::from(weight);
    }

    fn result(&self) -> f32 {
        share(self.sum, self.weights) as f32
    }
}

/// `a / b`, and 0 where that is nothing.
fn share(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}
