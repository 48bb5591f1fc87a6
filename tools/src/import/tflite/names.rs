//! Names of layers, of the names that converters give to tensors.
//!
//! These are paths of what a tensor was made of, one behind the other: `functional_1/re_lu_1/Relu;functional_1/conv2d_1/convolution`.
//! A layer is called by the part that its operator comes from, without the model and without TensorFlow's function: `conv2d_1`.

use super::graph::{Node, Port, Tensor};
use std::collections::HashMap;

/// What TensorFlow and Keras call the functions that become an operator.
fn functions(op: &str) -> &'static [&'static str] {
    match op {
        "CONV_2D" => &["Conv2D", "convolution"],
        "DEPTHWISE_CONV_2D" => &["depthwise", "DepthwiseConv2dNative", "separable_conv2d"],
        "TRANSPOSE_CONV" => &["conv_transpose", "conv2d_transpose"],
        "FULLY_CONNECTED" | "BATCH_MATMUL" => &["MatMul", "Tensordot"],
        _ => &[],
    }
}

/// Gives each operator its name.
pub fn give(nodes: &mut [Node<'_>], tensors: &[Tensor<'_>], outputs: &[Port]) {
    let path =
        |node: &Node<'_>| node.outputs.first().map_or("", |&tensor| without_call(tensors[tensor].name));
    // The model's own name, if all that is in it has that.
    let mut models = nodes.iter().map(path).filter_map(|path| path.split_once('/')).map(|(first, _)| first);
    let model = models.next().filter(|&model| models.all(|other| other == model)).map(String::from);
    let called: HashMap<usize, &str> = outputs.iter().map(|port| (port.tensor, &port.name[..])).collect();
    for node in nodes {
        let output = node.outputs.first().and_then(|tensor| called.get(tensor));
        let path = path(node);
        // A tensor that is an output has the name of a call.
        let found = if path.is_empty() || path.starts_with("PartitionedCall") {
            output.map_or(String::new(), |name| name.to_string())
        } else {
            of(path, node.op, model.as_deref())
        };
        node.name = if found.is_empty() { node.op.to_lowercase() } else { found };
    }
}

/// A name without the function that a saved model calls, and without the number of an output.
fn without_call(name: &str) -> &str {
    let name =
        name.strip_prefix("Stateful").filter(|rest| rest.starts_with("PartitionedCall")).unwrap_or(name);
    name.strip_prefix("PartitionedCall/").unwrap_or(name)
}

fn of(path: &str, op: &str, model: Option<&str>) -> String {
    let ends = |part: &&str, with: &[&str]| {
        let last = part.rsplit('/').next().unwrap_or(part);
        with.contains(&last.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_'))
            || with.contains(&last)
    };
    let mut parts = path.split(';').filter(|part| !part.is_empty());
    let part = parts.clone().find(|part| ends(part, functions(op))).or_else(|| parts.next()).unwrap_or("");
    let part = part.split(':').next().unwrap_or(part);
    let part = model.and_then(|model| part.strip_prefix(model)?.strip_prefix('/')).unwrap_or(part);
    let layer = part.rsplit_once('/').map_or(part, |(layer, _)| layer);
    // A product of more than two axes is made of some operators.
    let layer = layer.strip_suffix("/Tensordot").unwrap_or(layer);
    if layer.is_empty() { part.into() } else { layer.into() }
}

/// The name of an input or output that no signature names.
pub fn of_port(name: &str) -> String {
    let name = name.strip_prefix("serving_default_").unwrap_or(name);
    name.split(':').next().unwrap_or(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_called_by_what_its_operator_comes_from() {
        let model = Some("functional_1");
        let path = "functional_1/re_lu_1/Relu;functional_1/conv2d_1/convolution";
        assert_eq!(of(path, "CONV_2D", model), "conv2d_1");
        assert_eq!(of(path, "RELU", model), "re_lu_1");
        assert_eq!(of("functional_1/conv2d_1_2/convolution1", "CONV_2D", model), "conv2d_1_2");
        assert_eq!(
            of("MobilenetV1/Logits/Conv2d_1c_1x1/BiasAdd", "CONV_2D", None),
            "MobilenetV1/Logits/Conv2d_1c_1x1"
        );
        assert_eq!(of("conv", "CONV_2D", None), "conv");
    }

    #[test]
    fn ports_are_called_without_the_call() {
        assert_eq!(of_port("serving_default_image:0"), "image");
        assert_eq!(without_call("StatefulPartitionedCall/net/conv/Relu"), "net/conv/Relu");
    }
}
