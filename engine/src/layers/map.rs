//! What all layers share that are a function of each element.

use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType, Signature,
    Site, Step, TrainingStep, one_input,
};
use crate::error::Error;
use crate::parallel::{Threads, for_each_range};
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise::{self, Function, GradientAt};
use bantam_kernels::{CacheLine, Isa};

/// A layer that is a function of each element, of any shape.
pub trait Map: Default + 'static {
    /// As [`Layer::NAME`].
    const NAME: &'static str;
    /// As [`Layer::BASE`].
    const BASE: &'static str;
    /// What it is to a layer that takes it into its pass.
    const ACTIVATION: Option<Activation> = None;

    /// The function.
    type Function: Function + Copy + Send + Sync + 'static;

    /// The function, if its numbers are in their range.
    fn function(&self) -> Result<Self::Function, Error>;

    /// As [`Layer::read`]; most functions have no attributes.
    fn read(_: &mut Attributes<'_>) -> Self {
        Self::default()
    }

    /// As [`Layer::write`].
    fn write(&self, _: &mut AttributesMut) {}
}

impl<M: Map> Layer for M {
    const NAME: &'static str = <M as Map>::NAME;
    const BASE: &'static str = <M as Map>::BASE;
    const TYPE: LayerType = match M::ACTIVATION {
        Some(activation) => LayerType::of::<M>().is_activation(activation),
        None => LayerType::of::<M>(),
    };
    type Step = MapStep<M::Function>;

    fn read(attributes: &mut Attributes<'_>) -> M {
        Map::read(attributes)
    }

    fn write(&self, attributes: &mut AttributesMut) {
        Map::write(self, attributes);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        self.function()?;
        Ok(Signature::new(one_input(inputs)?))
    }

    fn lower(&self, site: &Site<'_>) -> Result<Self::Step, Error> {
        Ok(MapStep { isa: site.isa, function: self.function()?, threads: site.threads })
    }
}

impl<M: Map> Differentiable for M {
    type TrainingStep = MapStep<M::Function>;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<Self::TrainingStep, Error> {
        self.lower(site)
    }
}

/// A function of each element, ready to run.
pub struct MapStep<F> {
    isa: Isa,
    function: F,
    threads: Threads,
}

impl<F> MapStep<F> {
    pub(crate) fn new(isa: Isa, function: F) -> MapStep<F> {
        MapStep { isa, function, threads: Threads::ONE }
    }
}

impl<F: Function + Copy + Send + Sync> Step for MapStep<F> {
    fn overwrites(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let MapStep { isa, function, threads } = *self;
        let x = run.overwritten.is_none().then_some(run.inputs[0]);
        for_each_range(threads, run.output, CacheLine::NUMBERS, |part, y| {
            match x {
                Some(x) => elementwise::map(isa, function, &x[part], y)?,
                None => elementwise::map_in_place(isa, function, y),
            }
            Ok(())
        })
    }
}

impl<F: Function + Copy + Send + Sync> TrainingStep for MapStep<F> {
    fn backward_reads(&self) -> BackwardReads {
        match F::GRADIENT_AT {
            GradientAt::Output => BackwardReads::OUTPUT,
            GradientAt::Input => BackwardReads::INPUTS,
        }
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let at = match F::GRADIENT_AT {
            GradientAt::Output => run.output,
            GradientAt::Input => run.inputs[0],
        };
        d_input.copy_from_slice(run.d_output);
        Ok(elementwise::map_grad(self.isa, self.function, at, d_input)?)
    }
}

/// Refuses a number that is not finite.
pub(super) fn finite(what: &'static str, got: f32) -> Result<(), Error> {
    if got.is_finite() { Ok(()) } else { Err(Error::OutOfRange { what, expected: "a finite number", got }) }
}

/// Refuses a number that is negative or not finite.
pub(super) fn not_negative(what: &'static str, got: f32) -> Result<(), Error> {
    let expected = "a finite number that is not negative";
    if (0.0..f32::INFINITY).contains(&got) { Ok(()) } else { Err(Error::OutOfRange { what, expected, got }) }
}
