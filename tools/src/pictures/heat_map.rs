//! Where a model looks.

use super::level;
use image::{Rgb, RgbImage};

/// A map of 0 to 1 laid over an image of the same size, blue where it is 0 and red where it is 1: the image, and the map's
/// color 0.4 times, as in *Deep Learning with Python*, as light as the lightest of it.
///
/// `levels` is `[height, width, 3]` or, in grey, `[height, width, 1]`, of 0 to 255; `map` is `[height, width]`.
///
/// # Panics
/// Their lengths differ from these.
pub fn overlay(levels: &[f32], map: &[f32], [height, width]: [usize; 2]) -> RgbImage {
    let pixels = height * width;
    let channels = levels.len() / pixels;
    assert!(map.len() == pixels && levels.len() == channels * pixels && [1, 3].contains(&channels));
    let laid: Vec<[f32; 3]> = levels
        .chunks(channels)
        .zip(map)
        .map(|(pixel, &heat)| {
            let image = [pixel[0], pixel[channels / 2], pixel[channels - 1]];
            let color = jet(heat);
            std::array::from_fn(|i| image[i] + 0.4 * 255.0 * color[i])
        })
        .collect();
    let lightest = laid.iter().flatten().fold(255.0f32, |lightest, &x| lightest.max(x));
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        Rgb(laid[y as usize * width + x as usize].map(|x| level(x * 255.0 / lightest)))
    })
}

/// The colors of MATLAB's `jet`, of 0 to 1: blue, cyan, yellow, red.
fn jet(number: f32) -> [f32; 3] {
    [3.0, 2.0, 1.0].map(|middle| (1.5 - (4.0 * number.clamp(0.0, 1.0) - middle).abs()).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_is_red_and_its_absence_blue() {
        let image = overlay(&[0.0, 0.0, 0.0], &[0.0, 0.5, 1.0], [1, 3]);
        // Half of a colour at both ends, as the map has it.
        assert_eq!(
            image.pixels().map(|pixel| pixel.0).collect::<Vec<_>>(),
            [[0, 0, 51], [51, 102, 51], [51, 0, 0]]
        );
        // The lightest is 255 + 102, and all is darker by as much.
        let image = overlay(&[255.0, 0.0, 100.0, 0.0, 255.0, 0.0], &[0.0, 0.5], [1, 2]);
        assert_eq!(image.pixels().map(|pixel| pixel.0).collect::<Vec<_>>(), [[182, 0, 108], [36, 255, 36]]);
    }
}
