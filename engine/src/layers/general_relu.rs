use super::map::{Map, not_negative};
use super::{Attributes, AttributesMut};
use crate::error::Error;
use bantam_kernels::elementwise;

/// `min(x, max_value)` above the threshold, `negative_slope (x - threshold)` below it: Keras's `ReLU` with other arguments than
/// [`Relu`](crate::Relu), [`Relu6`](crate::Relu6) and [`LeakyRelu`](crate::LeakyRelu) have, which are faster or go into the
/// pass of the layer before.
///
/// Its gradient is Keras's at the corners too: that from below at the largest value, 0 at the threshold unless there is a slope
/// and nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GeneralRelu {
    /// The largest output, infinity if there is none.
    pub max_value: f32,
    /// The slope below the threshold.
    pub negative_slope: f32,
    /// Where it begins to rise.
    pub threshold: f32,
}

impl GeneralRelu {
    /// `max(0, x)`
    pub const fn new() -> GeneralRelu {
        GeneralRelu { max_value: f32::INFINITY, negative_slope: 0.0, threshold: 0.0 }
    }

    /// With a largest output, which is not negative.
    pub const fn max_value(self, max_value: f32) -> GeneralRelu {
        GeneralRelu { max_value, ..self }
    }

    /// With that slope below the threshold, which is finite and not negative.
    pub const fn negative_slope(self, negative_slope: f32) -> GeneralRelu {
        GeneralRelu { negative_slope, ..self }
    }

    /// Rising from there on; finite and not negative.
    pub const fn threshold(self, threshold: f32) -> GeneralRelu {
        GeneralRelu { threshold, ..self }
    }
}

impl Default for GeneralRelu {
    fn default() -> GeneralRelu {
        GeneralRelu::new()
    }
}

impl Map for GeneralRelu {
    const NAME: &'static str = "GeneralReLU";
    /// As Keras calls it.
    const BASE: &'static str = "re_lu";
    type Function = elementwise::GeneralRelu;

    fn function(&self) -> Result<Self::Function, Error> {
        let GeneralRelu { max_value, negative_slope: slope, threshold } = *self;
        not_negative("negative slope", slope)?;
        not_negative("threshold", threshold)?;
        if max_value != f32::INFINITY {
            not_negative("largest value", max_value)?;
        }
        Ok(elementwise::GeneralRelu { max_value, slope, threshold })
    }

    fn read(attributes: &mut Attributes<'_>) -> GeneralRelu {
        let [max_value, negative_slope, threshold] =
            ["largest value", "negative slope", "threshold"].map(|what| attributes.number(what));
        GeneralRelu { max_value, negative_slope, threshold }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.max_value);
        attributes.number(self.negative_slope);
        attributes.number(self.threshold);
    }
}
