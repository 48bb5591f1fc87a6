use super::data::Dataset;
use crate::augment::Augmentation;
use crate::error::Error;
use crate::memory::heap;
use crate::shape::Shape;
use crate::tensor::check_len;
use alloc::vec::Vec;
use core::cell::Cell;

/// Images of a data set that are other ones in every epoch.
///
/// How sample `i` is changed depends on the epoch's seed and on `i` alone, in whatever order and on however many threads samples
/// are read and learnt. Before the first epoch it is that of seed 0.
///
/// Validation sets and [`evaluate`](crate::Trainer::evaluate) are to be given images as they are: what is measured there does
/// not begin an epoch, and these would be those of the last one.
///
/// ```
/// use bantam::{Augmentation, Augmented, Dataset, Samples, Tensor};
/// let images = Samples::new(Tensor::new(&[2, 4, 4, 1], (0..32).map(|x| x as f32).collect())?, Tensor::zeros(&[2, 1])?)?;
/// let train = Augmented::new(&images, Augmentation::layers().rotation(0.1).horizontal_flip())?;
/// let (mut first, mut second, mut target) = ([0.0; 16], [0.0; 16], [0.0; 1]);
/// train.begin_epoch(&[0, 1], 1)?;
/// train.read(0, &mut first, &mut target)?;
/// train.begin_epoch(&[1, 0], 2)?;
/// train.read(0, &mut second, &mut target)?;
/// assert_ne!(first, second);
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct Augmented<D> {
    data: D,
    augmentation: Augmentation,
    image: [usize; 3],
    output: Shape,
    epoch: Cell<u64>,
    /// Room for an image as it is.
    room: Cell<Vec<f32>>,
}

impl<D: Dataset> Augmented<D> {
    /// The images `[H, W, C]` of a data set, changed as they are read.
    ///
    /// # Errors
    /// Samples have another rank, or [`Augmentation::output_shape`] refuses them.
    pub fn new(data: D, augmentation: Augmentation) -> Result<Augmented<D>, Error> {
        let shape = data.input_shape();
        let image = shape.dims().try_into().map_err(|_| Error::rank("image", 3, shape))?;
        let output = Shape::new(&augmentation.output_shape(image)?)?;
        let room = Cell::new(heap::zeros(shape.elements())?);
        Ok(Augmented { data, augmentation, image, output, epoch: Cell::new(0), room })
    }
}

impl<D: Dataset> Dataset for Augmented<D> {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn input_shape(&self) -> Shape {
        self.output
    }

    fn target_len(&self) -> usize {
        self.data.target_len()
    }

    fn weight(&self, index: usize) -> f32 {
        self.data.weight(index)
    }

    fn begin_epoch(&self, order: &[usize], seed: u64) -> Result<(), Error> {
        self.epoch.set(seed);
        self.data.begin_epoch(order, seed)
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        check_len("sample", input, self.output)?;
        let mut image = self.room.take();
        let read = self.data.read(index, &mut image, target);
        let seed = Augmentation::sample_seed(self.epoch.get(), index);
        let changed = read.and_then(|()| self.augmentation.apply(seed, self.image, &image, input));
        self.room.set(image);
        changed
    }
}
