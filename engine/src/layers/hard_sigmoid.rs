use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `min(max(0, x + 3), 6) / 6`, Keras 3's `Activation("hard_sigmoid")`; earlier ones had another slope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardSigmoid;

impl Map for HardSigmoid {
    const NAME: &'static str = "HardSigmoid";
    const BASE: &'static str = "hard_sigmoid";
    type Function = elementwise::HardSigmoid;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::HardSigmoid)
    }
}
