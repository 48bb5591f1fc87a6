use super::map::{Map, not_negative};
use super::{Attributes, AttributesMut};
use crate::error::Error;
use bantam_kernels::elementwise;

/// `x` if it is positive, else `alpha (exp(x) - 1)` (Clevert et al., "Fast and Accurate Deep Network Learning by Exponential
/// Linear Units", arXiv 1511.07289). The default alpha is Keras's, 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Elu {
    /// What it tends to at minus infinity, less its sign.
    pub alpha: f32,
}

impl Elu {
    /// Down to minus that number, which is finite and not negative.
    pub const fn new(alpha: f32) -> Elu {
        Elu { alpha }
    }
}

impl Default for Elu {
    fn default() -> Elu {
        Elu::new(1.0)
    }
}

impl Map for Elu {
    const NAME: &'static str = "ELU";
    const BASE: &'static str = "elu";
    type Function = elementwise::Elu;

    fn function(&self) -> Result<Self::Function, Error> {
        not_negative("alpha", self.alpha)?;
        Ok(elementwise::Elu { scale: 1.0, alpha: self.alpha, at_zero: self.alpha })
    }

    fn read(attributes: &mut Attributes<'_>) -> Elu {
        Elu { alpha: attributes.number("alpha") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.alpha);
    }
}
