//! Maps enlarged.

use super::windows::Plane;
use crate::import::constant::{Constant, Int};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, one};
use crate::import::refused::Refused;
use crate::import::resampling::Rule;

/// `Resize`, and `Upsample` of opset 9 and before, by whole factors.
pub fn resize(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let plane = Plane::of(importer, &map)?;
    let scales = scales(importer, node, &plane)?;
    let upsample = node.op() == "Upsample" || node.opset < 11;
    let default = if upsample { "asymmetric" } else { "half_pixel" };
    let rule = Rule {
        transformation: node.text("coordinate_transformation_mode").unwrap_or(default).into(),
        nearest: node
            .text("nearest_mode")
            .unwrap_or(if upsample { "floor" } else { "round_prefer_floor" })
            .into(),
        linear: match node.text("mode").unwrap_or("nearest") {
            "nearest" => false,
            "linear" | "bilinear" => true,
            other => return Err(Refused::expected_got("mode", "nearest or linear", other)),
        },
    };
    if node.flag("antialias") || node.flag("exclude_outside") {
        return Err(Refused::new("antialias or exclude_outside: expected neither"));
    }
    let [h, w] = plane.sizes();
    let output = [scaled(h, scales[0]), scaled(w, scales[1])];
    let id = importer.laid(node, &map, &plane.groups());
    let id = importer.net.resampled(node.name, id, output, scales, &rule)?;
    let lies = plane.output(output, None, &mut importer.factors);
    one(importer.given(node, id, lies))
}

fn scaled(size: usize, scale: f64) -> usize {
    (size as f64 * scale).floor() as usize
}

/// By which the height and the width are multiplied.
fn scales(importer: &Importer<'_>, node: &Node<'_>, plane: &Plane) -> Result<[f64; 2], Refused> {
    let rank = plane.rank() + 2;
    let inputs = match (node.op(), node.opset) {
        ("Upsample", _) | (_, ..=10) => [1, usize::MAX],
        _ => [2, 3],
    };
    let axes: Vec<usize> = match node.ints("axes") {
        Some(axes) => axes.iter().map(|&axis| Node::axis(axis, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let policy = node.text("keep_aspect_ratio_policy").unwrap_or("stretch");
    if policy != "stretch" {
        return Err(Refused::expected_got("keep_aspect_ratio_policy", "stretch", policy));
    }
    let mut all = vec![1.0; rank];
    let told = match node.floats("scales") {
        Some(scales) => scales.to_vec(),
        None => importer.floats(node, inputs[0])?.map_or_else(Vec::new, |scales| scales.to_vec()),
    };
    let sizes = match node.inputs.get(inputs[1]).copied().flatten().map(|value| &importer.values[value]) {
        Some(crate::import::onnx::importer::Value::Constant(Constant::Ints(sizes))) => Some(&sizes.values),
        _ => None,
    };
    let [h, w] = plane.sizes();
    let of_axis = |axis: usize| match (plane.rank(), axis) {
        (2, 2) => Some(h),
        (2, 3) | (1, 2) => Some(w),
        _ => None,
    };
    if !told.is_empty() && told.len() == axes.len() {
        axes.iter().zip(&told).for_each(|(&axis, &scale)| all[axis] = f64::from(scale));
    } else if let Some(sizes) = sizes.filter(|sizes| sizes.len() == axes.len()) {
        for (&axis, &size) in axes.iter().zip(sizes) {
            let now =
                of_axis(axis).map_or(if axis == 1 { plane.channels() as i64 } else { 0 }, |size| size as i64);
            all[axis] = match size {
                Int::Known(size @ 1..) if axis != 0 && size <= i64::from(i32::MAX) => {
                    size as f64 / now as f64
                }
                _ => 1.0,
            };
        }
    } else {
        return Err(Refused::new("expected constant scales or sizes of each axis"));
    }
    let pixels = if plane.rank() == 2 { [all[2], all[3]] } else { [1.0, all[2]] };
    let (most, sane) = (f64::from(u16::MAX), |scale: &f64| *scale > 0.0);
    if all[..2] != [1.0, 1.0] || !pixels.iter().all(|scale| sane(scale) && *scale <= most) {
        return Err(Refused::expected_got("scales", "1 of batch and channels", format!("{all:?}")));
    }
    Ok(pixels)
}
