use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::elementwise;

/// `max(0, x)`; NaN stays NaN.
#[derive(Clone, Copy)]
pub(crate) struct Relu;

impl Operation for Relu {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        Ok(inputs[0])
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        Ok(elementwise::relu(run.isa, run.inputs[0], run.output)?)
    }
}

impl Differentiable for Relu {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Backward { isa, output, d_output, d_inputs: [d_input, ..], .. } = run;
        if let Some(d_input) = d_input {
            elementwise::relu_grad(isa, output, d_output)?;
            d_input.copy_from_slice(d_output);
        }
        Ok(())
    }
}
