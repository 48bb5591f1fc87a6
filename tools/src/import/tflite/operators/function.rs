//! Functions of each element, and softmax.

use crate::import::net::{Kind, Make};
use crate::import::refused::Refused;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, one};
use bantam::{
    Differentiable, Elu, Exponential, Gelu, HardSwish, LeakyRelu, Relu, Relu6, Rescaling, Sigmoid, Softmax,
    Tanh, TanhGelu,
};

fn apply<L: Differentiable + Clone>(importer: &mut Importer<'_>, node: &Node<'_>, layer: L) -> Given {
    let map = importer.map(node, 0)?;
    let id = importer.net.function(&node.name, map.id, layer);
    one(importer.given(node, id, map.dims))
}

/// What has no options, by its name.
pub fn plain(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let bounds = match node.op {
        "ELU" => return apply(importer, node, Elu::new(1.0)),
        "EXP" => return apply(importer, node, Exponential),
        "HARD_SWISH" => return apply(importer, node, HardSwish),
        "LOGISTIC" => return logistic(importer, node),
        "NEG" => return apply(importer, node, Rescaling::new(-1.0)),
        "RELU" => return apply(importer, node, Relu),
        "RELU6" => return apply(importer, node, Relu6),
        "TANH" => return apply(importer, node, Tanh),
        "RELU_0_TO_1" => [Some(0.0), Some(1.0)],
        _ => [Some(-1.0), Some(1.0)],
    };
    let map = importer.map(node, 0)?;
    let id = importer.net.bounded(&node.name, map.id, bounds)?;
    one(importer.given(node, id, map.dims))
}

fn logistic(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let dims = importer.net.dims(map.id).to_vec();
    let make: Make = Box::new(|graph, x, _| graph.layer(Sigmoid, x));
    let id = importer.net.add(&node.name, Kind::Sigmoid, &[map.id], dims, Vec::new(), make);
    one(importer.given(node, id, map.dims))
}

/// `GELU`
pub fn gelu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    if node.flag(0)? { apply(importer, node, TanhGelu) } else { apply(importer, node, Gelu) }
}

/// `LEAKY_RELU`
pub fn leaky_relu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let slope = node.float(0, 0.0)?;
    if slope >= 0.0 && slope.is_finite() {
        return apply(importer, node, LeakyRelu::new(slope));
    }
    Err(Refused::expected_got("alpha", "a number of at least 0", slope))
}

/// `PRELU`, with a slope for each channel, or for whatever it is broadcast from.
pub fn prelu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let slopes = importer.floats(node, 1)?.ok_or_else(|| Refused::new("expected slopes, found none"))?;
    let values = super::binary::along(importer, &map, &slopes)?;
    importer.compute(values.len())?;
    let sample = importer.sample(&map)?;
    let id = importer.net.prelu(&node.name, map.id, sample, values);
    one(importer.given(node, id, map.dims))
}

/// `SOFTMAX` of the last axis, of `beta` times the values.
pub fn softmax(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (map, beta) = (importer.map(node, 0)?, node.float(0, 0.0)?);
    if !beta.is_finite() {
        return Err(Refused::expected_got("beta", "a finite number", beta));
    }
    let sample = importer.sample(&map)?;
    let last = sample.last().copied().unwrap_or(1);
    let all: usize = sample.iter().product();
    let dims = match sample.len() {
        1..=4 => sample,
        _ => vec![all / last, last],
    };
    let mut id = importer.net.reshape(&node.name, map.id, &dims);
    if beta != 1.0 {
        id = importer.net.function(&format!("{}/scale", node.name), id, Rescaling::new(beta));
    }
    let id = importer.net.layer(&node.name, Softmax, &[id], dims);
    one(importer.given(node, id, map.dims))
}
