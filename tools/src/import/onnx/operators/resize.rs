//! Maps enlarged.

use super::windows::Plane;
use crate::import::onnx::Refused;
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, one};
use crate::import::onnx::tensor::{Constant, Int};
use bantam::{MaxPool2d, UpSampling2d};

/// How a coordinate of the output is one of the input, and which pixel that is.
struct Rule {
    transformation: String,
    nearest: String,
    linear: bool,
}

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
    let lies = plane.output(output, None, &mut importer.factors);
    let dims = vec![output[0], output[1], plane.channels()];
    let whole = [output[0] / h.max(1), output[1] / w.max(1)];
    const MOST: usize = 1 << 16;
    if output.iter().any(|&size| size == 0 || size > MOST) {
        return Err(Refused::expected_got("size", format!("1 to {MOST}"), format!("{output:?}")));
    }
    let fits = [(h, whole[0], scales[0]), (w, whole[1], scales[1])].iter().zip(output).all(
        |(&(input, factor, scale), output)| factor * input == output && rule.is_layers(input, factor, scale),
    );
    if fits {
        let layer = UpSampling2d::new(whole);
        let layer = if rule.linear { layer.bilinear() } else { layer };
        let id = importer.net.layer(node.name, layer, &[id], dims);
        return one(importer.given(node, id, lies));
    }
    // Pixels left out are a pool of one.
    let steps = [(h, output[0], scales[0]), (w, output[1], scales[1])]
        .map(|(input, output, scale)| rule.step(input, output, scale));
    if let (false, [Some(down), Some(across)]) = (rule.linear, steps) {
        let layer = MaxPool2d::rectangular([1, 1]).strides([down, across]);
        let id = importer.net.layer(node.name, layer, &[id], dims);
        return one(importer.given(node, id, lies));
    }
    let mode = if rule.linear { "linear".to_string() } else { format!("nearest ({})", rule.nearest) };
    let got = format!("{mode}, {}, from {h}×{w} to {}×{}", rule.transformation, output[0], output[1]);
    let expected = "a whole factor, nearest or half_pixel linear";
    Err(Refused::expected_got("resize", expected, got).advice("resize by 2 or 4 with align_corners=False"))
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

impl Rule {
    /// Where a pixel of the output lies in the input.
    fn place(&self, at: usize, input: usize, output: usize, scale: f64) -> Option<f64> {
        let (x, last) = (at as f64, output as f64 - 1.0);
        match &self.transformation[..] {
            "half_pixel" => Some((x + 0.5) / scale - 0.5),
            "half_pixel_symmetric" => {
                let adjust = output as f64 / (scale * input as f64);
                let offset = input as f64 / 2.0 * (1.0 - adjust);
                Some(offset + (x + 0.5) / scale - 0.5)
            }
            "pytorch_half_pixel" => Some(if output > 1 { (x + 0.5) / scale - 0.5 } else { 0.0 }),
            "asymmetric" => Some(x / scale),
            "align_corners" => Some(if output > 1 { x * (input as f64 - 1.0) / last } else { 0.0 }),
            _ => None,
        }
    }

    /// Which pixel is nearest.
    fn pixel(&self, at: usize, input: usize, output: usize, scale: f64) -> Option<usize> {
        let x = self.place(at, input, output, scale)?;
        let down = x.floor();
        let nearest = match &self.nearest[..] {
            "round_prefer_floor" => (x - 0.5).ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            "floor" => down,
            "ceil" => x.ceil(),
            _ => return None,
        };
        Some(nearest.clamp(0.0, input as f64 - 1.0) as usize)
    }

    /// Whether each pixel comes so often, or pixels between are weighed as by the layer.
    fn is_layers(&self, input: usize, factor: usize, scale: f64) -> bool {
        let output = input * factor;
        (0..output).all(|at| {
            if self.linear {
                let centre = (at as f64 + 0.5) / factor as f64 - 0.5;
                let last = input as f64 - 1.0;
                let place = self.place(at, input, output, scale);
                place.is_some_and(|x| (x.clamp(0.0, last) - centre.clamp(0.0, last)).abs() < 1e-6)
            } else {
                self.pixel(at, input, output, scale) == Some(at / factor)
            }
        })
    }

    /// From one pixel that is kept to the next, if the first is and they are as many.
    fn step(&self, input: usize, output: usize, scale: f64) -> Option<usize> {
        let step = input.checked_div(output)?.max(1);
        let kept = (0..output).all(|at| self.pixel(at, input, output, scale) == Some(at * step));
        (kept && input.div_ceil(step) == output).then_some(step)
    }
}
