//! Functions of each element, which leave the order of axes as it is.

use crate::export::onnx::array::Floats;
use crate::export::onnx::exporter::{Exporter, Tensor, float, word};
use crate::export::onnx::order::channels_first;
use crate::import::Unsupported;
use crate::import::onnx::proto::AttributeProto;
use bantam::{GeneralRelu, Rescaling};
use std::f32::consts::{PI, SQRT_2};

/// The input, and the order that the output has too.
fn input(x: &Exporter<'_>, at: usize) -> Tensor {
    x.native(x.inputs(at)[0])
}

/// An operator of the input and some more, in the input's order.
fn last(x: &mut Exporter<'_>, at: usize, op: &str, inputs: &[String], attributes: Vec<AttributeProto>) {
    let value = x.inputs(at)[0];
    let (Tensor { order, .. }, turned) = (x.native(value), x.values[value].turned.clone());
    x.give(at, op, inputs, attributes, order);
    if let Some(value) = x.values.last_mut() {
        value.turned = turned;
    }
}

/// No operator: what trains alone has none.
pub fn nothing<L>(x: &mut Exporter<'_>, at: usize, _: L) -> Result<(), Unsupported> {
    x.values.push(x.values[x.inputs(at)[0]].clone());
    Ok(())
}

/// One operator.
pub fn one(
    x: &mut Exporter<'_>,
    at: usize,
    op: &str,
    attributes: Vec<AttributeProto>,
) -> Result<(), Unsupported> {
    let name = input(x, at).name;
    last(x, at, op, &[name], attributes);
    Ok(())
}

/// `Clip` from 0 to that.
pub fn clip(x: &mut Exporter<'_>, at: usize, most: f32) -> Result<(), Unsupported> {
    let inputs = [input(x, at).name, x.scalar(0.0), x.scalar(most)];
    last(x, at, "Clip", &inputs, vec![]);
    Ok(())
}

/// `scale · x + offset`
pub fn rescaling(x: &mut Exporter<'_>, at: usize, layer: Rescaling) -> Result<(), Unsupported> {
    let mut name = input(x, at).name;
    if layer.offset == 0.0 {
        let scale = x.scalar(layer.scale);
        last(x, at, "Mul", &[name, scale], vec![]);
        return Ok(());
    }
    if layer.scale != 1.0 {
        let scale = x.scalar(layer.scale);
        name = x.part(at, "scale", "Mul", &[name, scale], vec![]);
    }
    let offset = x.scalar(layer.offset);
    last(x, at, "Add", &[name, offset], vec![]);
    Ok(())
}

/// `min(x, max_value)` above a threshold, `slope (x - threshold)` up to it.
pub fn general_relu(x: &mut Exporter<'_>, at: usize, layer: GeneralRelu) -> Result<(), Unsupported> {
    let GeneralRelu { max_value, negative_slope, threshold, .. } = layer;
    let name = input(x, at).name;
    let bounded = max_value != f32::INFINITY;
    match (threshold == 0.0, negative_slope == 0.0, bounded) {
        (true, true, false) => return one(x, at, "Relu", vec![]),
        (true, true, true) => return clip(x, at, max_value),
        (true, false, false) => return one(x, at, "LeakyRelu", vec![float("alpha", negative_slope)]),
        (false, true, false) => return one(x, at, "ThresholdedRelu", vec![float("alpha", threshold)]),
        _ => {}
    }
    let mut above = name.clone();
    if bounded {
        let most = x.scalar(max_value);
        above = x.part(at, "above", "Min", &[above, most], vec![]);
    }
    let (threshold, slope) = (x.scalar(threshold), x.scalar(negative_slope));
    let is_above = x.part(at, "is_above", "Greater", &[name.clone(), threshold.clone()], vec![]);
    let shifted = x.part(at, "shift", "Sub", &[name, threshold], vec![]);
    let below = x.part(at, "below", "Mul", &[shifted, slope], vec![]);
    last(x, at, "Where", &[is_above, above, below], vec![]);
    Ok(())
}

/// `x · sigmoid(x)`
pub fn silu(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
    let name = input(x, at).name;
    let gate = x.part(at, "gate", "Sigmoid", std::slice::from_ref(&name), vec![]);
    last(x, at, "Mul", &[name, gate], vec![]);
    Ok(())
}

/// `HardSigmoid` of that slope.
pub fn hard_sigmoid(x: &mut Exporter<'_>, at: usize, slope: f32) -> Result<(), Unsupported> {
    one(x, at, "HardSigmoid", vec![float("alpha", slope), float("beta", 0.5)])
}

/// `HardSwish`, which is of opset 14.
pub fn hard_swish(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
    x.need(14, "HardSwish")?;
    one(x, at, "HardSwish", vec![])
}

/// `Mish` where the caller wants operators that have it, else `x tanh(softplus(x))`.
pub fn mish(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
    if x.has(18) {
        return one(x, at, "Mish", vec![]);
    }
    let name = input(x, at).name;
    let softplus = x.part(at, "softplus", "Softplus", std::slice::from_ref(&name), vec![]);
    let gate = x.part(at, "gate", "Tanh", &[softplus], vec![]);
    last(x, at, "Mul", &[name, gate], vec![]);
    Ok(())
}

/// `Gelu` where the caller wants operators that have it, else `x (1 + erf(x / √2)) / 2`, as exporters of PyTorch write it and
/// programs know it.
pub fn gelu(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
    if x.has(20) {
        return one(x, at, "Gelu", vec![]);
    }
    let name = input(x, at).name;
    let (root, unit, half) = (x.scalar(SQRT_2), x.scalar(1.0), x.scalar(0.5));
    let argument = x.part(at, "argument", "Div", &[name.clone(), root], vec![]);
    let erf = x.part(at, "erf", "Erf", &[argument], vec![]);
    let sum = x.part(at, "sum", "Add", &[erf, unit], vec![]);
    let product = x.part(at, "product", "Mul", &[name, sum], vec![]);
    last(x, at, "Mul", &[product, half], vec![]);
    Ok(())
}

/// The same by the hyperbolic tangent: `x (1 + tanh(√(2 / π) (x + 0.044715 x³))) / 2`.
pub fn tanh_gelu(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
    if x.has(20) {
        return one(x, at, "Gelu", vec![word("approximate", "tanh")]);
    }
    let name = input(x, at).name;
    let [three, share, root, unit, half] =
        [3.0, 0.044715, (2.0 / PI).sqrt(), 1.0, 0.5].map(|number| x.scalar(number));
    let cube = x.part(at, "cube", "Pow", &[name.clone(), three], vec![]);
    let term = x.part(at, "term", "Mul", &[cube, share], vec![]);
    let inner = x.part(at, "inner", "Add", &[name.clone(), term], vec![]);
    let argument = x.part(at, "argument", "Mul", &[inner, root], vec![]);
    let tanh = x.part(at, "tanh", "Tanh", &[argument], vec![]);
    let sum = x.part(at, "sum", "Add", &[tanh, unit], vec![]);
    let product = x.part(at, "product", "Mul", &[name, sum], vec![]);
    last(x, at, "Mul", &[product, half], vec![]);
    Ok(())
}

/// `PRelu`, whose slopes have the axes that the input has behind the batch.
pub fn prelu(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
    let value = x.inputs(at)[0];
    let Tensor { mut name, mut order } = x.native(value);
    if order[0] != 0 {
        order = channels_first(order.len() - 1);
        name = x.read(value, &order);
    }
    let mut inputs = vec![name];
    if let Some(alpha) = x.weights(at, "alpha") {
        let axes: Vec<usize> = order[1..].iter().map(|axis| axis - 1).collect();
        let floats = Floats::new(alpha.values()).turned(alpha.shape().dims(), &axes);
        inputs.push(x.floats(at, "alpha", &floats.sizes(), floats));
    }
    x.give(at, "PRelu", &inputs, vec![], order);
    Ok(())
}
