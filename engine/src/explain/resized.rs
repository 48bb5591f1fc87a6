use crate::error::Error;
use crate::shape::Shape;
use crate::tensor::Tensor;
use bantam_kernels::Isa;
use bantam_kernels::warp::{self, Affine, Fill, Interpolation};

/// A map `[h, w]` in another size, `[H, W]`, by bilinear interpolation between the centres of its pixels; beyond the outermost
/// it goes on as it is there. It does not average: a map that is made smaller keeps one of some pixels.
///
/// ```
/// use bantam::{Isa, Tensor, explain};
/// let map = Tensor::new(&[1, 2], vec![0.0, 1.0])?;
/// let wide = explain::resized(Isa::detect(), &map, [2, 4])?;
/// assert_eq!(wide.data(), [0.0, 0.25, 0.75, 1.0, 0.0, 0.25, 0.75, 1.0]);
/// # Ok::<(), bantam::Error>(())
/// ```
///
/// # Errors
/// The map has not two dimensions, a size is zero or above 2²¹, or there is no memory.
pub fn resized(isa: Isa, map: &Tensor, size: [usize; 2]) -> Result<Tensor, Error> {
    let [h, w] = map.shape().array("map")?;
    let mut resized = Tensor::zeros(Shape::new(&size)?.dims())?;
    // Pixel i covers [i, i + 1), and has its centre in the middle.
    let [down, across] = [h as f32 / size[0] as f32, w as f32 / size[1] as f32];
    let affine = Affine {
        input: [h, w, 1],
        output: size,
        matrix: [[down, 0.0, down / 2.0 - 0.5], [0.0, across, across / 2.0 - 0.5]],
        interpolation: Interpolation::Bilinear,
        fill: Fill::Nearest,
    };
    warp::affine(isa, &affine, map.data(), resized.data_mut())?;
    Ok(resized)
}
