use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::Isa;

/// `[N, …]` to `[N, product of the rest]`.
#[derive(Clone, Copy)]
pub(crate) struct Flatten;

impl Operation for Flatten {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        match inputs[0].split_batch() {
            Some((batch, rest)) => Shape::new(&[batch, rest.elements()]),
            None => Err(Error::rank("input", 2, inputs[0])),
        }
    }

    fn in_place(&self, _isa: Isa, _inputs: &[Shape]) -> Result<bool, Error> {
        Ok(true)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        if !run.in_place {
            run.output.copy_from_slice(run.inputs[0]);
        }
        Ok(())
    }
}

impl Differentiable for Flatten {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        if let [Some(d_input), ..] = run.d_inputs {
            d_input.copy_from_slice(run.d_output);
        }
        Ok(())
    }
}
