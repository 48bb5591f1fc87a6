//! General matrix product, any strides, over the `matrixmultiply` crate.

use crate::Error;

/// A matrix in a slice: element `(r, c)` at `r * row_stride + c * column_stride`. Exchange rows
/// and columns to transpose it.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A `[rows, columns]` matrix whose rows follow each other.
    ///
    /// # Errors
    /// The slice's length is not `rows * columns`.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Result<Matrix<'a>, Error> {
        crate::error::check("matrix", data, crate::error::elements("matrix", &[rows, columns])?)?;
        Ok(Matrix { data, rows, columns, row_stride: columns, column_stride: 1 })
    }

    /// The same elements with rows and columns exchanged; nothing is copied.
    pub fn transposed(self) -> Matrix<'a> {
        Matrix {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// `[rows, columns]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }
}

/// `c = a b`, for `a` of `[M, K]`, `b` of `[K, N]` and `c` of `[M, N]`, row by row.
///
/// # Errors
/// The shapes do not fit each other.
///
/// ```
/// use bantam_kernels::matmul::{Matrix, matmul};
/// let a = Matrix::new(&[1.0, 2.0, 3.0, 4.0], 2, 2)?;
/// let mut c = [0.0; 4];
/// matmul(a, a.transposed(), &mut c)?;
/// assert_eq!(c, [5.0, 11.0, 11.0, 25.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) -> Result<(), Error> {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    if b.rows != k {
        return Err(Error::Length { what: "rows of the second matrix", expected: k, got: b.rows });
    }
    crate::error::check("product", c, crate::error::elements("product", &[m, n])?)?;
    let strides = |matrix: &Matrix<'_>| (matrix.row_stride.cast_signed(), matrix.column_stride.cast_signed());
    let ((rsa, csa), (rsb, csb)) = (strides(&a), strides(&b));
    // SAFETY: a `Matrix` is all of its slice, so every element lies inside; `c` has `m * n`
    // elements, borrowed alone, and with these strides no two of them coincide.
    unsafe {
        let (a, b, c) = (a.data.as_ptr(), b.data.as_ptr(), c.as_mut_ptr());
        matrixmultiply::sgemm(m, k, n, 1.0, a, rsa, csa, b, rsb, csb, 0.0, c, n.cast_signed(), 1);
    }
    Ok(())
}
