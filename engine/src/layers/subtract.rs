use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, two_inputs,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::{Isa, elementwise};

/// The first of two inputs of one shape less the second, element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subtract;

impl Layer for Subtract {
    const NAME: &'static str = "Subtract";
    const BASE: &'static str = "subtract";
    type Step = SubtractStep;

    fn read(_: &mut Attributes<'_>) -> Subtract {
        Subtract
    }

    fn write(&self, _: &mut AttributesMut) {}

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [first, second] = two_inputs(inputs)?;
        first.require("operand", second)?;
        Ok(Signature::new(first))
    }

    fn lower(&self, site: &Site<'_>) -> Result<SubtractStep, Error> {
        Ok(SubtractStep { isa: site.isa })
    }
}

impl Differentiable for Subtract {
    type TrainingStep = SubtractStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<SubtractStep, Error> {
        self.lower(site)
    }
}

/// [`Subtract`], ready to run.
pub struct SubtractStep {
    isa: Isa,
}

impl Step for SubtractStep {
    fn overwrites(&self, input: usize) -> bool {
        input == 0
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        match run.overwritten {
            Some(_) => elementwise::sub_assign(self.isa, run.output, run.inputs[1])?,
            None => elementwise::sub(self.isa, run.inputs[0], run.inputs[1], run.output)?,
        }
        Ok(())
    }
}

impl TrainingStep for SubtractStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        if run.input == 0 {
            d_input.copy_from_slice(run.d_output);
        } else {
            d_input.fill(0.0);
            elementwise::sub_assign(self.isa, d_input, run.d_output)?;
        }
        Ok(())
    }
}
