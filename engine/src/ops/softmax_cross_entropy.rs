use super::{Backward, Differentiable, Forward, Operation, softmax::matrix};
use crate::loss::check_probabilities;
use crate::{Error, Shape};
use bantam_kernels::loss;

/// Cross-entropy of the softmax of logits `[…, C]` with targets `[…, C]`, the mean over all else.
#[derive(Clone, Copy)]
pub(crate) struct SoftmaxCrossEntropy;

impl Operation for SoftmaxCrossEntropy {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        inputs[0].require("targets", inputs[1])?;
        match matrix(&inputs[0]) {
            (_, 1) => Err(Error::OneOutput),
            _ => Ok(Shape::SCALAR),
        }
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (rows, columns) = matrix(&run.shapes[0]);
        let sample = run.shapes[0].split_batch().map_or(1, |(_, sample)| sample.elements());
        let mut targets = run.inputs[1].chunks_exact(sample.max(columns)).enumerate();
        targets.try_for_each(|(sample, targets)| check_probabilities(sample, columns, targets))?;
        run.output[0] = loss::softmax_cross_entropy(rows, columns, run.inputs[0], run.inputs[1])?;
        Ok(())
    }
}

impl Differentiable for SoftmaxCrossEntropy {
    /// Targets are data: their gradient is zero by definition.
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let (rows, columns) = matrix(&run.shapes[0]);
        let (logits, targets, d) = (run.inputs[0], run.inputs[1], run.d_output[0]);
        let [d_logits, d_targets, _] = run.d_inputs;
        if let Some(d_targets) = d_targets {
            d_targets.fill(0.0);
        }
        match d_logits {
            Some(d_logits) => {
                Ok(loss::softmax_cross_entropy_grad(rows, columns, logits, targets, d, d_logits)?)
            }
            None => Ok(()),
        }
    }
}
