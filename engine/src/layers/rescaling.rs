use super::map::{Map, finite};
use super::{Attributes, AttributesMut};
use crate::error::Error;
use bantam_kernels::elementwise;

/// `scale · x + offset`, as pixels of 0 to 255 become numbers from 0 to 1 or -1 to 1. Any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rescaling {
    /// What each number is multiplied by.
    pub scale: f32,
    /// What is added then.
    pub offset: f32,
}

impl Rescaling {
    /// With that finite scale and no offset.
    pub const fn new(scale: f32) -> Rescaling {
        Rescaling { scale, offset: 0.0 }
    }

    /// With that finite offset.
    pub const fn offset(self, offset: f32) -> Rescaling {
        Rescaling { offset, ..self }
    }
}

impl Default for Rescaling {
    /// From 0 to 255, to 0 to 1.
    fn default() -> Rescaling {
        Rescaling::new(1.0 / 255.0)
    }
}

impl Map for Rescaling {
    const NAME: &'static str = "Rescaling";
    const BASE: &'static str = "rescaling";
    type Function = elementwise::Affine;

    fn function(&self) -> Result<Self::Function, Error> {
        let Rescaling { scale, offset } = *self;
        finite("scale", scale)?;
        finite("offset", offset)?;
        Ok(elementwise::Affine { scale, offset })
    }

    fn read(attributes: &mut Attributes<'_>) -> Rescaling {
        let [scale, offset] = ["scale", "offset"].map(|what| attributes.number(what));
        Rescaling { scale, offset }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.scale);
        attributes.number(self.offset);
    }
}
