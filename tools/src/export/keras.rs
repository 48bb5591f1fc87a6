//! Weights as Keras 2 writes them to `.h5`, which Keras 2 and 3 load into a model of the same layers, by their order or by their
//! names: a group for each layer, with its arrays in it.

use super::Cause;
use super::hdf5::{Group, Texts};
use super::sink::Sink;
use crate::import::Unsupported;
use crate::import::keras::owners;
use bantam::Model;
use std::path::Path;

/// Bytes of a layer's name: a list of names is in parts that an attribute has room for, and a name is not.
const MAX_NAME: usize = 1 << 15;

/// Writes the weights.
pub(super) fn write(model: &Model<'_>, path: &Path) -> Result<(), Cause> {
    let long = model.nodes().iter().filter(|node| node.name().len() > MAX_NAME).map(|node| Unsupported {
        name: node.name().into(),
        what: format!("a name of {} bytes, expected at most {MAX_NAME}", node.name().len()),
        advice: String::new(),
    });
    let long: Vec<Unsupported> = long.collect();
    if !long.is_empty() {
        return Err(Cause::Unsupported(long));
    }
    let mut file = Group::default();
    // The directions of a `Bidirectional` are one layer of Keras.
    let mut layers: Vec<(&str, Vec<String>)> = Vec::new();
    for node in owners(model) {
        let direction = ["/forward", "/backward"].iter().find_map(|part| node.name().strip_suffix(part));
        let recurrent = matches!(node.layer_type().name(), "LSTM" | "GRU");
        let layer = direction.filter(|_| recurrent).unwrap_or(node.name());
        let mut names = Vec::new();
        for parameter in model.parameters_of(node) {
            let array = match (node.layer_type().name(), parameter.name()) {
                ("DepthwiseConv2D" | "DepthwiseConv1D", "kernel") => "depthwise_kernel",
                (_, array) => array,
            };
            let name = format!("{}/{array}:0", node.name());
            file.group(layer).array(&name, parameter.shape().dims(), parameter.values());
            names.push(name);
        }
        match layers.last_mut() {
            Some((last, all)) if *last == layer => all.extend(names),
            _ => layers.push((layer, names)),
        }
    }
    let names = layers.iter().map(|(layer, _)| layer.to_string()).collect();
    for (layer, arrays) in layers {
        file.group(layer).list("weight_names", arrays);
    }
    file.list("layer_names", names);
    for (name, value) in [("backend", "tensorflow"), ("keras_version", "2.15.0")] {
        file.attributes.push((name.into(), Texts::One(value.into())));
    }
    let mut sink = Sink::create(path)?;
    file.write(&mut sink)?;
    Ok(sink.commit()?)
}
