use super::by_rows::ByRows;
use super::conv2d::{ConvolutionStep, grad_activation};
use super::separable_conv2d::Separable;
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType, Schedule,
    Signature, Site, Source, Step, TrainingStep, several_inputs,
};
use crate::error::Error;
use crate::parallel::{Threads, for_each_range};
use crate::shape::Shape;
use bantam_kernels::conv2d::{Activation, Convolution};
use bantam_kernels::{CacheLine, Isa, elementwise};

/// The sum of two inputs or more of one shape, up to [`MAX_INPUTS`](crate::MAX_INPUTS), element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Add;

impl Layer for Add {
    const NAME: &'static str = "Add";
    const BASE: &'static str = "add";
    const TYPE: LayerType = match LayerType::of::<Add>().takes_activation() {
        layer if Convolution::CAN_ADD => layer.arranges(join),
        layer => layer,
    };
    type Step = AddStep;

    fn read(_: &mut Attributes<'_>) -> Add {
        Add
    }

    fn write(&self, _: &mut AttributesMut) {}

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let (first, others) = several_inputs(inputs)?;
        others.iter().try_for_each(|&other| first.require("operand", other))?;
        Ok(Signature::new(first))
    }

    fn lower(&self, site: &Site<'_>) -> Result<AddStep, Error> {
        Ok(AddStep { isa: site.isa, activation: site.activation, threads: site.threads })
    }
}

impl Differentiable for Add {
    type TrainingStep = AddStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<AddStep, Error> {
        self.lower(site)
    }
}

/// Has the step that gives the last of two operands add to the other, if it can: the map between is not there then.
fn join(schedule: &mut Schedule, at: usize, activation: Activation) -> Result<(), Error> {
    let Some(before) = at.checked_sub(1) else { return Ok(()) };
    let (reads, map) = (&schedule.reads[schedule.steps[at].reads.clone()], schedule.steps[before].map);
    if reads.len() == 2
        && reads.iter().any(|read| read.source == Source::Operation(before))
        && reads.iter().all(|read| read.map == map)
        && schedule.is_read_once(before)
        && adds(&mut *schedule.steps[before].step, activation)
    {
        schedule.merge(before);
    }
    Ok(())
}

/// Has a step add to a second input, if it ends with a convolution that can.
fn adds(step: &mut dyn Step, activation: Activation) -> bool {
    let Some(step) = step.merged() else { return false };
    if let Some(convolution) = step.downcast_mut::<ConvolutionStep>() {
        return convolution.add(activation);
    }
    if let Some(by_rows) = step.downcast_mut::<ByRows>() {
        return by_rows.add(activation);
    }
    step.downcast_mut::<Separable<ConvolutionStep>>().is_some_and(|separable| separable.add(activation))
}

/// [`Add`], ready to run.
pub struct AddStep {
    pub(crate) isa: Isa,
    pub(crate) activation: Activation,
    pub(crate) threads: Threads,
}

impl Step for AddStep {
    /// A sum begins with the first two inputs, in either order: whatever is overwritten, its bits stay the same.
    fn overwrites(&self, input: usize) -> bool {
        input < 2
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (inputs, overwritten) = (run.inputs, run.overwritten);
        // The last sum is the one that is activated.
        let activation = |i: usize| if i + 1 == inputs.len() { self.activation } else { Activation::None };
        for_each_range(self.threads, run.output, CacheLine::NUMBERS, |part, y| {
            match overwritten {
                Some(i) => {
                    elementwise::add_assign(self.isa, activation(1), y, &inputs[1 - i][part.clone()])?;
                }
                None => {
                    let [a, b] = [0, 1].map(|i| &inputs[i][part.clone()]);
                    elementwise::add(self.isa, activation(1), a, b, y)?;
                }
            }
            for (i, x) in inputs.iter().enumerate().skip(2) {
                elementwise::add_assign(self.isa, activation(i), y, &x[part.clone()])?;
            }
            Ok(())
        })
    }
}

impl TrainingStep for AddStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::output_of(self.activation)
    }

    fn passes_gradient_on(&self) -> bool {
        true
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        grad_activation(self.isa, self.activation, run.output, run.d_output)?;
        if let Some(d_input) = run.d_input {
            d_input.copy_from_slice(run.d_output);
        }
        Ok(())
    }
}
