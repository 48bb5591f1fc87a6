//! Maps enlarged.

use crate::import::constant::Int;
use crate::import::refused::Refused;
use crate::import::resampling::Rule;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, Map, one};

/// `RESIZE_BILINEAR` and `RESIZE_NEAREST_NEIGHBOR`, by whole factors.
pub fn resize(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let [h, w, channels] = importer.pixels(&map)?;
    let told = importer.numbers(node, 1, "a size")?;
    let size = |size: i64| usize::try_from(size).ok().filter(|&size| size > 0);
    let [Some(rows), Some(columns)] = told[..].iter().map(|&told| size(told)).collect::<Vec<_>>()[..] else {
        return Err(Refused::expected_got("size", "rows and columns", format!("{told:?}")));
    };
    let linear = node.op == "RESIZE_BILINEAR";
    let [corners, centres] = if linear { [2, 3] } else { [0, 1] };
    let transformation = match (node.flag(corners)?, node.flag(centres)?) {
        (false, false) => "asymmetric",
        (false, true) => "half_pixel",
        (true, false) => "align_corners",
        (true, true) => {
            return Err(Refused::new("align_corners and half_pixel_centers: expected one of them"));
        }
    };
    // Corners and centres go to the nearest pixel, others to that before.
    let nearest = if transformation == "asymmetric" { "floor" } else { "round_prefer_ceil" };
    let rule = Rule { transformation: transformation.into(), nearest: nearest.into(), linear };
    let id = importer.net.reshape(&node.name, map.id, &[h, w, channels]);
    let scales = [rows as f64 / h as f64, columns as f64 / w as f64];
    let id = importer.net.resampled(&node.name, id, [rows, columns], scales, &rule)?;
    let dims = importer.batch_of(&[rows, columns, channels]);
    one(importer.given(node, id, dims))
}

/// `TILE`: all elements of an axis so many times, one behind the other, which is `UpSampling2D` of rows of them. Keras 3 enlarges maps
/// so, with an axis of one element behind each that grows.
pub fn tile(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut map = importer.map(node, 0)?;
    let told = importer.numbers(node, 1, "how often")?;
    if told.len() != map.dims.len() {
        return Err(Refused::expected_got("multiples", map.dims.len(), told.len()));
    }
    for (axis, &times) in told.iter().enumerate().filter(|&(_, &times)| times != 1) {
        let sample = importer.sample(&map)?;
        let behind = axis.checked_sub(map.dims.len() - sample.len()).filter(|_| !sample.contains(&0));
        let behind = behind.ok_or_else(|| Refused::new("multiples: expected 1 for the batch"))?;
        let often = usize::try_from(times).ok().filter(|&times| times > 0);
        let often = often.ok_or_else(|| Refused::expected_got("multiples", "at least 1", times))?;
        let (outer, inner) = sample.split_at(behind);
        let [outer, inner] = [outer, inner].map(|sizes| sizes.iter().product::<usize>());
        let rule = Rule { transformation: "asymmetric".into(), nearest: "floor".into(), linear: false };
        let id = importer.net.reshape(&node.name, map.id, &[outer, 1, inner]);
        let id = importer.net.resampled(&node.name, id, [outer, often], [1.0, often as f64], &rule)?;
        let mut dims = map.dims.clone();
        let grown = sample[behind].checked_mul(often).and_then(|size| i64::try_from(size).ok());
        dims[axis] =
            Int::Known(grown.ok_or_else(|| Refused::new("multiples: expected a size that fits memory"))?);
        map = Map { id, dims, exclusive: true };
    }
    one(importer.seen(node, &map, map.dims.clone()))
}
