//! Normalisations, and softmax.

use super::windows::Plane;
use crate::import::constant::Tensor;
use crate::import::net::{Kind, Make, Weights};
use crate::import::onnx::arrangement::{Factor, size};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, one};
use crate::import::refused::Refused;
use bantam::{AxisSoftmax, BatchNormalization, GroupNormalization, LayerNormalization, Softmax};

/// `BatchNormalization` by its moving statistics.
pub fn batch(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    if node.int("spatial").is_some_and(|spatial| spatial == 0) {
        return Err(Refused::expected_got("spatial", 1, 0));
    }
    if node.flag("training_mode") {
        let line =
            format!("{}: BatchNormalization in training mode uses its moving statistics here", node.name);
        importer.report.warnings.push(line);
    }
    let map = importer.map(node, 0)?;
    let sample = importer.sample_axes(&map)?;
    let Some((channels, pixels)) = sample.split_first() else {
        return Err(Refused::expected_got("input", "a batch with channels", importer.shape(&map)));
    };
    let count = channels.iter().map(|factor| factor.size).product();
    let groups: Vec<&[Factor]> = pixels.iter().chain([channels]).map(|axis| &axis[..]).collect();
    let groups = if groups.len() <= 4 { groups } else { return Err(too_many(importer.shape(&map))) };
    let names = [
        ("gamma", "scales"),
        ("beta", "offsets"),
        ("moving_mean", "means"),
        ("moving_variance", "variances"),
    ];
    let mut weights = Vec::with_capacity(names.len());
    for (input, (name, what)) in names.into_iter().enumerate() {
        weights.push(Weights::new(name, importer.vector(node, input + 1, what, count)?));
    }
    if let Some(bad) =
        weights[3].values.to_vec().into_iter().find(|&variance| !(0.0..f32::INFINITY).contains(&variance))
    {
        return Err(Refused::expected_got("variances", "finite numbers of at least 0", bad));
    }
    let id = importer.laid(node, &map, &groups);
    let dims = importer.net.dims(id).to_vec();
    let epsilon = node.float("epsilon").unwrap_or(1e-5);
    let layer = BatchNormalization::new().epsilon(epsilon).momentum(node.float("momentum").unwrap_or(0.9));
    let make: Make = Box::new(move |graph, x, _| graph.layer(layer, x));
    let lies = crate::import::onnx::arrangement::Arrangement {
        order: pixels.iter().chain([channels]).flatten().copied().collect(),
        axes: map.lies.axes.clone(),
    };
    let id = importer.net.add(node.name, Kind::Other, &[id], dims, weights, make);
    one(importer.given(node, id, lies))
}

fn too_many(shape: String) -> Refused {
    Refused::expected_got("input", "five dimensions at most", shape)
}

/// `InstanceNormalization` and `GroupNormalization`: each sample by its own statistics.
pub fn group(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let plane = Plane::of(importer, &map)?;
    let mut channels = plane.channels();
    let mut parts: Vec<Vec<Factor>> = plane.parts.to_vec();
    let groups = if node.op() == "InstanceNormalization" {
        let groups = channels as i64;
        if let Some(spelled) = in_groups(&map.lies.order, &plane.parts[2]) {
            channels = size(&spelled[1]);
            parts = spelled.to_vec();
        }
        groups
    } else {
        node.int("num_groups").unwrap_or(0)
    };
    let groups = usize::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0 && channels % groups == 0)
        .ok_or_else(|| Refused::expected_got("num_groups", format!("one that divides {channels}"), groups))?;
    let mut weights = Vec::new();
    for (input, name) in [(1, "gamma"), (2, "beta")] {
        // Up to opset 20 there is one for each group.
        let values = importer.weights(node, input, name)?;
        let values = match values.dims[..] {
            [len] if len == channels => values,
            [len] if len == groups => {
                let each = values.view(vec![groups, channels / groups], vec![values.stride(0), 0]);
                Tensor::new(vec![channels], each.to_vec())
            }
            _ => {
                return Err(Refused::expected_got(
                    name,
                    format!("[{channels}]"),
                    format!("{:?}", values.dims),
                ));
            }
        };
        weights.push(Weights::new(name, values));
    }
    let groups_of_axes: Vec<&[Factor]> = parts.iter().map(|part| &part[..]).collect();
    let id = importer.laid(node, &map, &groups_of_axes);
    let dims = importer.net.dims(id).to_vec();
    let layer = GroupNormalization::new(groups).epsilon(node.float("epsilon").unwrap_or(1e-5));
    let make: Make = Box::new(move |graph, x, _| graph.layer(layer, x));
    let id = importer.net.add(node.name, Kind::Other, &[id], dims, weights, make);
    let mut lies = map.lies;
    lies.order = parts.concat();
    one(importer.given(node, id, lies))
}

/// What lies in front of the channels, and the channels with what lies behind them: so exporters spell a group normalisation, whose
/// groups are the channels of a map that has the groups' own channels among its pixels.
fn in_groups(order: &[Factor], channels: &[Factor]) -> Option<[Vec<Factor>; 2]> {
    let at = order.windows(channels.len().max(1)).position(|some| some == channels)?;
    let (pixels, others) = order.split_at(at);
    (at > 0 && others.len() > channels.len()).then(|| [pixels.to_vec(), others.to_vec()])
}

/// `LayerNormalization` over the last axis.
pub fn layer(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let rank = map.lies.axes.len();
    let axis = Node::axis(node.int("axis").unwrap_or(-1), rank)?;
    if axis + 1 != rank || map.lies.axes[axis].contains(&Factor::BATCH) {
        return Err(Refused::expected_got("axis", "the last", axis));
    }
    if node.outputs.iter().skip(1).any(Option::is_some) {
        return Err(Refused::new("output of statistics: expected the values alone"));
    }
    let factors = map.lies.axes[axis].clone();
    let columns = factors.iter().map(|factor| factor.size).product();
    let mut weights = vec![Weights::new("gamma", importer.vector(node, 1, "scales", columns)?)];
    let centred = node.inputs.get(2).is_some_and(Option::is_some);
    if centred {
        weights.push(Weights::new("beta", importer.vector(node, 2, "offsets", columns)?));
    }
    let others: Vec<Factor> =
        map.lies.order.iter().filter(|factor| !factors.contains(factor)).copied().collect();
    let id = importer.laid(node, &map, &[&others, &factors]);
    let layer = LayerNormalization::new().epsilon(node.float("epsilon").unwrap_or(1e-5));
    let layer = if centred { layer } else { layer.no_center() };
    let make: Make = Box::new(move |graph, x, _| graph.layer(layer, x));
    let dims = importer.net.dims(id).to_vec();
    let id = importer.net.add(node.name, Kind::Other, &[id], dims, weights, make);
    let mut lies = map.lies;
    lies.order = [others, factors].concat();
    one(importer.given(node, id, lies))
}

/// `Softmax`: along one axis since opset 13, along all from it on before.
pub fn softmax(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let rank = map.lies.axes.len();
    let flattens = node.opset < 13;
    let axis = Node::axis(node.int("axis").unwrap_or(if flattens { 1 } else { -1 }), rank)?;
    let over: Vec<Factor> =
        if flattens { map.lies.axes[axis..].concat() } else { map.lies.axes[axis].clone() };
    if over.contains(&Factor::BATCH) && importer.batch != crate::import::constant::Int::Known(1) {
        return Err(Refused::new("expected another axis than the batch"));
    }
    let over: Vec<Factor> = over.into_iter().filter(|&factor| factor != Factor::BATCH).collect();
    let (id, run) = importer.run(node, &map, &over, false);
    let [outer, along, inner] = run.dims();
    let mut lies = map.lies;
    lies.order = run.with(&run.run);
    let natural = lies.natural();
    let (dims, last) = match (outer, inner) {
        _ if inner == 1 && natural.last() == Some(&along) && natural.len() <= 4 => (natural, true),
        (1, 1) => (vec![along], true),
        (_, 1) => (vec![outer, along], true),
        _ => (vec![outer, along, inner], false),
    };
    let id = importer.net.reshape(node.name, id, &dims);
    let id = if last {
        importer.net.layer(node.name, Softmax, &[id], dims)
    } else {
        importer.net.layer(node.name, AxisSoftmax::new(2), &[id], dims)
    };
    one(importer.given(node, id, lies))
}
