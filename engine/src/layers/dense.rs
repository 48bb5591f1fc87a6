use super::conv2d::{ConvolutionStep, ConvolutionTraining};
use super::{
    Attributes, AttributesMut, Differentiable, Initial, Layer, LayerType, Signature, Site, kept, one_input,
    one_input_of,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::{self as kernels, conv2d::Geometry};

/// `[In]` times a kernel of `[In, units]`, plus a bias of `[units]`: a convolution of one-pixel images, because that
/// runs on weights that are packed already and allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dense {
    /// Outputs.
    pub units: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Dense {
    /// With so many outputs, and a bias.
    pub const fn new(units: usize) -> Dense {
        Dense { units, bias: true }
    }

    /// Without a bias.
    pub const fn no_bias(self) -> Dense {
        Dense { bias: false, ..self }
    }

    /// For a batch `[N, In]`.
    fn geometry(&self, [batch, features]: [usize; 2]) -> Result<Geometry, kernels::Error> {
        Geometry::dense(batch, features, self.units)
    }
}

impl Layer for Dense {
    const NAME: &'static str = "Dense";
    const BASE: &'static str = "dense";
    const TYPE: LayerType = LayerType::of::<Dense>().takes_activation();
    type Step = ConvolutionStep;

    fn read(attributes: &mut Attributes<'_>) -> Dense {
        Dense { units: attributes.size("units"), bias: attributes.flag("bias flag") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.size(self.units);
        attributes.flag(self.bias);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let (input, units) = (one_input(inputs)?, self.units);
        let &[features] = input.dims() else { return Err(Error::not_flat(input)) };
        if units == 0 {
            return Err(bantam_kernels::Error::ZeroSize { what: "units" }.into());
        }
        kept(&self.geometry([1, features]))?;
        Ok(Signature::of(&[units])
            .weight("kernel", &[features, units], Initial::Drawn { fan_in: features, fan_out: units })
            .bias(self.bias, units))
    }

    fn lower(&self, site: &Site<'_>) -> Result<ConvolutionStep, Error> {
        Ok(ConvolutionStep::new(kept(&self.geometry(one_input_of(site.inputs)?))?, site))
    }
}

impl Differentiable for Dense {
    type TrainingStep = ConvolutionTraining;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<ConvolutionTraining, Error> {
        Ok(ConvolutionTraining::new(kept(&self.geometry(one_input_of(site.inputs)?))?, site))
    }
}
