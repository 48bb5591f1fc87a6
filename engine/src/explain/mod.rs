//! What a model looks at, and what it looks for.
//!
//! [`GradCam`] shows where in an image a class is seen, by gradients; [`Occlusion`] by what the class's probability loses when
//! a part of the image is covered; [`Ascent`] makes an image that excites a filter. A heat map is a [`Tensor`](crate::Tensor),
//! `[h, w]`, which [`resized`] brings to the image's size.

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

/// Which output of `[classes]` is a class's, and by which sign: a single output is that of the second of two classes.
fn output_of(model: &Model<'_>, scores: usize, class: usize) -> Result<(usize, f32), Error> {
    let [outputs] = model.value_shape(scores).array("scores of classes")?;
    let classes = outputs.max(2);
    if class >= classes {
        return Err(bantam_kernels::Error::OutOfRange { what: "class", max: classes - 1, got: class }.into());
    }
    Ok(match (outputs, class) {
        (1, 0) => (0, -1.0),
        (1, _) => (0, 1.0),
        _ => (class, 1.0),
    })
}
