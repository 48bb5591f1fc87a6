use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `x · min(max(0, x + 3), 6) / 6`, Keras's `Activation("hard_swish")` (Howard et al., "Searching for MobileNetV3",
/// arXiv 1905.02244).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardSwish;

impl Map for HardSwish {
    const NAME: &'static str = "HardSwish";
    const BASE: &'static str = "hard_swish";
    type Function = elementwise::HardSwish;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::HardSwish)
    }
}
