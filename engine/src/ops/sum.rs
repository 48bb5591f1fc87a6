use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::reduce;

/// The sum of all elements.
#[derive(Clone, Copy)]
pub(crate) struct Sum;

impl Operation for Sum {
    fn output_shape(&self, _: &[Shape]) -> Result<Shape, Error> {
        Ok(Shape::SCALAR)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output[0] = reduce::sum(run.isa, run.inputs[0]);
        Ok(())
    }
}

impl Differentiable for Sum {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let [d_input, ..] = run.d_inputs;
        if let Some(d_input) = d_input {
            d_input.fill(run.d_output[0]);
        }
        Ok(())
    }
}
