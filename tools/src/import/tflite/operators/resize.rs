//! Maps enlarged.

use crate::import::refused::Refused;
use crate::import::resampling::Rule;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, one};

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
