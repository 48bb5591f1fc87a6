//! Losses of predictions and targets, the mean over all elements or rows. Targets are data: their gradient is zero by
//! definition.

use crate::error::Error;
use crate::layers::{Backward, Forward, Step, TrainingStep, matrix};
use crate::loss::{check_probabilities, check_shares};
use crate::shape::Shape;
use bantam_kernels::loss;

/// Cross-entropy of the softmax of logits over the last dimension with targets of that shape.
pub(in crate::tape) struct SoftmaxCrossEntropy {
    shape: Shape,
}

/// Cross-entropy of the sigmoid of logits with targets from 0 to 1.
pub(in crate::tape) struct BinaryCrossEntropy {
    shape: Shape,
}

/// The squared difference of predictions and targets.
pub(in crate::tape) struct MeanSquaredError;

/// Elements of a sample of a batch.
fn sample_len(shape: &Shape) -> usize {
    shape.split_batch().map_or(1, |(_, sample)| sample.elements())
}

impl SoftmaxCrossEntropy {
    pub fn new([logits, targets]: [Shape; 2]) -> Result<(Shape, SoftmaxCrossEntropy), Error> {
        logits.require("targets", targets)?;
        match matrix(&logits) {
            (_, 1) => Err(Error::OneOutput),
            _ => Ok((Shape::SCALAR, SoftmaxCrossEntropy { shape: logits })),
        }
    }
}

impl Step for SoftmaxCrossEntropy {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (rows, columns) = matrix(&self.shape);
        let mut targets = run.inputs[1].chunks_exact(sample_len(&self.shape).max(columns)).enumerate();
        targets.try_for_each(|(sample, targets)| check_probabilities(sample, columns, targets))?;
        run.output[0] = loss::softmax_cross_entropy(rows, columns, run.inputs[0], run.inputs[1])?;
        Ok(())
    }
}

impl TrainingStep for SoftmaxCrossEntropy {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let (rows, columns) = matrix(&self.shape);
        backward(run, |logits, targets, d, d_logits| {
            loss::softmax_cross_entropy_grad(rows, columns, logits, targets, d, d_logits)
        })
    }
}

impl BinaryCrossEntropy {
    pub fn new([logits, targets]: [Shape; 2]) -> Result<(Shape, BinaryCrossEntropy), Error> {
        logits.require("targets", targets)?;
        Ok((Shape::SCALAR, BinaryCrossEntropy { shape: logits }))
    }
}

impl Step for BinaryCrossEntropy {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let mut targets = run.inputs[1].chunks_exact(sample_len(&self.shape)).enumerate();
        targets.try_for_each(|(sample, targets)| check_shares(sample, targets))?;
        run.output[0] = loss::binary_cross_entropy(run.inputs[0], run.inputs[1])?;
        Ok(())
    }
}

impl TrainingStep for BinaryCrossEntropy {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        backward(run, loss::binary_cross_entropy_grad)
    }
}

impl MeanSquaredError {
    pub fn new([predictions, targets]: [Shape; 2]) -> Result<(Shape, MeanSquaredError), Error> {
        predictions.require("targets", targets)?;
        Ok((Shape::SCALAR, MeanSquaredError))
    }
}

impl Step for MeanSquaredError {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output[0] = loss::mean_squared_error(run.inputs[0], run.inputs[1])?;
        Ok(())
    }
}

impl TrainingStep for MeanSquaredError {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        backward(run, loss::mean_squared_error_grad)
    }
}

fn backward(
    run: Backward<'_>,
    gradient: impl FnOnce(&[f32], &[f32], f32, &mut [f32]) -> Result<(), bantam_kernels::Error>,
) -> Result<(), Error> {
    match run.d_input {
        Some(d_predictions) if run.input == 0 => {
            Ok(gradient(run.inputs[0], run.inputs[1], run.d_output[0], d_predictions)?)
        }
        Some(d_targets) => {
            d_targets.fill(0.0);
            Ok(())
        }
        None => Ok(()),
    }
}
