use super::map::Map;
use crate::error::Error;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise;

/// `max(0, x)`; NaN stays NaN. It goes into the pass of a layer before it that can take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relu;

impl Map for Relu {
    const NAME: &'static str = "ReLU";
    const BASE: &'static str = "re_lu";
    const ACTIVATION: Option<Activation> = Some(Activation::Relu);
    type Function = elementwise::Relu;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Relu)
    }
}
