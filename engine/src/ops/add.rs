use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::elementwise;

/// The sum of two tensors of one shape.
#[derive(Clone, Copy)]
pub(crate) struct Add;

impl Operation for Add {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        inputs[0].require("second operand", inputs[1])?;
        Ok(inputs[0])
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        Ok(elementwise::add(run.isa, run.inputs[0], run.inputs[1], run.output)?)
    }
}

impl Differentiable for Add {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        for d_input in run.d_inputs.into_iter().flatten() {
            d_input.copy_from_slice(run.d_output);
        }
        Ok(())
    }
}
