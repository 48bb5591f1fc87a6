use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Initial, Layer, Signature,
    Site, Step, TrainingStep, one_batch, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::normalization::{self, Groups};
use bantam_kernels::{Isa, channels, reduce};

/// Normalisation of each sample in groups of its channels, of any shape whose last dimension is the channels (Wu and He, "Group
/// Normalization", arXiv 1803.08494):
///
/// `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`
///
/// with mean and biased variance over all pixels of a sample and the channels of a group, and `gamma` and `beta` of each
/// channel. It computes the same in training and at inference, whatever the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupNormalization {
    /// Into how many groups the channels are parted.
    pub groups: usize,
    /// Epsilon, and which weights there are.
    pub options: Affine,
}

/// What [`GroupNormalization`] and [`LayerNormalization`](super::LayerNormalization) have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Affine {
    /// What is added to each variance.
    pub epsilon: f32,
    /// Whether there is a beta.
    pub center: bool,
    /// Whether there is a gamma.
    pub scale: bool,
}

impl Affine {
    /// Keras's.
    pub(super) const DEFAULT: Affine = Affine { epsilon: 1e-3, center: true, scale: true };

    pub(super) fn read(attributes: &mut Attributes<'_>) -> Affine {
        let epsilon = attributes.number("epsilon");
        let [center, scale] = ["center", "scale"].map(|what| attributes.flag(what));
        Affine { epsilon, center, scale }
    }

    pub(super) fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.epsilon);
        attributes.flag(self.center);
        attributes.flag(self.scale);
    }

    pub(super) fn signature(&self, input: Shape) -> Result<Signature, Error> {
        let (channels, got) = (last(input)?, self.epsilon);
        if !(got > 0.0 && got.is_finite()) {
            return Err(Error::OutOfRange { what: "epsilon", expected: "a finite number above 0", got });
        }
        let mut signature = Signature::new(input);
        if self.scale {
            signature = signature.weight("gamma", &[channels], Initial::Constant(1.0));
        }
        if self.center {
            signature = signature.weight("beta", &[channels], Initial::Constant(0.0));
        }
        Ok(signature)
    }
}

/// The last dimension.
pub(super) fn last(shape: Shape) -> Result<usize, Error> {
    shape.dims().last().copied().ok_or_else(|| Error::rank("input", 1, shape))
}

impl GroupNormalization {
    /// With so many groups of as many channels, and Keras's epsilon, 0.001. Keras's default is 32 groups.
    pub const fn new(groups: usize) -> GroupNormalization {
        GroupNormalization { groups, options: Affine::DEFAULT }
    }

    /// With that number added to each variance; it is positive.
    pub const fn epsilon(self, epsilon: f32) -> GroupNormalization {
        GroupNormalization { options: Affine { epsilon, ..self.options }, ..self }
    }

    /// Without a beta.
    pub const fn no_center(self) -> GroupNormalization {
        GroupNormalization { options: Affine { center: false, ..self.options }, ..self }
    }

    /// Without a gamma.
    pub const fn no_scale(self) -> GroupNormalization {
        GroupNormalization { options: Affine { scale: false, ..self.options }, ..self }
    }
}

impl Layer for GroupNormalization {
    const NAME: &'static str = "GroupNormalization";
    const BASE: &'static str = "group_normalization";
    type Step = GroupNormalizationStep;

    fn read(attributes: &mut Attributes<'_>) -> GroupNormalization {
        let groups = attributes.size("groups");
        GroupNormalization { groups, options: Affine::read(attributes) }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.size(self.groups);
        self.options.write(attributes);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let input = one_input(inputs)?;
        Groups::new(1, 1, last(input)?, self.groups)?;
        self.options.signature(input)
    }

    fn lower(&self, site: &Site<'_>) -> Result<GroupNormalizationStep, Error> {
        let (batch, sample) = one_batch(site.inputs)?;
        let channels = last(sample)?;
        let groups = Groups::new(batch, sample.elements() / channels, channels, self.groups)?;
        Ok(GroupNormalizationStep::new(site.isa, groups, channels, sample.elements(), self.options))
    }
}

impl Differentiable for GroupNormalization {
    type TrainingStep = GroupNormalizationStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<GroupNormalizationStep, Error> {
        self.lower(site)
    }
}

/// [`GroupNormalization`] or [`LayerNormalization`](super::LayerNormalization), ready to run.
pub struct GroupNormalizationStep {
    isa: Isa,
    /// Of a full batch.
    groups: Groups,
    channels: usize,
    /// Of one image of the groups.
    elements: usize,
    options: Affine,
}

impl GroupNormalizationStep {
    pub(super) fn new(isa: Isa, groups: Groups, channels: usize, elements: usize, options: Affine) -> Self {
        GroupNormalizationStep { isa, groups, channels, elements, options }
    }

    /// Gamma and beta, where they are.
    fn parameters<'w>(&self, weights: &[&'w [f32]]) -> [Option<&'w [f32]>; 2] {
        let mut weights = weights.iter().copied();
        [self.options.scale, self.options.center].map(|there| if there { weights.next() } else { None })
    }
}

impl Step for GroupNormalizationStep {
    fn scratch_len(&self) -> usize {
        self.groups.scratch_len()
    }

    fn overwrites(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let groups = self.groups.of(run.output.len() / self.elements);
        let (isa, epsilon, parameters) = (self.isa, self.options.epsilon, self.parameters(run.weights));
        let (y, scratch) = (run.output, run.scratch);
        Ok(match run.overwritten {
            Some(_) => normalization::forward_in_place(isa, groups, epsilon, parameters, y, scratch),
            None => normalization::forward(isa, groups, epsilon, run.inputs[0], parameters, y, scratch),
        }?)
    }
}

impl TrainingStep for GroupNormalizationStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    /// The inverse deviations, and what is normalised, which has a place in the input's gradient if there is one.
    fn backward_scratch_len(&self, d_input: bool) -> usize {
        let normalized = if d_input { 0 } else { self.groups.images() * self.elements };
        self.groups.scratch_len() + self.groups.count() + normalized
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let GroupNormalizationStep { isa, groups, channels, options, .. } = *self;
        let Backward { inputs, weights, d_output, d_input, d_weights, scratch, .. } = run;
        let [gamma, _] = self.parameters(weights);
        let mut of_weights = d_weights.iter_mut().map(|gradient| gradient.as_deref_mut());
        let [d_gamma, d_beta] = [options.scale, options.center]
            .map(|there| if there { of_weights.next().flatten() } else { None });
        let rows = d_output.len() / channels;
        if let Some(d_beta) = d_beta {
            reduce::sum_rows(isa, rows, channels, d_output, d_beta)?;
        }
        let (inverse, scratch) = scratch.split_at_mut(groups.count());
        let (scratch, rest) = scratch.split_at_mut(groups.scratch_len());
        let wanted = d_input.is_some();
        let normalized = d_input.unwrap_or(rest);
        if wanted || d_gamma.is_some() {
            normalization::normalize(isa, groups, options.epsilon, inputs[0], normalized, inverse, scratch)?;
        }
        if let Some(d_gamma) = d_gamma {
            channels::grad_scale(isa, 1, rows, channels, d_output, normalized, channels, d_gamma)?;
        }
        if wanted {
            normalization::grad_input(isa, groups, d_output, gamma, inverse, normalized, scratch)?;
        }
        Ok(())
    }
}
