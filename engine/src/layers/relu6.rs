use super::map::Map;
use crate::error::Error;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise;

/// `min(max(0, x), 6)`, Keras's `ReLU(max_value=6)` (Howard et al., "MobileNets", arXiv 1704.04861). It goes into the pass of a
/// layer before it that can take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relu6;

impl Map for Relu6 {
    const NAME: &'static str = "ReLU6";
    const BASE: &'static str = "re_lu6";
    const ACTIVATION: Option<Activation> = Some(Activation::Relu6);
    type Function = elementwise::Relu6;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Relu6)
    }
}
