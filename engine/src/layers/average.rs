use super::{
    AddStep, Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature,
    Site, Step, TrainingStep, several_inputs,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise::{self, Affine};

/// The mean of two inputs or more of one shape, up to [`MAX_INPUTS`](crate::MAX_INPUTS), element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Average;

impl Layer for Average {
    const NAME: &'static str = "Average";
    const BASE: &'static str = "average";
    type Step = AverageStep;

    fn read(_: &mut Attributes<'_>) -> Average {
        Average
    }

    fn write(&self, _: &mut AttributesMut) {}

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let (first, others) = several_inputs(inputs)?;
        others.iter().try_for_each(|&other| first.require("operand", other))?;
        Ok(Signature::new(first))
    }

    fn lower(&self, site: &Site<'_>) -> Result<AverageStep, Error> {
        let share = Affine { scale: 1.0 / site.inputs.len() as f32, offset: 0.0 };
        Ok(AverageStep {
            sum: AddStep { isa: site.isa, activation: Activation::None, threads: site.threads },
            share,
        })
    }
}

impl Differentiable for Average {
    type TrainingStep = AverageStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<AverageStep, Error> {
        self.lower(site)
    }
}

/// [`Average`], ready to run.
pub struct AverageStep {
    sum: AddStep,
    share: Affine,
}

impl Step for AverageStep {
    fn overwrites(&self, input: usize) -> bool {
        self.sum.overwrites(input)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.sum.forward(Forward { output: &mut *run.output, ..run })?;
        elementwise::map_in_place(self.sum.isa, self.share, run.output);
        Ok(())
    }
}

impl TrainingStep for AverageStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        Ok(elementwise::map(self.sum.isa, self.share, run.d_output, d_input)?)
    }
}
