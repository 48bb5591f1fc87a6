use bantam_kernels::Error;
use core::fmt;

/// The sizes of a tensor's dimensions, outermost first. All are at least one, and an `f32` array
/// of that many elements fits memory.
///
/// ```
/// let shape = bantam::Shape::new(&[64, 28, 28, 1])?;
/// assert_eq!(shape.elements(), 50_176);
/// assert_eq!(shape.to_string(), "[64, 28, 28, 1]");
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; Shape::MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The most dimensions there may be.
    pub const MAX_RANK: usize = 5;
    /// The shape of a single number.
    pub const SCALAR: Shape = Shape { dims: [1; Shape::MAX_RANK], rank: 0 };

    /// # Errors
    /// There are too many dimensions, one is zero, or their product is too large.
    pub fn new(dims: &[usize]) -> Result<Shape, Error> {
        if dims.len() > Shape::MAX_RANK {
            return Err(Error::OutOfRange { what: "dimensions", max: Shape::MAX_RANK, got: dims.len() });
        }
        let mut bytes = size_of::<f32>();
        for &dim in dims {
            if dim == 0 {
                return Err(Error::ZeroSize { what: "dimension" });
            }
            bytes = bytes
                .checked_mul(dim)
                .filter(|&bytes| bytes <= isize::MAX as usize)
                .ok_or(Error::TooLarge { what: "tensor" })?;
        }
        let mut shape = Shape { rank: dims.len(), ..Shape::SCALAR };
        shape.dims[..dims.len()].copy_from_slice(dims);
        Ok(shape)
    }

    /// The sizes.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// How many dimensions there are.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many elements there are.
    pub fn elements(&self) -> usize {
        self.dims().iter().product()
    }

    /// The shape of `batch` such tensors: `[batch, …]`.
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub fn with_batch(&self, batch: usize) -> Result<Shape, Error> {
        if batch == 0 {
            return Err(Error::ZeroSize { what: "batch" });
        }
        let mut dims = [batch; Shape::MAX_RANK + 1];
        dims[1..=self.rank].copy_from_slice(self.dims());
        Shape::new(&dims[..=self.rank])
    }

    /// The first dimension and the shape of the rest.
    pub fn split_batch(&self) -> Option<(usize, Shape)> {
        let (&batch, rest) = self.dims().split_first()?;
        let mut shape = Shape { rank: rest.len(), ..Shape::SCALAR };
        shape.dims[..rest.len()].copy_from_slice(rest);
        Some((batch, shape))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.dims().iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            dim.fmt(f)?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
