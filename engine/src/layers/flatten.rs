use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType, PassesOn,
    Signature, Site, Step, TrainingStep, one_input,
};
use crate::error::Error;
use crate::shape::Shape;

/// All dimensions of a sample in one: `[H, W, C]` to `[H · W · C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

impl Layer for Flatten {
    const NAME: &'static str = "Flatten";
    const BASE: &'static str = "flatten";
    const TYPE: LayerType = LayerType::of::<Flatten>().passes_on(PassesOn::Always);
    type Step = CopyStep;

    fn read(_: &mut Attributes<'_>) -> Flatten {
        Flatten
    }

    fn write(&self, _: &mut AttributesMut) {}

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        Ok(Signature::of(&[one_input(inputs)?.elements()]))
    }

    fn lower(&self, _: &Site<'_>) -> Result<CopyStep, Error> {
        Ok(CopyStep)
    }
}

impl Differentiable for Flatten {
    type TrainingStep = CopyStep;

    fn lower_for_training(&self, _: &Site<'_>) -> Result<CopyStep, Error> {
        Ok(CopyStep)
    }
}

/// The same numbers, in a place of their own.
pub struct CopyStep;

impl Step for CopyStep {
    fn overwrites(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        if run.overwritten.is_none() {
            run.output.copy_from_slice(run.inputs[0]);
        }
        Ok(())
    }
}

impl TrainingStep for CopyStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        if let Some(d_input) = run.d_input {
            d_input.copy_from_slice(run.d_output);
        }
        Ok(())
    }
}
