//! Weights for `load_weights` of Keras, into a model of the same layers.
//!
//! `.h5` is what Keras 2 writes, a group for each layer by its name, and Keras 2 and 3 load it by the layers' order or names.
//! `.weights.h5` is the tree of Keras 3, in which a layer is at its class and its number among those.

use super::Cause;
use super::hdf5::{Group, Texts};
use super::sink::Sink;
use crate::import::Unsupported;
use crate::import::keras::{owners, snake_case};
use bantam::{Model, Node};
use std::collections::HashMap;
use std::path::Path;

/// Bytes of a layer's name: a list of names is in parts that an attribute has room for, and a name is not.
const MAX_NAME: usize = 1 << 15;

/// A layer of Keras: one node, or the two directions of a `Bidirectional`.
struct Layer<'m> {
    name: &'m str,
    class: &'static str,
    /// Nodes with weights, and where in the layer these are in the tree.
    parts: Vec<(&'static str, &'m Node<'m>)>,
}

/// The layers of a model, in its order. What is used twice is there once.
fn layers<'m>(model: &'m Model<'m>) -> Vec<Layer<'m>> {
    let owners: Vec<*const Node<'_>> = owners(model).map(std::ptr::from_ref).collect();
    let mut layers: Vec<Layer<'m>> = Vec::new();
    for node in model.nodes() {
        let has_weights = owners.contains(&std::ptr::from_ref(node));
        if !has_weights && !model.parameters_of(node).is_empty() {
            continue;
        }
        let class = node.layer_type().name();
        let recurrent = matches!(class, "LSTM" | "GRU");
        let directions = [("/forward", "forward_layer/cell/"), ("/backward", "backward_layer/cell/")];
        let direction =
            directions.iter().find_map(|(end, part)| Some((node.name().strip_suffix(end)?, *part)));
        let (name, class, part) = match direction.filter(|_| recurrent) {
            Some((name, part)) => (name, "Bidirectional", part),
            None => (node.name(), class, if recurrent { "cell/" } else { "" }),
        };
        let part = has_weights.then_some((part, node));
        match layers.last_mut().filter(|last| last.class == "Bidirectional" && last.name == name) {
            Some(last) => last.parts.extend(part),
            None => layers.push(Layer { name, class, parts: part.into_iter().collect() }),
        }
    }
    layers
}

/// Writes the weights.
pub(super) fn write(model: &Model<'_>, path: &Path) -> Result<(), Cause> {
    let layers = layers(model);
    let long = layers.iter().filter(|layer| layer.name.len() > MAX_NAME).map(|layer| Unsupported {
        name: layer.name.into(),
        what: format!("a name of {} bytes, expected at most {MAX_NAME}", layer.name.len()),
        advice: String::new(),
    });
    let long: Vec<Unsupported> = long.collect();
    if !long.is_empty() {
        return Err(Cause::Unsupported(long));
    }
    let is_tree = path.to_string_lossy().ends_with(".weights.h5");
    let file = if is_tree { tree(model, &layers) } else { groups(model, &layers) };
    let mut sink = Sink::create(path)?;
    file.write(&mut sink)?;
    Ok(sink.commit()?)
}

/// By names.
fn groups<'m>(model: &'m Model<'m>, layers: &[Layer<'m>]) -> Group<'m> {
    let mut file = Group::default();
    let mut names = Vec::new();
    for Layer { name, parts, .. } in layers.iter().filter(|layer| !layer.parts.is_empty()) {
        let mut arrays = Vec::new();
        for (_, node) in parts {
            for parameter in model.parameters_of(node) {
                let array = match (node.layer_type().name(), parameter.name()) {
                    ("DepthwiseConv2D" | "DepthwiseConv1D", "kernel") => "depthwise_kernel",
                    (_, array) => array,
                };
                let array = format!("{}/{array}:0", node.name());
                file.group(name).array(&array, parameter.shape().dims(), parameter.values());
                arrays.push(array);
            }
        }
        file.group(name).list("weight_names", arrays);
        names.push(name.to_string());
    }
    file.list("layer_names", names);
    for (name, value) in [("backend", "tensorflow"), ("keras_version", "2.15.0")] {
        file.attributes.push((name.into(), Texts::One(value.into())));
    }
    file
}

/// By classes and numbers. Layers without weights count too.
fn tree<'m>(model: &'m Model<'m>, layers: &[Layer<'m>]) -> Group<'m> {
    let mut file = Group::default();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for Layer { name, class, parts } in layers {
        let count = counts.entry(class).or_default();
        let mut place = format!("layers/{}", snake_case(class));
        if *count > 0 {
            place += &format!("_{count}");
        }
        *count += 1;
        let mut call = |group: &str, name: &str| {
            file.group(&format!("{place}/{group}vars"))
                .attributes
                .push(("name".into(), Texts::One(name.into())));
        };
        if *class == "Bidirectional" {
            call("", name);
        }
        for (part, node) in parts {
            match part.strip_suffix("cell/") {
                // The weights of a recurrent layer are its cell's, which has a name of its own.
                Some(outer) => {
                    call(outer, node.name().rsplit('/').next().filter(|_| !outer.is_empty()).unwrap_or(name));
                    call(part, &format!("{}_cell", snake_case(node.layer_type().name())));
                }
                None => call(part, name),
            }
        }
        for (part, node) in parts {
            let variables = file.group(&format!("{place}/{part}vars"));
            for (number, parameter) in model.parameters_of(node).iter().enumerate() {
                variables.array(&number.to_string(), parameter.shape().dims(), parameter.values());
            }
        }
    }
    file
}
