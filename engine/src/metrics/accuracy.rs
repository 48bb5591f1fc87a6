use super::{Mean, Metric, Predictions, check_threshold};
use crate::error::Error;

/// The share of outputs that are on their target's side of a threshold.
#[derive(Clone, Debug)]
pub struct BinaryAccuracy {
    threshold: f32,
    mean: Mean,
}

/// The share of rows whose largest output is that of the class; Keras's `CategoricalAccuracy`, and of labels its
/// `SparseCategoricalAccuracy`.
#[derive(Clone, Debug, Default)]
pub struct CategoricalAccuracy {
    mean: Mean,
}

/// The share of rows in which fewer than `k` outputs are larger than that of the class; of labels Keras's
/// `SparseTopKCategoricalAccuracy`.
#[derive(Clone, Debug)]
pub struct TopKAccuracy {
    k: usize,
    mean: Mean,
}

impl BinaryAccuracy {
    /// With a threshold of 1/2.
    pub fn new() -> BinaryAccuracy {
        BinaryAccuracy { threshold: 0.5, mean: Mean::default() }
    }

    /// With another: outputs above it mean 1.
    pub fn threshold(self, threshold: f32) -> BinaryAccuracy {
        BinaryAccuracy { threshold, ..self }
    }
}

impl Default for BinaryAccuracy {
    fn default() -> BinaryAccuracy {
        BinaryAccuracy::new()
    }
}

impl Metric for BinaryAccuracy {
    fn name(&self) -> &'static str {
        "binary_accuracy"
    }

    fn reset(&mut self) {
        self.mean = Mean::default();
    }

    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
        check_threshold(self.threshold)?;
        for row in batch.rows() {
            for (column, &output) in row.outputs.iter().enumerate() {
                let said = f32::from(output > self.threshold);
                self.mean.add(f64::from(said == row.target(column)), row.weight);
            }
        }
        Ok(())
    }

    fn result(&self) -> f32 {
        self.mean.result()
    }
}

impl CategoricalAccuracy {
    /// Of any number of classes.
    pub fn new() -> CategoricalAccuracy {
        CategoricalAccuracy::default()
    }
}

impl Metric for CategoricalAccuracy {
    fn name(&self) -> &'static str {
        "categorical_accuracy"
    }

    fn reset(&mut self) {
        self.mean = Mean::default();
    }

    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
        for row in batch.rows() {
            let right = row.predicted().is_some_and(|said| Some(said) == row.class());
            self.mean.add(f64::from(right), row.weight);
        }
        Ok(())
    }

    fn result(&self) -> f32 {
        self.mean.result()
    }
}

impl TopKAccuracy {
    /// Among the `k` largest; 5 is Keras's.
    pub fn new(k: usize) -> TopKAccuracy {
        TopKAccuracy { k, mean: Mean::default() }
    }
}

impl Metric for TopKAccuracy {
    fn name(&self) -> &'static str {
        "top_k_categorical_accuracy"
    }

    fn reset(&mut self) {
        self.mean = Mean::default();
    }

    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
        if self.k == 0 {
            return Err(Error::Empty { what: "outputs that the class is to be among" });
        }
        for row in batch.rows() {
            let output = row.class().and_then(|class| row.outputs.get(class));
            let within = output.is_some_and(|output| {
                output.is_finite() && row.outputs.iter().filter(|&other| other > output).count() < self.k
            });
            self.mean.add(f64::from(within), row.weight);
        }
        Ok(())
    }

    fn result(&self) -> f32 {
        self.mean.result()
    }
}
