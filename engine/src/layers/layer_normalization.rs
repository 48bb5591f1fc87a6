use super::group_normalization::{Affine, GroupNormalizationStep, last};
use super::{Attributes, AttributesMut, Differentiable, Layer, Signature, Site, one_input};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::normalization::Groups;

/// Normalisation over the last dimension, of any shape (Ba et al., "Layer Normalization", arXiv 1607.06450):
///
/// `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`
///
/// with mean and biased variance of each row, and `gamma` and `beta` of each of its elements. It computes the same in training
/// and at inference, whatever the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerNormalization {
    /// Epsilon, and which weights there are.
    pub options: Affine,
}

impl LayerNormalization {
    /// With Keras's epsilon, 0.001.
    pub const fn new() -> LayerNormalization {
        LayerNormalization { options: Affine::DEFAULT }
    }

    /// With that number added to each variance; it is positive.
    pub const fn epsilon(self, epsilon: f32) -> LayerNormalization {
        LayerNormalization { options: Affine { epsilon, ..self.options } }
    }

    /// Without a beta.
    pub const fn no_center(self) -> LayerNormalization {
        LayerNormalization { options: Affine { center: false, ..self.options } }
    }

    /// Without a gamma.
    pub const fn no_scale(self) -> LayerNormalization {
        LayerNormalization { options: Affine { scale: false, ..self.options } }
    }
}

impl Default for LayerNormalization {
    fn default() -> LayerNormalization {
        LayerNormalization::new()
    }
}

impl Layer for LayerNormalization {
    const NAME: &'static str = "LayerNormalization";
    const BASE: &'static str = "layer_normalization";
    type Step = GroupNormalizationStep;

    fn read(attributes: &mut Attributes<'_>) -> LayerNormalization {
        LayerNormalization { options: Affine::read(attributes) }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        self.options.write(attributes);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        self.options.signature(one_input(inputs)?)
    }

    /// Each row is an image of one pixel and one group.
    fn lower(&self, site: &Site<'_>) -> Result<GroupNormalizationStep, Error> {
        let input = one_input(site.inputs)?;
        let columns = last(input)?;
        let groups = Groups::new(input.elements() / columns, 1, columns, 1)?;
        Ok(GroupNormalizationStep::new(site.isa, groups, columns, columns, self.options))
    }
}

impl Differentiable for LayerNormalization {
    type TrainingStep = GroupNormalizationStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<GroupNormalizationStep, Error> {
        self.lower(site)
    }
}
