use crate::error::Error;
use crate::layers::{Backward, Forward, Step, TrainingStep};
use crate::shape::Shape;
use bantam_kernels::matmul::{Matrix, matmul};

/// The product of two matrices, each transposed first if that is said.
pub(in crate::tape) struct Matmul {
    shapes: [Shape; 2],
    transpose: [bool; 2],
}

impl Matmul {
    pub fn new(shapes: [Shape; 2], transpose: [bool; 2]) -> Result<(Shape, Matmul), Error> {
        let oriented = |i: usize| -> Result<[usize; 2], Error> {
            let [rows, columns] = shapes[i].array("matrix")?;
            Ok(if transpose[i] { [columns, rows] } else { [rows, columns] })
        };
        let ([m, k], [k2, n]) = (oriented(0)?, oriented(1)?);
        Shape::new(&[k, n])?.require("second matrix", Shape::new(&[k2, n])?)?;
        Ok((Shape::new(&[m, n])?, Matmul { shapes, transpose }))
    }

    fn operands<'a>(&self, inputs: &[&'a [f32]]) -> Result<[Matrix<'a>; 2], Error> {
        let matrix = |i: usize| {
            let [rows, columns] = self.shapes[i].array("matrix")?;
            let matrix = Matrix::new(inputs[i], rows, columns)?;
            Ok::<_, Error>(if self.transpose[i] { matrix.transposed() } else { matrix })
        };
        Ok([matrix(0)?, matrix(1)?])
    }
}

impl Step for Matmul {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let [a, b] = self.operands(run.inputs)?;
        Ok(matmul(a, b, run.output)?)
    }
}

impl TrainingStep for Matmul {
    /// With `C = A B`: `dA = dC Bᵀ` and `dB = Aᵀ dC`; of a transposed operand the transpose of that.
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let [a, b] = self.operands(run.inputs)?;
        let d_c = Matrix::new(run.d_output, a.shape()[0], b.shape()[1])?;
        match (run.input, self.transpose) {
            (0, [true, _]) => matmul(b, d_c.transposed(), d_input)?,
            (0, [false, _]) => matmul(d_c, b.transposed(), d_input)?,
            (_, [_, true]) => matmul(d_c.transposed(), a, d_input)?,
            (_, [_, false]) => matmul(a.transposed(), d_c, d_input)?,
        }
        Ok(())
    }
}
