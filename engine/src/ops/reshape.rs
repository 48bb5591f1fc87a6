use super::{Backward, Differentiable, Forward, ForwardInPlace, Operation};
use crate::{Error, Shape};
use bantam_kernels::{Error as KernelError, Isa};

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

    fn in_place(&self, _isa: Isa, _inputs: &[Shape]) -> Result<bool, Error> {
        Ok(true)
    }

    fn forward_in_place(&self, _run: ForwardInPlace<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.copy_from_slice(run.inputs[0]);
        Ok(())
    }
}

impl Differentiable for Reshape {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let [d_input, ..] = run.d_inputs;
        if let Some(d_input) = d_input {
            d_input.copy_from_slice(run.d_output);
        }
        Ok(())
    }
}
