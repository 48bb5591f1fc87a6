use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::softmax;

/// Softmax over the last dimension.
#[derive(Clone, Copy)]
pub(crate) struct Softmax;

/// Rows and columns of a tensor whose columns are its last dimension.
pub(super) fn matrix(shape: &Shape) -> (usize, usize) {
    let columns = shape.dims().last().copied().unwrap_or(1);
    (shape.elements() / columns, columns)
}

impl Operation for Softmax {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        Ok(inputs[0])
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (rows, columns) = matrix(&run.shapes[0]);
        Ok(softmax::forward(rows, columns, run.inputs[0], run.output)?)
    }
}

impl Differentiable for Softmax {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let (rows, columns) = matrix(&run.shapes[0]);
        let [d_input, ..] = run.d_inputs;
        match d_input {
            Some(d_input) => Ok(softmax::grad(rows, columns, run.output, run.d_output, d_input)?),
            None => Ok(()),
        }
    }
}
