use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels as kernels;

/// The dimensions of a sample in another order: with `[2, 1]` it is `[A, B]` to `[B, A]`.
///
/// ```
/// use bantam::Sequential;
/// let channels_first = Sequential::new([8, 6, 3]).permute([3, 1, 2]).build(1)?;
/// assert_eq!(channels_first.output_shape().dims(), [3, 8, 6]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permute {
    dims: [u8; Shape::MAX_RANK],
    rank: usize,
}

impl Permute {
    /// Which dimension each becomes, counted from 1 as in Keras: 0 would be the batch.
    pub fn new(dims: impl AsRef<[u8]>) -> Permute {
        let (mut order, rank) = ([0; Shape::MAX_RANK], dims.as_ref().len());
        order.iter_mut().zip(dims.as_ref()).for_each(|(place, &dim)| *place = dim);
        Permute { dims: order, rank }
    }

    /// Which dimension each becomes, counted from 1.
    pub fn dims(&self) -> &[u8] {
        &self.dims[..self.rank.min(Shape::MAX_RANK)]
    }

    /// Sizes of the output, and how far it is in the input from one of each to the next.
    fn sizes_and_strides(&self, input: &Shape) -> Result<[[usize; Shape::MAX_RANK]; 2], Error> {
        if self.rank != input.rank() {
            return Err(Error::rank("input", self.rank, *input));
        }
        let (mut sizes, mut strides) = ([1; Shape::MAX_RANK], [1; Shape::MAX_RANK]);
        for (i, &dim) in self.dims[..self.rank].iter().enumerate() {
            let max = self.rank;
            if dim == 0 || usize::from(dim) > max || self.dims[..i].contains(&dim) {
                return Err(kernels::Error::OutOfRange {
                    what: "dimensions, once each",
                    max,
                    got: dim.into(),
                }
                .into());
            }
            let dim = usize::from(dim);
            sizes[i] = input.dims()[dim - 1];
            strides[i] = input.dims()[dim..].iter().product();
        }
        Ok([sizes, strides])
    }
}

impl Layer for Permute {
    const NAME: &'static str = "Permute";
    const BASE: &'static str = "permute";
    type Step = PermuteStep;

    fn read(attributes: &mut Attributes<'_>) -> Permute {
        let what = "dimensions";
        let (rank, mut dims) = (attributes.byte(what).into(), [0; Shape::MAX_RANK]);
        for dim in dims.iter_mut().take(rank) {
            *dim = attributes.byte(what);
        }
        Permute { dims, rank }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.byte(self.rank.try_into().unwrap_or(u8::MAX));
        attributes.bytes(self.dims());
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [sizes, _] = self.sizes_and_strides(&one_input(inputs)?)?;
        Ok(Signature::of(&sizes[..self.rank]))
    }

    fn lower(&self, site: &Site<'_>) -> Result<PermuteStep, Error> {
        let batch = one_input(site.inputs)?;
        let (_, input) = batch.split_batch().ok_or_else(|| Error::rank("input", 1, batch))?;
        let [sizes, strides] = self.sizes_and_strides(&input)?;
        Ok(PermuteStep { sizes, strides, last: self.rank.saturating_sub(1) })
    }
}

impl Differentiable for Permute {
    type TrainingStep = PermuteStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<PermuteStep, Error> {
        self.lower(site)
    }
}

/// [`Permute`], ready to run.
pub struct PermuteStep {
    /// Of the output; those behind its rank are 1.
    sizes: [usize; Shape::MAX_RANK],
    /// In the input.
    strides: [usize; Shape::MAX_RANK],
    /// The output's last dimension.
    last: usize,
}

impl PermuteStep {
    /// Where the input has what begins each row of the output, in the order of the rows of so many samples.
    fn rows(&self, samples: usize) -> impl Iterator<Item = usize> {
        let PermuteStep { sizes, strides, last } = *self;
        let sample: usize = sizes.iter().product();
        let rows = samples * sample / sizes[last];
        (0..rows).map(move |row| {
            let (mut row, mut at) = (row, 0);
            for (size, stride) in sizes[..last].iter().zip(&strides).rev() {
                at += row % size * stride;
                row /= size;
            }
            at + row * sample
        })
    }
}

impl Step for PermuteStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (x, size, stride) = (run.inputs[0], self.sizes[self.last], self.strides[self.last]);
        for (y, at) in run.output.chunks_exact_mut(size).zip(self.rows(run.samples)) {
            if stride == 1 {
                y.copy_from_slice(&x[at..][..size]);
            } else {
                y.iter_mut().zip(x[at..].iter().step_by(stride)).for_each(|(y, x)| *y = *x);
            }
        }
        Ok(())
    }
}

impl TrainingStep for PermuteStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_x) = run.d_input else { return Ok(()) };
        let (size, stride) = (self.sizes[self.last], self.strides[self.last]);
        let samples = d_x.len() / self.sizes.iter().product::<usize>();
        for (d_y, at) in run.d_output.chunks_exact(size).zip(self.rows(samples)) {
            d_x[at..].iter_mut().step_by(stride).zip(d_y).for_each(|(d_x, d_y)| *d_x = *d_y);
        }
        Ok(())
    }
}
