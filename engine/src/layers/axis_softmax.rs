use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, one_batch, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::{Isa, softmax};

/// Softmax along any dimension, Keras's `Softmax(axis)`. [`Softmax`](crate::Softmax) is that of the last dimension, which at the end
/// of a net goes into the loss; this one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AxisSoftmax {
    /// The axis, counted from 1, or from -1 for the last backwards.
    pub axis: i8,
}

impl AxisSoftmax {
    /// Along that dimension: counted from 1, the first behind the batch, or from the last, which is -1.
    pub const fn new(axis: i8) -> AxisSoftmax {
        AxisSoftmax { axis }
    }

    /// Elements before, along and behind the dimension, of one sample.
    fn parts(&self, sample: &Shape) -> Result<[usize; 3], Error> {
        let dims = sample.dims();
        let at = match self.axis {
            axis @ 1.. => Some(axis as usize - 1),
            axis => dims.len().checked_sub(axis.unsigned_abs().into()),
        };
        // 0 is the batch, and so would be the end.
        match at.filter(|&at| at < dims.len()) {
            Some(at) => {
                let product = |dims: &[usize]| dims.iter().product();
                Ok([product(&dims[..at]), dims[at], product(&dims[at + 1..])])
            }
            None => {
                let expected = "a dimension of the input behind the batch, from 1 or from -1";
                Err(Error::OutOfRange { what: "axis", expected, got: self.axis.into() })
            }
        }
    }
}

impl Layer for AxisSoftmax {
    const NAME: &'static str = "AxisSoftmax";
    /// As Keras calls it.
    const BASE: &'static str = "softmax";
    type Step = AxisSoftmaxStep;

    fn read(attributes: &mut Attributes<'_>) -> AxisSoftmax {
        AxisSoftmax { axis: attributes.byte("axis") as i8 }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.byte(self.axis as u8);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let input = one_input(inputs)?;
        self.parts(&input)?;
        Ok(Signature::new(input))
    }

    fn lower(&self, site: &Site<'_>) -> Result<AxisSoftmaxStep, Error> {
        let (_, sample) = one_batch(site.inputs)?;
        Ok(AxisSoftmaxStep { isa: site.isa, parts: self.parts(&sample)? })
    }
}

impl Differentiable for AxisSoftmax {
    type TrainingStep = AxisSoftmaxStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<AxisSoftmaxStep, Error> {
        self.lower(site)
    }
}

/// [`AxisSoftmax`], ready to run.
pub struct AxisSoftmaxStep {
    isa: Isa,
    parts: [usize; 3],
}

impl AxisSoftmaxStep {
    /// The parts of some samples, of so many elements in all.
    fn parts(&self, elements: usize) -> [usize; 3] {
        let [_, length, inner] = self.parts;
        [elements / (length * inner), length, inner]
    }
}

impl Step for AxisSoftmaxStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let parts = self.parts(run.output.len());
        Ok(softmax::forward_along(self.isa, parts, run.inputs[0], run.output)?)
    }
}

impl TrainingStep for AxisSoftmaxStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::OUTPUT
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        Ok(softmax::grad_along(self.isa, self.parts(run.output.len()), run.output, run.d_output, d_input)?)
    }
}
