use super::map::not_negative;
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType, PassesOn,
    Signature, Site, Step, TrainingStep, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::{Isa, elementwise, reduce};

/// Hands its input on, and adds `(l1 Σ|x| + l2 Σx²) / N` to the loss, summed over all elements of a batch of `N`, as in Keras. Any
/// shape.
///
/// The loss of training and that of [evaluation](crate::Trainer::evaluate) include this term, whatever samples weigh.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ActivityRegularization {
    l1: f32,
    l2: f32,
}

impl ActivityRegularization {
    /// With these factors, which are finite and not negative.
    pub const fn new(l1: f32, l2: f32) -> ActivityRegularization {
        ActivityRegularization { l1, l2 }
    }
}

impl Layer for ActivityRegularization {
    const NAME: &'static str = "ActivityRegularization";
    const BASE: &'static str = "activity_regularization";
    const TYPE: LayerType = LayerType::of::<ActivityRegularization>()
        .passes_on(PassesOn::Inference)
        .adds_to_loss(|attributes, isa, input| {
            let ActivityRegularization { l1, l2 } = ActivityRegularization::read(attributes);
            reduce::penalty(isa, [l1, l2], input)
        });
    type Step = ActivityRegularizationStep;

    fn read(attributes: &mut Attributes<'_>) -> ActivityRegularization {
        let [l1, l2] = ["l1", "l2"].map(|what| attributes.number(what));
        ActivityRegularization { l1, l2 }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.l1);
        attributes.number(self.l2);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        not_negative("l1", self.l1)?;
        not_negative("l2", self.l2)?;
        Ok(Signature::new(one_input(inputs)?))
    }

    fn lower(&self, site: &Site<'_>) -> Result<ActivityRegularizationStep, Error> {
        let input = one_input(site.inputs)?;
        let elements = input.elements() / input.dims()[0];
        Ok(ActivityRegularizationStep { isa: site.isa, factors: [self.l1, self.l2], elements })
    }
}

impl Differentiable for ActivityRegularization {
    type TrainingStep = ActivityRegularizationStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<ActivityRegularizationStep, Error> {
        self.lower(site)
    }
}

/// [`ActivityRegularization`], ready to run.
pub struct ActivityRegularizationStep {
    isa: Isa,
    factors: [f32; 2],
    /// Of a sample.
    elements: usize,
}

impl Step for ActivityRegularizationStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.copy_from_slice(run.inputs[0]);
        Ok(())
    }
}

impl TrainingStep for ActivityRegularizationStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        d_input.copy_from_slice(run.d_output);
        let samples = d_input.len() / self.elements;
        let factors = self.factors.map(|factor| factor * run.share / samples as f32);
        Ok(elementwise::add_penalty_grad(self.isa, factors, run.inputs[0], d_input)?)
    }

    fn penalty(&self, inputs: &[&[f32]]) -> f32 {
        let samples = inputs[0].len() / self.elements;
        reduce::penalty(self.isa, self.factors, inputs[0]) / samples as f32
    }
}
