//! Where a model looks.

use super::level;
use super::sheet::{Sheet, magnified};
use bantam::explain::resized;
use bantam::{Conv2d, DepthwiseConv2d, Error, Isa, Model, Node, SeparableConv2d, Tensor};
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

/// An image `[H, W, C]` in levels of 0 to 255, and beside it with a map of 0 to 1 of any size laid over it. A small image is drawn
/// larger, until a side has 224 pixels or more.
///
/// # Errors
/// There is no memory.
///
/// # Panics
/// `levels` has another length, or `map` not two dimensions.
pub fn beside(levels: &[f32], shape: [usize; 3], map: &Tensor) -> Result<RgbImage, Error> {
    const SIDE: usize = 224;
    let [height, width, _] = shape;
    let times = SIDE.div_ceil(height.max(width));
    let size = [height * times, width * times];
    let levels = magnified(levels, shape, times);
    let laid = overlay(&levels, resized(Isa::detect(), map, size)?.data(), size);
    let mut sheet = Sheet::new(2, 2, size);
    sheet.push(&levels);
    sheet.push(&laid.as_raw().iter().map(|&level| f32::from(level)).collect::<Vec<_>>());
    Ok(sheet.into_image())
}

/// What a class loses where a part of the image is covered, by the most that it loses: 0 to 1.
#[must_use]
pub fn relative(mut map: Tensor) -> Tensor {
    let most = map.data().iter().fold(f32::MIN_POSITIVE, |most, &loss| most.max(loss));
    map.data_mut().iter_mut().for_each(|loss| *loss = loss.max(0.0) / most);
    map
}

/// The layer whose maps tell most of where a class is seen: the last one that gives maps of the last convolution's size, behind
/// its normalisation and its activation and before a pool.
pub fn last_map<'a>(model: &'a Model<'_>) -> Option<&'a Node<'a>> {
    let convolves = |node: &&Node<'_>| {
        node.layer::<Conv2d>().is_some()
            || node.layer::<DepthwiseConv2d>().is_some()
            || node.layer::<SeparableConv2d>().is_some()
    };
    let size = |node: &Node<'_>| match *node.output_shape().dims() {
        [h, w, _] => Some([h, w]),
        _ => None,
    };
    let of_last = size(model.nodes().iter().rfind(convolves)?);
    model.nodes().iter().rfind(|node| size(node) == of_last)
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
