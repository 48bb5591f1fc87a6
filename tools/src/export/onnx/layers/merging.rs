//! Layers with several inputs.

use super::axis;
use crate::export::onnx::exporter::{Exporter, int};
use crate::export::onnx::order::{channels_first, natural};
use crate::import::Unsupported;
use bantam::Concatenate;

/// An operator of two inputs, another of more.
pub fn merge(x: &mut Exporter<'_>, at: usize, two: &str, more: &str) -> Result<(), Unsupported> {
    let (inputs, order) = x.read_alike(at);
    x.give(at, if inputs.len() == 2 { two } else { more }, &inputs, vec![], order);
    Ok(())
}

/// `Mul`, of two maps, or of a map and a factor for each channel, `[C]` or `[1, 1, C]`.
pub fn multiply(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
    let ranks = x.inputs(at).iter().map(|&value| x.values[value].dims.len());
    if ranks.collect::<Vec<_>>() == [x.output(at).len(); 2] {
        return merge(x, at, "Mul", "Mul");
    }
    let mut inputs = Vec::new();
    for &value in x.inputs(at) {
        if let [channels] = x.values[value].dims[..] {
            let name = x.read(value, &natural(1));
            let shape = x.whole(at, "shape", vec![x.samples(), channels as i64, 1, 1]);
            inputs.push(x.part(at, "factors", "Reshape", &[name, shape], vec![]));
        } else {
            inputs.push(x.read(value, &channels_first(3)));
        }
    }
    x.give(at, "Mul", &inputs, vec![], channels_first(3));
    Ok(())
}

/// `Concat`
pub fn concatenate(x: &mut Exporter<'_>, at: usize, layer: Concatenate) -> Result<(), Unsupported> {
    let axis = axis(layer.axis, x.output(at).len());
    let (inputs, order) = x.read_alike(at);
    let place = order.iter().position(|&have| have == axis).unwrap_or_default();
    x.give(at, "Concat", &inputs, vec![int("axis", place as i64)], order);
    Ok(())
}
