use super::average_pool2d::AveragePool2dStep;
use super::{Attributes, AttributesMut, Differentiable, Layer, Signature, Site, one_input};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::avg_pool2d::Geometry;
use bantam_kernels::conv2d::Padding;

/// The mean of each channel over all pixels, `[H, W, C]` to `[C]` (Lin et al., arXiv 1312.4400).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GlobalAveragePool2d {
    /// Whether the output is `[1, 1, C]`.
    pub keep_dims: bool,
}

impl GlobalAveragePool2d {
    /// To `[C]`.
    pub const fn new() -> GlobalAveragePool2d {
        GlobalAveragePool2d { keep_dims: false }
    }

    /// To `[1, 1, C]`.
    pub const fn keep_dims(self) -> GlobalAveragePool2d {
        GlobalAveragePool2d { keep_dims: true }
    }
}

impl Layer for GlobalAveragePool2d {
    const NAME: &'static str = "GlobalAveragePooling2D";
    const BASE: &'static str = "global_average_pooling2d";
    type Step = AveragePool2dStep;

    fn read(attributes: &mut Attributes<'_>) -> GlobalAveragePool2d {
        GlobalAveragePool2d { keep_dims: attributes.flag("keepdims flag") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.flag(self.keep_dims);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        Ok(Signature::new(one_pixel(one_input(inputs)?, self.keep_dims)?))
    }

    fn lower(&self, site: &Site<'_>) -> Result<AveragePool2dStep, Error> {
        let input @ [_, h, w, _] = one_input(site.inputs)?.array("input")?;
        Ok(AveragePool2dStep::new(Geometry::new(input, [h, w], [h, w], Padding::Valid)?, site))
    }
}

impl Differentiable for GlobalAveragePool2d {
    type TrainingStep = AveragePool2dStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<AveragePool2dStep, Error> {
        self.lower(site)
    }
}

/// The shape of an image `[H, W, C]` whose pixels became one: `[C]`, or with its dimensions kept `[1, 1, C]`.
pub(super) fn one_pixel(image: Shape, keep_dims: bool) -> Result<Shape, Error> {
    let [_, _, channels] = image.array("input")?;
    let dims = [1, 1, channels];
    Ok(Shape::new(if keep_dims { &dims } else { &dims[2..] })?)
}
