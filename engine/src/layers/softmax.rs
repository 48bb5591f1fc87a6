use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::softmax;

/// Softmax over the last dimension: `exp(x) / sum(exp(x))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax;

impl Layer for Softmax {
    const NAME: &'static str = "Softmax";
    const BASE: &'static str = "softmax";
    type Step = SoftmaxStep;

    fn read(_: &mut Attributes<'_>) -> Softmax {
        Softmax
    }

    fn write(&self, _: &mut AttributesMut) {}

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        Ok(Signature::new(one_input(inputs)?))
    }

    fn lower(&self, site: &Site<'_>) -> Result<SoftmaxStep, Error> {
        Ok(SoftmaxStep { columns: matrix(&one_input(site.inputs)?).1 })
    }
}

impl Differentiable for Softmax {
    type TrainingStep = SoftmaxStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<SoftmaxStep, Error> {
        self.lower(site)
    }
}

/// [`Softmax`], ready to run.
pub struct SoftmaxStep {
    columns: usize,
}

impl Step for SoftmaxStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let rows = run.output.len() / self.columns;
        Ok(softmax::forward(rows, self.columns, run.inputs[0], run.output)?)
    }
}

impl TrainingStep for SoftmaxStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::OUTPUT
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let rows = run.output.len() / self.columns;
        Ok(softmax::grad(rows, self.columns, run.output, run.d_output, d_input)?)
    }
}

/// Rows and columns of a tensor whose columns are its last dimension.
pub(crate) fn matrix(shape: &Shape) -> (usize, usize) {
    let columns = shape.dims().last().copied().unwrap_or(1);
    (shape.elements() / columns, columns)
}
