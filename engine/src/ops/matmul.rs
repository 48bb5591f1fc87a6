use super::{Backward, Differentiable, Forward, Operation};
use crate::{Error, Shape};
use bantam_kernels::matmul::{Matrix, matmul};

/// The product of two matrices, each transposed first if that is said.
#[derive(Clone, Copy)]
pub(crate) struct Matmul {
    pub transpose: [bool; 2],
}

fn matrix<'a>(data: &'a [f32], shape: Shape, transpose: bool) -> Result<Matrix<'a>, Error> {
    let [rows, columns] = shape.array("matrix")?;
    let matrix = Matrix::new(data, rows, columns)?;
    Ok(if transpose { matrix.transposed() } else { matrix })
}

impl Operation for Matmul {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        let oriented = |i: usize| -> Result<[usize; 2], Error> {
            let [rows, columns] = inputs[i].array("matrix")?;
            Ok(if self.transpose[i] { [columns, rows] } else { [rows, columns] })
        };
        let ([m, k], [k2, n]) = (oriented(0)?, oriented(1)?);
        Shape::new(&[k, n])?.require("second matrix", Shape::new(&[k2, n])?)?;
        Shape::new(&[m, n])
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let a = matrix(run.inputs[0], run.shapes[0], self.transpose[0])?;
        let b = matrix(run.inputs[1], run.shapes[1], self.transpose[1])?;
        Ok(matmul(a, b, run.output)?)
    }
}

impl Differentiable for Matmul {
    /// With `C = A B`: `dA = dC Bᵀ` and `dB = Aᵀ dC`; of a transposed operand the transpose of that.
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let a = matrix(run.inputs[0], run.shapes[0], self.transpose[0])?;
        let b = matrix(run.inputs[1], run.shapes[1], self.transpose[1])?;
        let [d_a, d_b, _] = run.d_inputs;
        let d_c = Matrix::new(run.d_output, a.shape()[0], b.shape()[1])?;
        match d_a {
            Some(d_a) if self.transpose[0] => matmul(b, d_c.transposed(), d_a)?,
            Some(d_a) => matmul(d_c, b.transposed(), d_a)?,
            None => {}
        }
        match d_b {
            Some(d_b) if self.transpose[1] => matmul(d_c.transposed(), a, d_b)?,
            Some(d_b) => matmul(a.transposed(), d_c, d_b)?,
            None => {}
        }
        Ok(())
    }
}
