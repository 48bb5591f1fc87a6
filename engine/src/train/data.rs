use crate::error::Error;
use crate::loss::check_weights;
use crate::shape::Shape;
use crate::tensor::{Tensor, check_len};
use alloc::vec::Vec;

/// Samples to learn from, read one at a time into memory that the reader is given.
pub trait Dataset {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one sample.
    fn input_shape(&self) -> Shape;

    /// Numbers in one sample's target: one for a class label.
    fn target_len(&self) -> usize;

    /// What sample `index` counts in the loss: a finite number of at least 0.
    fn weight(&self, _index: usize) -> f32 {
        1.0
    }

    /// A trainer says so before each epoch: samples will be read in this order, and what is drawn at random for them is
    /// drawn from this seed. Evaluation and prediction do not call it.
    ///
    /// # Errors
    /// The samples cannot be read.
    fn begin_epoch(&self, _order: &[usize], _seed: u64) -> Result<(), Error> {
        Ok(())
    }

    /// Writes sample `index`, `index < len()`, and its target.
    ///
    /// # Errors
    /// The sample cannot be read.
    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error>;
}

impl<D: Dataset + ?Sized> Dataset for &D {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn input_shape(&self) -> Shape {
        (**self).input_shape()
    }

    fn target_len(&self) -> usize {
        (**self).target_len()
    }

    fn weight(&self, index: usize) -> f32 {
        (**self).weight(index)
    }

    fn begin_epoch(&self, order: &[usize], seed: u64) -> Result<(), Error> {
        (**self).begin_epoch(order, seed)
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        (**self).read(index, input, target)
    }
}

/// A data set in memory.
///
/// ```
/// use bantam::{Dataset, Samples, Tensor};
/// let xor = Samples::new(
///     Tensor::new(&[4, 2], vec![0., 0., 0., 1., 1., 0., 1., 1.])?,
///     Tensor::new(&[4, 1], vec![0., 1., 1., 0.])?,
/// )?;
/// assert_eq!(xor.len(), 4);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Samples {
    inputs: Tensor,
    targets: Tensor,
    /// One for each sample; none if all count the same.
    weights: Vec<f32>,
    len: usize,
    input: Shape,
    target_len: usize,
}

impl Samples {
    /// `inputs` of `[N, …]` and `targets` of `[N, …]`; class labels are `[N, 1]` whole numbers.
    ///
    /// # Errors
    /// The numbers of samples differ.
    pub fn new(inputs: Tensor, targets: Tensor) -> Result<Samples, Error> {
        let (Some((len, input)), Some((target_rows, target))) =
            (inputs.shape().split_batch(), targets.shape().split_batch())
        else {
            return Err(Error::rank("samples", 2, inputs.shape()));
        };
        if target_rows != len {
            let expected = target.with_batch(len)?;
            return Err(Error::shape("targets", expected, targets.shape()));
        }
        let target_len = target.elements();
        Ok(Samples { inputs, targets, weights: Vec::new(), len, input, target_len })
    }

    /// With a weight for each sample: what its loss is multiplied by.
    ///
    /// # Errors
    /// There is another number of them, or one is below 0 or not finite.
    pub fn weighted(self, weights: Vec<f32>) -> Result<Samples, Error> {
        if weights.len() != self.len {
            let (what, expected, got) = ("weights of the samples", self.len, weights.len());
            return Err(bantam_kernels::Error::Length { what, expected, got }.into());
        }
        check_weights(&weights, self.len)?;
        Ok(Samples { weights, ..self })
    }
}

impl Dataset for Samples {
    fn len(&self) -> usize {
        self.len
    }

    fn input_shape(&self) -> Shape {
        self.input
    }

    fn target_len(&self) -> usize {
        self.target_len
    }

    fn weight(&self, index: usize) -> f32 {
        self.weights.get(index).copied().unwrap_or(1.0)
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        check_len("sample", input, self.input)?;
        let elements = self.input.elements();
        input.copy_from_slice(&self.inputs.data()[index * elements..][..elements]);
        target.copy_from_slice(&self.targets.data()[index * self.target_len..][..self.target_len]);
        Ok(())
    }
}
