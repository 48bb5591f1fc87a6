//! What a model looks at, and what it looks for.
//!
//! [`GradCam`] shows where in an image a class is seen, by gradients; [`Occlusion`] by what the class's probability loses when
//! a part of the image is covered; [`Ascent`] makes an image that excites a filter. A heat map is a [`Tensor`], `[h, w]`,
//! which [`resized`] brings to the image's size.

mod ascent;
mod grad_cam;
mod occlusion;
mod resized;

pub use ascent::Ascent;
pub use grad_cam::GradCam;
pub use occlusion::Occlusion;
pub use resized::resized;

use crate::error::Error;
use crate::graph::Model;

/// How many classes an output or scores `[classes]` have, if that class is among them.
fn check_class(model: &Model<'_>, scores: usize, class: usize) -> Result<usize, Error> {
    let [classes] = model.value_shape(scores).array("scores of classes")?;
    if class < classes {
        return Ok(classes);
    }
    Err(bantam_kernels::Error::OutOfRange { what: "class", max: classes - 1, got: class }.into())
}
