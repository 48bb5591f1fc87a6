//! From node to node.

use super::arrangement::size;
use super::external::Folder;
use super::graph::Node;
use super::importer::{Importer, Value};
use super::{filled, fold, operators, patterns};
use crate::import::constant::{Constant, MOST_COMPUTED};
use crate::import::refused::Refused;
use crate::import::{Cause, Unsupported};
use std::collections::HashMap;

/// Gives each node's outputs their values, and tells which nodes cannot be imported.
///
/// # Errors
/// Weights that are attributes are damaged.
pub fn walk(importer: &mut Importer<'_>, folder: &Folder<'_>) -> Result<Vec<Unsupported>, Cause> {
    let graph = importer.graph;
    let producers = patterns::producers(graph);
    // By node, so that what proves to be a part of a function can be taken back.
    let mut refused: HashMap<usize, Unsupported> = HashMap::new();
    let mut computed = 0;
    for (index, node) in graph.nodes.iter().enumerate() {
        importer.net.origin = importer.roots_of(&node.inputs);
        let found = patterns::find(importer, &producers, node);
        if let Some(found) = found.filter(|found| matches!(importer.values[found.of], Value::Map(_))) {
            let between = found.between.iter().filter_map(|&value| producers[value]);
            between.for_each(|node| drop(refused.remove(&node)));
            let given = operators::function::spelled(importer, node, found.of, found.function);
            importer.report.fused.push(format!(
                "{}: {} nodes are {:?}",
                node.name,
                found.between.len() + 1,
                found.function
            ));
            keep(importer, node, given).into_iter().for_each(|part| drop(refused.insert(index, part)));
            continue;
        }
        if let Some(part) = unknown(node) {
            refused.insert(index, part);
            continue;
        }
        if node.inputs.iter().flatten().any(|&input| matches!(importer.values[input], Value::Unknown)) {
            continue;
        }
        if let Some(given) = filled::of(importer, node) {
            let given = given.map(|value| vec![value]);
            keep(importer, node, given).into_iter().for_each(|part| drop(refused.insert(index, part)));
            continue;
        }
        let given = match constant(importer, folder, node) {
            Some(Err(problem)) if problem.damaged => return Err(problem.of(node.name)),
            Some(found) => found.and_then(|constant| {
                if let Constant::Floats(tensor) = &constant {
                    computed += tensor.computed();
                }
                if computed > MOST_COMPUTED {
                    return Err(Refused::expected_got(
                        "constants",
                        format!("{MOST_COMPUTED} elements at most"),
                        computed,
                    ));
                }
                Ok(vec![Value::Constant(constant)])
            }),
            None => match operators::of(node.op()) {
                Some(operator) => operator(importer, node),
                None => Err(Refused::new(node.op()).advice(match node.op() {
                    "Sqrt" => {
                        "it can be computed of constants alone; where it is part of a layer normalisation, export with opset 17 or \
                         later, where that is one operator"
                    }
                    _ => "it can be computed of constants alone",
                })),
            },
        };
        keep(importer, node, given).into_iter().for_each(|part| drop(refused.insert(index, part)));
    }
    let mut refused: Vec<(usize, Unsupported)> = refused.into_iter().collect();
    refused.sort_by_key(|(index, _)| *index);
    Ok(refused.into_iter().map(|(_, part)| part).collect())
}

/// Keeps what a node gives, or tells why it gives nothing.
fn keep(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    given: Result<Vec<Value>, Refused>,
) -> Option<Unsupported> {
    match given {
        Ok(given) => {
            for (output, value) in node.outputs.iter().zip(given) {
                if let Value::Map(map) = &value
                    && size(&map.lies.order) > isize::MAX as usize / 8
                {
                    let what = format!(
                        "{}: output: expected one that fits memory, got {}",
                        node.op(),
                        importer.shape(map)
                    );
                    return Some(Unsupported { name: node.name.into(), what, advice: String::new() });
                }
                if let Some(output) = *output {
                    if let Value::Constant(Constant::Floats(_)) = value {
                        let roots = importer.roots_of(&node.inputs);
                        importer.roots[output] = if roots.is_empty() { vec![output] } else { roots };
                    }
                    importer.values[output] = value;
                }
            }
            None
        }
        Err(problem) => {
            let what = if problem.what == node.op() {
                problem.what
            } else {
                format!("{}: {}", node.op(), problem.what)
            };
            Some(Unsupported { name: node.name.into(), what, advice: problem.advice })
        }
    }
}

/// Why nothing is known of an operator.
fn unknown(node: &Node<'_>) -> Option<Unsupported> {
    let op = node.op();
    let part = |what: String, advice: &str| {
        Some(Unsupported { name: node.name.into(), what, advice: advice.into() })
    };
    if !matches!(&node.proto.domain[..], "" | "ai.onnx") {
        let advice = "export it with operators of ONNX's own domain";
        return part(format!("{op} of {}", node.proto.domain), advice);
    }
    const QUANTISED: [&str; 9] = [
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
        "QuantizeLinear",
        "QLinearAdd",
        "QLinearAveragePool",
    ];
    if QUANTISED.contains(&op) {
        return part(op.into(), "import the model in floats that this quantised one was made of");
    }
    let known =
        ["Constant", "Shape", "Size"].contains(&op) || operators::of(op).is_some() || fold::of(op).is_some();
    if known {
        return None;
    }
    let advice = match op {
        "LogSoftmax" => {
            "no layer has the logarithm: export the net without it, and the classes are in the same order, or with \
             softmax in its place"
        }
        "RNN" => "no layer does this: LSTM and GRU are there",
        "If" | "Loop" | "Scan" => "export it without control flow",
        _ => "no layer does this",
    };
    part(op.into(), advice)
}

/// The constant that a node gives, if what it reads is constant.
fn constant(
    importer: &Importer<'_>,
    folder: &Folder<'_>,
    node: &Node<'_>,
) -> Option<Result<Constant, Refused>> {
    let input = |input: usize| node.inputs.get(input).copied().flatten().map(|value| &importer.values[value]);
    match (node.op(), input(0)) {
        ("Constant", _) => return Some(fold::constant(node, &|tensor| folder.bytes(tensor))),
        ("Shape" | "Size", Some(Value::Map(map))) => {
            return Some(fold::shape(node, &map.lies.dims(importer.batch)));
        }
        ("Shape" | "Size", Some(Value::Filled(filled))) => return Some(fold::shape(node, &filled.dims)),
        ("Shape" | "Size", Some(Value::Constant(constant))) => {
            let dims: Vec<_> =
                constant.dims().iter().map(|&dim| crate::import::constant::Int::Known(dim as i64)).collect();
            return Some(fold::shape(node, &dims));
        }
        _ => {}
    }
    let constants = node.inputs.iter().map(|input| match input.map(|input| &importer.values[input]) {
        Some(Value::Constant(constant)) => Some(Some(constant)),
        Some(_) => None,
        None => Some(None),
    });
    let constants: Vec<Option<&Constant>> = constants.collect::<Option<_>>()?;
    Some(match fold::of(node.op()) {
        Some(fold) => fold(node, &constants),
        None => Err(Refused::new("expected an input that depends on the net's")),
    })
}
