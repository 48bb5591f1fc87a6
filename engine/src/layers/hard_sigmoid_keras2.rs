use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `min(max(0, x / 5 + 1 / 2), 1)`, the `Activation("hard_sigmoid")` of Keras 1 and 2 and the default of ONNX;
/// [`HardSigmoid`](crate::HardSigmoid) is Keras 3's. A model that an earlier Keras trained needs this one, whichever reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardSigmoidKeras2;

impl Map for HardSigmoidKeras2 {
    const NAME: &'static str = "HardSigmoidKeras2";
    const BASE: &'static str = "hard_sigmoid_keras2";
    type Function = elementwise::HardSigmoidKeras2;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::HardSigmoidKeras2)
    }
}
