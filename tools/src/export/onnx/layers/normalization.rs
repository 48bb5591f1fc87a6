//! Normalisations, and softmax.

use super::axis;
use crate::export::onnx::array::Floats;
use crate::export::onnx::exporter::{Exporter, Tensor, float, int, refused};
use crate::export::onnx::order::{channels_first, natural};
use crate::import::Unsupported;
use bantam::{BatchNormalization, GroupNormalization, LayerNormalization, Normalization};

/// The channels of a node's output.
fn channels(x: &Exporter<'_>, at: usize) -> usize {
    x.output(at).last().copied().unwrap_or(1)
}

/// The sizes of one number for each channel, to be broadcast over a tensor in that order.
fn along_channels(order: &[usize], channels: usize) -> Vec<usize> {
    let last = order.len() - 1;
    let behind = order.iter().rev().take_while(|&&axis| axis != last).count();
    [vec![channels], vec![1; behind]].concat()
}

/// `BatchNormalization`
pub fn batch(x: &mut Exporter<'_>, at: usize, layer: BatchNormalization) -> Result<(), Unsupported> {
    let channels = channels(x, at);
    let mut inputs = vec![x.read_channels_first(at)];
    for (name, neutral) in [("gamma", 1.0), ("beta", 0.0), ("moving_mean", 0.0), ("moving_variance", 1.0)] {
        inputs.push(x.vector_or(at, name, channels, neutral));
    }
    let attributes = vec![float("epsilon", layer.epsilon), float("momentum", layer.momentum)];
    let order = channels_first(x.output(at).len());
    x.give(at, "BatchNormalization", &inputs, attributes, order);
    Ok(())
}

/// `LayerNormalization`, which is of opset 17.
pub fn layer(x: &mut Exporter<'_>, at: usize, layer: LayerNormalization) -> Result<(), Unsupported> {
    x.need(17, "LayerNormalization")?;
    let (channels, order) = (channels(x, at), natural(x.output(at).len()));
    let mut inputs = vec![x.read(x.inputs(at)[0], &order)];
    inputs.push(x.vector_or(at, "gamma", channels, 1.0));
    inputs.extend(x.vector(at, "beta"));
    let attributes = vec![int("axis", -1), float("epsilon", layer.options.epsilon)];
    x.give(at, "LayerNormalization", &inputs, attributes, order);
    Ok(())
}

/// An `InstanceNormalization` whose channels are the groups. `GroupNormalization` is not as it is here before opset 21, and its
/// output has no type then for onnx 1.23.2, whose full check fails behind it.
pub fn group(x: &mut Exporter<'_>, at: usize, layer: GroupNormalization) -> Result<(), Unsupported> {
    let (channels, rank) = (channels(x, at), x.output(at).len());
    let epsilon = float("epsilon", layer.options.epsilon);
    let order = channels_first(rank);
    let input = x.read_channels_first(at);
    let groups = x.whole(at, "groups", vec![0, layer.groups as i64, -1]);
    let parted = x.part(at, "part", "Reshape", &[input, groups], vec![]);
    let [ones, zeros] = [("ones", 1.0), ("zeros", 0.0)]
        .map(|(name, value)| x.floats(at, name, &[layer.groups], Floats::new(vec![value; layer.groups])));
    let normal = x.part(at, "normal", "InstanceNormalization", &[parted, ones, zeros], vec![epsilon]);
    let shape = x.shape(at, &order, &order);
    let mut inputs = vec![normal, shape];
    let mut op = "Reshape";
    for (name, next) in [("gamma", "Mul"), ("beta", "Add")] {
        if let Some(weights) = x.weights(at, name) {
            let before = x.part(at, &op.to_lowercase(), op, &inputs, vec![]);
            let dims = along_channels(&order, channels);
            inputs = vec![before, x.floats(at, name, &dims, Floats::new(weights.values()))];
            op = next;
        }
    }
    x.give(at, op, &inputs, vec![], order);
    Ok(())
}

/// `(x - mean) / deviation`, or the other way round.
pub fn features(x: &mut Exporter<'_>, at: usize, layer: Normalization) -> Result<(), Unsupported> {
    let Tensor { name, order } = x.native(x.inputs(at)[0]);
    let (Some(mean), Some(variance)) = (x.weights(at, "mean"), x.weights(at, "variance")) else {
        return Err(refused("no mean and variance", ""));
    };
    if let Some(bad) = variance.values().iter().find(|variance| !(0.0..f32::INFINITY).contains(*variance)) {
        return Err(refused(format!("variance: expected finite numbers of at least 0, got {bad}"), ""));
    }
    let deviations = variance.values().iter().map(|variance| variance.sqrt().max(1e-7));
    let factors: Vec<f32> =
        deviations.map(|deviation| if layer.invert { deviation } else { 1.0 / deviation }).collect();
    let dims = along_channels(&order, factors.len());
    let mean = x.floats(at, "mean", &dims, Floats::new(mean.values()));
    let factors = x.floats(at, "factors", &dims, Floats::new(factors));
    if layer.invert {
        let scaled = x.part(at, "scale", "Mul", &[name, factors], vec![]);
        x.give(at, "Add", &[scaled, mean], vec![], order);
    } else {
        let centred = x.part(at, "center", "Sub", &[name, mean], vec![]);
        x.give(at, "Mul", &[centred, factors], vec![], order);
    }
    Ok(())
}

/// `Softmax` along an axis.
pub fn softmax(x: &mut Exporter<'_>, at: usize, told: i8) -> Result<(), Unsupported> {
    let Tensor { name, order } = x.native(x.inputs(at)[0]);
    let axis = axis(told, order.len() - 1);
    let place = order.iter().position(|&have| have == axis).unwrap_or_default();
    x.give(at, "Softmax", &[name], vec![int("axis", place as i64)], order);
    Ok(())
}
