//! Where the channels of an input are, which the file does not say: where the first operator that has channels takes them.

use super::graph::{Graph, Node};
use super::operators::shape::order;
use std::collections::{HashSet, VecDeque};

/// The axis of an input's channels, among so many; `None` if no operator says.
pub fn channels(graph: &Graph<'_>, readers: &[Vec<usize>], input: usize, rank: usize) -> Option<usize> {
    // Values that are the input with axes in another order: of each axis, which it is of the input.
    let mut queue = VecDeque::from([(input, (0..rank).collect::<Vec<_>>())]);
    let mut seen = HashSet::from([input]);
    while let Some((value, axes)) = queue.pop_front() {
        for &reader in &readers[value] {
            let node = &graph.nodes[reader];
            if node.inputs.first() == Some(&Some(value)) && takes_channels_second(node) {
                return axes.get(1).copied();
            }
            let axes = match node.op() {
                "Transpose" => match order(node, rank) {
                    Ok(order) => order.iter().map(|&axis| axes[axis]).collect(),
                    Err(_) => continue,
                },
                op if passes_on(op) => axes.clone(),
                _ => continue,
            };
            for &output in node.outputs.iter().flatten() {
                if seen.insert(output) {
                    queue.push_back((output, axes.clone()));
                }
            }
        }
    }
    None
}

/// Which nodes read each value.
pub fn readers(graph: &Graph<'_>) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); graph.names.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().flatten().for_each(|&input| readers[input].push(index));
    }
    readers
}

fn takes_channels_second(node: &Node<'_>) -> bool {
    matches!(
        node.op(),
        "AveragePool"
            | "BatchNormalization"
            | "Conv"
            | "ConvTranspose"
            | "DepthToSpace"
            | "GlobalAveragePool"
            | "GlobalMaxPool"
            | "GroupNormalization"
            | "InstanceNormalization"
            | "MaxPool"
            | "Resize"
            | "SpaceToDepth"
            | "Upsample"
    )
}

/// What leaves axes as they are.
fn passes_on(op: &str) -> bool {
    matches!(
        op,
        "Abs"
            | "Add"
            | "Cast"
            | "Celu"
            | "Clip"
            | "Concat"
            | "Div"
            | "Dropout"
            | "Elu"
            | "Exp"
            | "Gather"
            | "Gelu"
            | "HardSigmoid"
            | "HardSwish"
            | "Identity"
            | "LeakyRelu"
            | "Max"
            | "Min"
            | "Mish"
            | "Mul"
            | "Neg"
            | "PRelu"
            | "Pad"
            | "Pow"
            | "Relu"
            | "Selu"
            | "Sigmoid"
            | "Slice"
            | "Softplus"
            | "Softsign"
            | "Split"
            | "Sub"
            | "Sum"
            | "Swish"
            | "Tanh"
            | "ThresholdedRelu"
    )
}
