use super::{Backward, Differentiable, Forward, Operation};
use crate::loss::check_shares;
use crate::{Error, Shape};
use bantam_kernels::loss;

/// Cross-entropy of the sigmoid of logits with targets from 0 to 1, the mean over all elements.
#[derive(Clone, Copy)]
pub(crate) struct BinaryCrossEntropy;

impl Operation for BinaryCrossEntropy {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        inputs[0].require("targets", inputs[1])?;
        Ok(Shape::SCALAR)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let sample = run.shapes[0].split_batch().map_or(1, |(_, sample)| sample.elements());
        let mut targets = run.inputs[1].chunks_exact(sample).enumerate();
        targets.try_for_each(|(sample, targets)| check_shares(sample, targets))?;
        run.output[0] = loss::binary_cross_entropy(run.inputs[0], run.inputs[1])?;
        Ok(())
    }
}

impl Differentiable for BinaryCrossEntropy {
    /// Targets are data: their gradient is zero by definition.
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let [d_logits, d_targets, _] = run.d_inputs;
        if let Some(d_targets) = d_targets {
            d_targets.fill(0.0);
        }
        match d_logits {
            Some(d_logits) => {
                let d = run.d_output[0];
                Ok(loss::binary_cross_entropy_grad(run.inputs[0], run.inputs[1], d, d_logits)?)
            }
            None => Ok(()),
        }
    }
}
