//! Layers that move numbers, or say another shape.

use super::{Kind, kind};
use crate::export::onnx::array::{Data, Floats};
use crate::export::onnx::exporter::{Exporter, Tensor, Value, word};
use crate::export::onnx::order::{self, channels_first, is_same};
use crate::import::Unsupported;
use bantam::{Cropping2d, Permute, UpSampling2d, ZeroPadding2d};

/// `Reshape` or `Flatten`, of the tensor as it lies where its groups of axes do. Dense layers behind a flatten take any order.
pub fn reshape(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
    let value = x.inputs(at)[0];
    let Value { dims, .. } = x.values[value].clone();
    let (native, to) = (x.native(value), x.output(at));
    let [before, behind] = order::reshape(&native.order, &dims, &to);
    let turns = !is_same(&native.order, &before, &dims);
    if turns && to.len() == 1 && native.order[0] == 0 && is_read_by_dense_alone(x, x.values.len()) {
        x.give(at, "Flatten", &[native.name], vec![], behind);
        if let Some(value) = x.values.last_mut() {
            value.turned = Some((dims, native.order));
        }
        return Ok(());
    }
    // Axes of one number need not be in their places.
    let from = if turns { before } else { native.order };
    let input = x.read(value, &from);
    if to.len() == 1 && from[0] == 0 {
        x.give(at, "Flatten", &[input], vec![], behind);
    } else {
        let shape = x.shape(at, &behind, &from);
        x.give(at, "Reshape", &[input, shape], vec![], behind);
    }
    Ok(())
}

/// Whether only dense layers read a value, through functions of each element or at once.
fn is_read_by_dense_alone(x: &Exporter<'_>, value: usize) -> bool {
    let (inputs, nodes) = (x.model.input_shapes().len(), x.model.nodes());
    // Of each value behind this one, whether it is this one through functions.
    let mut same = vec![false; inputs + nodes.len()];
    same[value] = true;
    let mut found = false;
    for (at, node) in nodes.iter().enumerate().skip(value + 1 - inputs) {
        if x.model.inputs_of(node).iter().any(|&input| same[input]) {
            match kind(x, at) {
                Kind::Function => same[inputs + at] = true,
                Kind::Dense => found = true,
                Kind::Other => return false,
            }
        }
    }
    found && x.model.outputs().iter().all(|&output| !same[output])
}

/// Nothing: the same tensors, whose axes are called otherwise.
pub fn permute(x: &mut Exporter<'_>, at: usize, layer: Permute) -> Result<(), Unsupported> {
    let becomes = |&axis: &usize| {
        let place = layer.dims().iter().position(|&dim| usize::from(dim) == axis);
        place.map_or(0, |place| place + 1)
    };
    let tensors = x.values[x.inputs(at)[0]].tensors.iter();
    let tensors = tensors.map(|Tensor { name, order }| Tensor {
        name: name.clone(),
        order: order.iter().map(becomes).collect(),
    });
    let tensors = tensors.collect();
    x.values.push(Value { dims: x.output(at), tensors, turned: None });
    Ok(())
}

/// What is told of height and width, or of a length, for each axis in that order; 0 of others.
fn of_axes(order: &[usize], both: [usize; 2]) -> Vec<i64> {
    let pixels = order.len() - 2;
    let of_axis = |&axis: &usize| match axis {
        0 => 0,
        axis if axis > pixels => 0,
        axis => both[axis + 1 - pixels] as i64,
    };
    order.iter().map(of_axis).collect()
}

/// `Pad`
pub fn pad(x: &mut Exporter<'_>, at: usize, layer: ZeroPadding2d) -> Result<(), Unsupported> {
    let [vertical, horizontal] = layer.padding;
    let Tensor { name, order } = x.native(x.inputs(at)[0]);
    let pads = [0, 1].map(|end| of_axes(&order, [vertical[end], horizontal[end]])).concat();
    let pads = x.whole(at, "pads", pads);
    x.give(at, "Pad", &[name, pads], vec![], order);
    Ok(())
}

/// `Slice`
pub fn crop(x: &mut Exporter<'_>, at: usize, layer: Cropping2d) -> Result<(), Unsupported> {
    let [vertical, horizontal] = layer.cropping;
    let Tensor { name, order } = x.native(x.inputs(at)[0]);
    let (dims, output) = (x.values[x.inputs(at)[0]].dims.clone(), x.output(at));
    let cropped = |&&axis: &&usize| axis > 0 && dims[axis - 1] != output[axis - 1];
    let places: Vec<usize> =
        order.iter().filter(cropped).filter_map(|axis| order.iter().position(|have| have == axis)).collect();
    if places.is_empty() {
        return super::function::nothing(x, at, layer);
    }
    let starts = of_axes(&order, [vertical[0], horizontal[0]]);
    let starts: Vec<i64> = places.iter().map(|&place| starts[place]).collect();
    let sizes = places.iter().map(|&place| output[order[place] - 1] as i64);
    let ends: Vec<i64> = starts.iter().zip(sizes).map(|(start, size)| start + size).collect();
    let axes: Vec<i64> = places.iter().map(|&place| place as i64).collect();
    let [starts, ends, axes] = [("starts", starts), ("ends", ends), ("axes", axes)]
        .map(|(what, numbers)| x.whole(at, what, numbers));
    x.give(at, "Slice", &[name, starts, ends, axes], vec![], order);
    Ok(())
}

/// `Resize`
pub fn enlarge(x: &mut Exporter<'_>, at: usize, layer: UpSampling2d) -> Result<(), Unsupported> {
    let input = x.read_channels_first(at);
    let rank = x.output(at).len();
    let order = channels_first(rank);
    let mut scales = vec![1.0, 1.0];
    scales.extend(layer.size[3 - rank..].iter().map(|&factor| factor as f32));
    let name = format!("{}/scales", x.name(at));
    let scales = x.array(&name, &[scales.len()], Data::Floats(Floats::new(scales)));
    // Pixels are squares: their centres are half a pixel in. The nearest of those is, at whole factors, the one that a corner is in.
    let attributes = if layer.bilinear {
        vec![word("mode", "linear"), word("coordinate_transformation_mode", "half_pixel")]
    } else {
        let asymmetric = word("coordinate_transformation_mode", "asymmetric");
        vec![word("mode", "nearest"), asymmetric, word("nearest_mode", "floor")]
    };
    x.give(at, "Resize", &[input, String::new(), scales], attributes, order);
    Ok(())
}
