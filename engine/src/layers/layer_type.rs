use super::{Attributes, CopyStep, Differentiable, Layer, Schedule, Signature, Site, Step, TrainingStep};
use crate::error::Error;
use crate::memory::heap::boxed;
use alloc::boxed::Box;
use bantam_kernels::Isa;
use bantam_kernels::conv2d::Activation;
use core::fmt;

/// A kind of layer as a value: what a program has of it, and no more, is linked.
pub struct LayerType {
    pub(crate) name: &'static str,
    pub(crate) base: &'static str,
    pub(crate) signature: fn(&mut Attributes<'_>, &[crate::Shape]) -> Result<Signature, Error>,
    pub(crate) lower: LowerStep,
    pub(crate) lower_for_training: Option<LowerTrainingStep>,
    pub(crate) passes_on: PassesOn,
    pub(crate) adds_to_loss: Option<AddsToLoss>,
    pub(crate) is_activation: Option<Activation>,
    pub(crate) takes_activation: bool,
    pub(crate) monotone: bool,
    pub(crate) joined: Option<&'static Joined>,
    pub(crate) arrange: Option<Arrange>,
}

/// Has a say in where the outputs lie that a step of a schedule reads, and in what computes them; the
/// activation is the step's.
pub(crate) type Arrange = fn(&mut Schedule, usize, Activation) -> Result<(), Error>;

/// What a layer adds to the loss of its input, summed over the samples.
pub(crate) type AddsToLoss = fn(&mut Attributes<'_>, Isa, &[f32]) -> f32;

type LowerStep = fn(&mut Attributes<'_>, &Site<'_>) -> Result<Box<dyn Step>, Error>;
type LowerTrainingStep = fn(&mut Attributes<'_>, &Site<'_>) -> Result<Box<dyn TrainingStep>, Error>;

/// Of the attributes of the layer before, and of its own.
type LowerJoined<S> = fn([&mut Attributes<'_>; 2], &Site<'_>) -> Result<Box<S>, Error>;

/// Whether a layer hands its input's numbers on as they are, so that there is nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PassesOn {
    /// It computes.
    #[default]
    Never,
    /// Only in inference.
    Inference,
    /// It says that they have another shape.
    Always,
}

/// How a layer goes into one step with the layer before it.
pub struct Joined {
    /// The name of the layer before.
    pub(crate) before: &'static str,
    /// Whether the two can, by their attributes.
    pub(crate) fits: fn(&mut Attributes<'_>) -> bool,
    pub(crate) lower: LowerJoined<dyn Step>,
    pub(crate) lower_for_training: Option<LowerJoined<dyn TrainingStep>>,
}

impl LayerType {
    /// For inference.
    pub const fn of<L: Layer>() -> LayerType {
        LayerType {
            name: L::NAME,
            base: L::BASE,
            signature: |attributes, inputs| L::read(attributes).signature(inputs),
            lower: |attributes, site| Ok(boxed(L::read(attributes).lower(site)?)? as Box<dyn Step>),
            lower_for_training: None,
            passes_on: PassesOn::Never,
            adds_to_loss: None,
            is_activation: None,
            takes_activation: false,
            monotone: false,
            joined: None,
            arrange: None,
        }
    }

    /// For training too.
    #[must_use]
    pub const fn trainable<L: Differentiable>(self) -> LayerType {
        let lower_for_training: LowerTrainingStep = |attributes, site| {
            Ok(boxed(L::read(attributes).lower_for_training(site)?)? as Box<dyn TrainingStep>)
        };
        LayerType { lower_for_training: Some(lower_for_training), ..self }
    }

    /// It hands its input on: in inference there is no step of it.
    #[must_use]
    pub const fn passes_on(self, passes_on: PassesOn) -> LayerType {
        // A box of nothing takes no memory.
        let lower: LowerStep = |_, _| Ok(Box::new(CopyStep));
        LayerType { passes_on, lower, ..self }
    }

    /// Of its input, it adds so much to the loss of each sample: in training its step does, in evaluation this, which gives
    /// the sum over the samples.
    #[must_use]
    pub(crate) const fn adds_to_loss(self, adds_to_loss: AddsToLoss) -> LayerType {
        LayerType { adds_to_loss: Some(adds_to_loss), ..self }
    }

    /// It is an activation that other layers can take into their pass.
    #[must_use]
    pub const fn is_activation(self, activation: Activation) -> LayerType {
        LayerType { is_activation: Some(activation), ..self }
    }

    /// An activation behind it goes into the same pass: [`Site::activation`].
    #[must_use]
    pub const fn takes_activation(self) -> LayerType {
        LayerType { takes_activation: true, ..self }
    }

    /// It gives the same, and has less to do, if the activation before it comes after it.
    #[must_use]
    pub(crate) const fn monotone(self) -> LayerType {
        LayerType { monotone: true, ..self }
    }

    /// Activations go into its pass or come after it as those of another layer.
    #[must_use]
    pub(crate) const fn fused_as(self, other: &LayerType) -> LayerType {
        let LayerType { takes_activation, monotone, .. } = *other;
        LayerType { takes_activation, monotone, ..self }
    }

    /// It goes into one step with another layer before it.
    #[must_use]
    pub(crate) const fn joined(self, joined: &'static Joined) -> LayerType {
        LayerType { joined: Some(joined), ..self }
    }

    /// It has a say in where its inputs lie.
    #[must_use]
    pub(crate) const fn arranges(self, arrange: Arrange) -> LayerType {
        LayerType { arrange: Some(arrange), ..self }
    }

    /// Keras's name of the class.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for LayerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for LayerType {
    fn eq(&self, other: &LayerType) -> bool {
        self.name == other.name
    }
}
