use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::elementwise;

/// The product of two tensors of one shape, element by element.
#[derive(Clone, Copy)]
pub(crate) struct Mul;

impl Operation for Mul {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        inputs[0].require("second operand", inputs[1])?;
        Ok(inputs[0])
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        Ok(elementwise::mul(run.isa, run.inputs[0], run.inputs[1], run.output)?)
    }
}

impl Differentiable for Mul {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let [d_a, d_b, _] = run.d_inputs;
        if let Some(d_a) = d_a {
            elementwise::mul(run.isa, run.d_output, run.inputs[1], d_a)?;
        }
        if let Some(d_b) = d_b {
            elementwise::mul(run.isa, run.d_output, run.inputs[0], d_b)?;
        }
        Ok(())
    }
}
