use crate::{Error, Shape, Tape, Var};
use bantam_kernels::loss;

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Cross-entropy of the softmax of the model's output. A target is either one number, the
    /// class, or as many probabilities as there are classes. A last layer that is a softmax is
    /// left out in training, since the loss has it in a form that loses no digits.
    SoftmaxCrossEntropy,
    /// Cross-entropy of the sigmoid of each output with a target from 0 to 1.
    BinaryCrossEntropy,
    /// The mean of the squared differences from the targets.
    MeanSquaredError,
}

impl Loss {
    /// Checks that samples of `target_len` targets fit `outputs` outputs.
    pub(crate) fn check(self, target_len: usize, outputs: usize) -> Result<(), Error> {
        let classes = self == Loss::SoftmaxCrossEntropy && target_len == 1;
        if classes && outputs > 1 {
            return Ok(());
        }
        Shape::new(&[outputs])?.require("targets of a sample", Shape::new(&[target_len])?)
    }

    pub(crate) fn record(self, tape: &mut Tape<'_>, output: Var, targets: Targets<'_>) -> Result<Var, Error> {
        let shape = tape.shape(output)?;
        let targets = match targets {
            Targets::Classes(labels) => tape.one_hot(labels, shape.elements() / labels.len())?,
            Targets::Values(var) => var,
        };
        match self {
            Loss::SoftmaxCrossEntropy => tape.softmax_cross_entropy(output, targets),
            Loss::BinaryCrossEntropy => tape.binary_cross_entropy(output, targets),
            Loss::MeanSquaredError => tape.mean_squared_error(output, targets),
        }
    }

    /// The loss of `outputs`, all of one batch, with targets of the same length.
    pub(crate) fn value(self, rows: usize, outputs: &[f32], targets: &[f32]) -> Result<f32, Error> {
        Ok(match self {
            Loss::SoftmaxCrossEntropy => {
                loss::softmax_cross_entropy(rows, outputs.len() / rows, outputs, targets)?
            }
            Loss::BinaryCrossEntropy => loss::binary_cross_entropy(outputs, targets)?,
            Loss::MeanSquaredError => loss::mean_squared_error(outputs, targets)?,
        })
    }

    /// The gradient of that loss to the outputs.
    pub(crate) fn gradient(
        self,
        rows: usize,
        outputs: &[f32],
        targets: &[f32],
        d_outputs: &mut [f32],
    ) -> Result<(), Error> {
        match self {
            Loss::SoftmaxCrossEntropy => {
                let columns = outputs.len() / rows;
                loss::softmax_cross_entropy_grad(rows, columns, outputs, targets, 1.0, d_outputs)?;
            }
            Loss::BinaryCrossEntropy => loss::binary_cross_entropy_grad(outputs, targets, 1.0, d_outputs)?,
            Loss::MeanSquaredError => loss::mean_squared_error_grad(outputs, targets, 1.0, d_outputs)?,
        }
        Ok(())
    }
}

/// What a batch should have given.
pub(crate) enum Targets<'a> {
    Classes(&'a [f32]),
    Values(Var),
}
