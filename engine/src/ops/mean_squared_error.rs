use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::loss;

/// The mean over all elements of the squared difference of predictions and targets.
#[derive(Clone, Copy)]
pub(crate) struct MeanSquaredError;

impl Operation for MeanSquaredError {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        inputs[0].require("targets", inputs[1])?;
        Ok(Shape::SCALAR)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output[0] = loss::mean_squared_error(run.inputs[0], run.inputs[1])?;
        Ok(())
    }
}

impl Differentiable for MeanSquaredError {
    /// Targets are data: their gradient is zero by definition.
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let [d_predictions, d_targets, _] = run.d_inputs;
        if let Some(d_targets) = d_targets {
            d_targets.fill(0.0);
        }
        match d_predictions {
            Some(d_predictions) => {
                let d = run.d_output[0];
                Ok(loss::mean_squared_error_grad(run.inputs[0], run.inputs[1], d, d_predictions)?)
            }
            None => Ok(()),
        }
    }
}
