use crate::error::Error;
use crate::graph::Model;
use crate::layers::{Layer, Softmax};
use crate::metrics::argmax;
use crate::shape::Shape;
use bantam_kernels::loss;

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Cross-entropy of the softmax of the model's output over its last dimension, the mean over all
    /// samples and, of outputs `[H, W, C]`, over their pixels. A target is either the class, a whole
    /// number (of each pixel), or as many probabilities as there are outputs. A last layer that is a
    /// softmax is left out, in training and in evaluation, since the loss has it in a form that loses
    /// no digits.
    SoftmaxCrossEntropy,
    /// Cross-entropy of the sigmoid of each output with a target from 0 to 1.
    BinaryCrossEntropy,
    /// The mean of the squared differences from the targets.
    MeanSquaredError,
}

impl Loss {
    /// The value of a model that it is measured on: a softmax at the end is in the loss.
    pub(crate) fn output(self, model: &Model<'_>) -> Result<usize, Error> {
        let output = model.only_output()?;
        let node = output.checked_sub(model.input_shapes().len()).map(|node| &model.nodes()[node]);
        Ok(match node {
            Some(node) if self == Loss::SoftmaxCrossEntropy && node.layer_type().name() == Softmax::NAME => {
                model.inputs_of(node)[0]
            }
            _ => output,
        })
    }
}

/// A loss of outputs of one shape: `[N, rows, columns]`, with softmax over columns.
#[derive(Clone, Copy)]
pub(crate) struct Criterion {
    loss: Loss,
    rows: usize,
    columns: usize,
    /// Whether a row's target is its class.
    labels: bool,
}

impl Criterion {
    /// For samples of `target_len` targets each and outputs of that shape.
    pub fn new(loss: Loss, output: Shape, target_len: usize) -> Result<Criterion, Error> {
        let columns = output.dims().last().copied().unwrap_or(1);
        let rows = output.elements() / columns;
        let softmax = loss == Loss::SoftmaxCrossEntropy;
        if softmax && columns == 1 {
            return Err(Error::OneOutput);
        }
        if target_len == 0 {
            return Err(Error::Empty { what: "targets of a sample" });
        }
        let labels = softmax && target_len == rows;
        if !labels {
            let expected = Shape::new(&[output.elements()])?;
            expected.require("targets of a sample", Shape::new(&[target_len])?)?;
        }
        Ok(Criterion { loss, rows, columns, labels })
    }

    /// The fewest targets that a sample with such an output can have.
    pub fn fewest_targets(loss: Loss, output: Shape) -> usize {
        let columns = output.dims().last().copied().unwrap_or(1);
        if loss == Loss::SoftmaxCrossEntropy { output.elements() / columns } else { output.elements() }
    }

    /// Numbers of one-hot rows that a sample's labels make; none if targets are none.
    pub fn one_hot_len(&self) -> usize {
        if self.labels { self.rows * self.columns } else { 0 }
    }

    /// How many rows of a sample are right or wrong.
    pub fn judged(&self) -> usize {
        self.rows
    }

    /// Checks the targets of a sample.
    pub fn check(&self, sample: usize, targets: &[f32]) -> Result<(), Error> {
        if self.labels {
            let classes = self.columns;
            return match targets.iter().find(|&&label| !is_class(label, classes)) {
                Some(&label) => Err(Error::Label { sample, label, classes }),
                None => Ok(()),
            };
        }
        match self.loss {
            Loss::SoftmaxCrossEntropy => check_probabilities(sample, self.columns, targets),
            Loss::BinaryCrossEntropy => check_shares(sample, targets),
            Loss::MeanSquaredError => match targets.iter().find(|target| !target.is_finite()) {
                Some(&got) => Err(Error::Target { sample, expected: "finite numbers", got }),
                None => Ok(()),
            },
        }
    }

    /// Targets to compute with: labels become one-hot rows in `one_hot`.
    pub fn wanted<'a>(&self, targets: &'a [f32], one_hot: &'a mut [f32]) -> &'a [f32] {
        if !self.labels {
            return targets;
        }
        let one_hot = &mut one_hot[..targets.len() * self.columns];
        fill_one_hot(one_hot, self.columns, targets);
        one_hot
    }

    /// The loss of a batch's `outputs`, with targets as [`wanted`](Self::wanted) gives them.
    pub fn value(&self, outputs: &[f32], wanted: &[f32]) -> Result<f32, Error> {
        let (rows, columns) = (outputs.len() / self.columns, self.columns);
        Ok(match self.loss {
            Loss::SoftmaxCrossEntropy => loss::softmax_cross_entropy(rows, columns, outputs, wanted)?,
            Loss::BinaryCrossEntropy => loss::binary_cross_entropy(outputs, wanted)?,
            Loss::MeanSquaredError => loss::mean_squared_error(outputs, wanted)?,
        })
    }

    /// The gradient of `share` of that loss to the outputs.
    pub fn gradient(
        &self,
        outputs: &[f32],
        wanted: &[f32],
        share: f32,
        d_outputs: &mut [f32],
    ) -> Result<(), Error> {
        let (rows, columns) = (outputs.len() / self.columns, self.columns);
        match self.loss {
            Loss::SoftmaxCrossEntropy => {
                loss::softmax_cross_entropy_grad(rows, columns, outputs, wanted, share, d_outputs)?;
            }
            Loss::BinaryCrossEntropy => loss::binary_cross_entropy_grad(outputs, wanted, share, d_outputs)?,
            Loss::MeanSquaredError => loss::mean_squared_error_grad(outputs, wanted, share, d_outputs)?,
        }
        Ok(())
    }

    /// How many rows of a batch are right: the largest output is the class, or for binary cross-entropy
    /// every output is on its target's side of one half. A squared error has no right and wrong.
    pub fn correct(&self, outputs: &[f32], targets: &[f32]) -> Option<usize> {
        let outputs = outputs.chunks_exact(self.columns);
        let targets = targets.chunks_exact(if self.labels { 1 } else { self.columns });
        let rows = outputs.zip(targets);
        match self.loss {
            Loss::SoftmaxCrossEntropy if self.labels => {
                let right = |(y, t): &(&[f32], &[f32])| argmax(y).is_some_and(|class| class as f32 == t[0]);
                Some(rows.filter(right).count())
            }
            Loss::SoftmaxCrossEntropy => Some(rows.filter(|(y, t)| argmax(y) == argmax(t)).count()),
            Loss::BinaryCrossEntropy => {
                let right =
                    |(y, t): &(&[f32], &[f32])| y.iter().zip(*t).all(|(y, t)| (*y > 0.0) == (*t > 0.5));
                Some(rows.filter(right).count())
            }
            Loss::MeanSquaredError => None,
        }
    }
}

/// Whether a label is a class, a whole number below their count.
pub(crate) fn is_class(label: f32, classes: usize) -> bool {
    let class = label as usize;
    label >= 0.0 && class < classes && class as f32 == label
}

/// Rows that are 1 at their label and 0 elsewhere.
pub(crate) fn fill_one_hot(rows: &mut [f32], classes: usize, labels: &[f32]) {
    rows.fill(0.0);
    for (row, &label) in rows.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] = 1.0;
    }
}

/// Checks that targets are shares, from 0 to 1.
pub(crate) fn check_shares(sample: usize, targets: &[f32]) -> Result<(), Error> {
    match targets.iter().find(|target| !(0.0..=1.0).contains(*target)) {
        Some(&got) => Err(Error::Target { sample, expected: "numbers from 0 to 1", got }),
        None => Ok(()),
    }
}

/// Checks that targets are shares, with one above 0 in each row.
pub(crate) fn check_probabilities(sample: usize, columns: usize, targets: &[f32]) -> Result<(), Error> {
    check_shares(sample, targets)?;
    if targets.chunks_exact(columns).any(|row| row.iter().all(|&share| share == 0.0)) {
        return Err(Error::Target { sample, expected: "a number above 0 for one class", got: 0.0 });
    }
    Ok(())
}
