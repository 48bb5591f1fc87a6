use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::Error as KernelError;

/// The same numbers in another shape.
#[derive(Clone, Copy)]
pub(crate) struct Reshape {
    pub shape: Shape,
}

impl Operation for Reshape {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        let (expected, got) = (inputs[0].elements(), self.shape.elements());
        if expected != got {
            return Err(KernelError::Length { what: "reshaped tensor", expected, got }.into());
        }
        Ok(self.shape)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.copy_from_slice(run.inputs[0]);
        Ok(())
    }
}

impl Differentiable for Reshape {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        if let [Some(d_input), ..] = run.d_inputs {
            d_input.copy_from_slice(run.d_output);
        }
        Ok(())
    }
}
