use super::map::{Map, not_negative};
use super::{Attributes, AttributesMut};
use crate::error::Error;
use bantam_kernels::elementwise;

/// `x` if it is positive, else `slope · x` (Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic
/// Models", 2013). The default slope is Keras's, 0.3.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeakyRelu {
    /// The slope below zero.
    pub slope: f32,
}

impl LeakyRelu {
    /// With that slope below zero, which is finite and not negative.
    pub const fn new(slope: f32) -> LeakyRelu {
        LeakyRelu { slope }
    }
}

impl Default for LeakyRelu {
    fn default() -> LeakyRelu {
        LeakyRelu::new(0.3)
    }
}

impl Map for LeakyRelu {
    const NAME: &'static str = "LeakyReLU";
    const BASE: &'static str = "leaky_re_lu";
    type Function = elementwise::LeakyRelu;

    fn function(&self) -> Result<Self::Function, Error> {
        not_negative("slope", self.slope)?;
        Ok(elementwise::LeakyRelu { slope: self.slope })
    }

    fn read(attributes: &mut Attributes<'_>) -> LeakyRelu {
        LeakyRelu { slope: attributes.number("slope") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.slope);
    }
}
