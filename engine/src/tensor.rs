use crate::error::Error;
use crate::memory::heap;
use crate::shape::Shape;
use alloc::vec::Vec;

/// Numbers and their shape, row-major: the last dimension's elements lie side by side.
///
/// ```
/// use bantam::Tensor;
/// let t = Tensor::new(&[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(t.reshape(&[3, 2])?.shape().dims(), [3, 2]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Shape,
    data: Vec<f32>,
}

impl Tensor {
    /// # Errors
    /// The shape is illegal or `data` has another number of elements.
    pub fn new(dims: &[usize], data: Vec<f32>) -> Result<Tensor, Error> {
        let shape = Shape::new(dims)?;
        check_len("tensor", &data, shape)?;
        Ok(Tensor { shape, data })
    }

    /// All zeros.
    ///
    /// # Errors
    /// The shape is illegal, or there is no memory for the numbers.
    pub fn zeros(dims: &[usize]) -> Result<Tensor, Error> {
        let shape = Shape::new(dims)?;
        Ok(Tensor { shape, data: heap::zeros(shape.elements())? })
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its numbers.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Its numbers, to be changed.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Its numbers alone.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// The same numbers in another shape.
    ///
    /// # Errors
    /// The shape is illegal or of another number of elements.
    pub fn reshape(self, dims: &[usize]) -> Result<Tensor, Error> {
        Tensor::new(dims, self.data)
    }
}

/// Checks that `data` has as many elements as `shape`.
pub(crate) fn check_len<T>(what: &'static str, data: &[T], shape: Shape) -> Result<(), Error> {
    if data.len() == shape.elements() {
        return Ok(());
    }
    Err(bantam_kernels::Error::Length { what, expected: shape.elements(), got: data.len() }.into())
}
