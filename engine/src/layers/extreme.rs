//! What [`Maximum`](super::Maximum) and [`Minimum`](super::Minimum) share.

use super::{Backward, Forward, Step, TrainingStep};
use crate::error::Error;
use bantam_kernels::Isa;
use bantam_kernels::elementwise::{self, Extreme};

/// A layer that takes one of the numbers.
macro_rules! extreme_layer {
    ($layer:ident, $base:literal) => {
        impl Layer for $layer {
            const NAME: &'static str = stringify!($layer);
            const BASE: &'static str = $base;
            type Step = ExtremeStep;

            fn read(_: &mut Attributes<'_>) -> $layer {
                $layer
            }

            fn write(&self, _: &mut AttributesMut) {}

            fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
                let (first, others) = several_inputs(inputs)?;
                others.iter().try_for_each(|&other| first.require("operand", other))?;
                Ok(Signature::new(first))
            }

            fn lower(&self, site: &Site<'_>) -> Result<ExtremeStep, Error> {
                Ok(ExtremeStep { isa: site.isa, extreme: Extreme::$layer })
            }
        }

        impl Differentiable for $layer {
            type TrainingStep = ExtremeStep;

            fn lower_for_training(&self, site: &Site<'_>) -> Result<ExtremeStep, Error> {
                self.lower(site)
            }
        }
    };
}
pub(super) use extreme_layer;

/// [`Maximum`](super::Maximum) or [`Minimum`](super::Minimum), ready to run.
pub struct ExtremeStep {
    pub(super) isa: Isa,
    pub(super) extreme: Extreme,
}

impl Step for ExtremeStep {
    /// It begins with the first two inputs, in either order.
    fn overwrites(&self, input: usize) -> bool {
        input < 2
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let ExtremeStep { isa, extreme } = *self;
        let (inputs, y) = (run.inputs, run.output);
        match run.overwritten {
            Some(i) => elementwise::extreme_assign(isa, extreme, y, inputs[1 - i])?,
            None => elementwise::extreme(isa, extreme, inputs[0], inputs[1], y)?,
        }
        for x in &inputs[2..] {
            elementwise::extreme_assign(isa, extreme, y, x)?;
        }
        Ok(())
    }
}

impl TrainingStep for ExtremeStep {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        d_input.copy_from_slice(run.d_output);
        elementwise::keep_equal(self.isa, run.inputs[run.input], run.output, d_input)?;
        for earlier in &run.inputs[..run.input] {
            elementwise::keep_unequal(self.isa, earlier, run.output, d_input)?;
        }
        Ok(())
    }
}
