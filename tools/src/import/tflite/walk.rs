//! From operator to operator.

use super::graph::Node;
use super::importer::{Importer, Value, shape};
use super::{fold, operators};
use crate::import::constant::{Constant, Int};
use crate::import::refused::Refused;
use crate::import::{Cause, Unsupported};

/// Gives each operator's outputs their values, and tells which operators cannot be imported.
///
/// # Errors
/// The options of one are damaged.
pub fn walk(importer: &mut Importer<'_>) -> Result<Vec<Unsupported>, Cause> {
    let graph = importer.graph;
    let mut refused = Vec::new();
    for node in &graph.nodes {
        if let Some(part) = unknown(node) {
            refused.push(part);
            continue;
        }
        if node.inputs.iter().flatten().any(|&input| matches!(importer.values[input], Value::Unknown)) {
            continue;
        }
        let given = match constant(importer, node) {
            Some(found) => found.and_then(|constant| {
                importer.compute(match &constant {
                    Constant::Floats(tensor) => tensor.computed(),
                    Constant::Ints(ints) => ints.values.len(),
                })?;
                Ok(vec![Value::Constant(constant)])
            }),
            None => match operators::of(node.op) {
                Some(operator) => operator(importer, node),
                None => Err(Refused::new("expected constants")),
            },
        };
        match given.and_then(|given| keep(importer, node, given)) {
            Ok(()) => {}
            Err(problem) if problem.damaged => return Err(problem.of(&format!("operator \"{}\"", node.name))),
            Err(problem) => {
                let what = format!("{}: {}", node.op, problem.what);
                refused.push(Unsupported { what, ..problem.part(&node.name) });
            }
        }
    }
    Ok(refused)
}

/// Keeps what an operator gives.
///
/// # Errors
/// It is more than memory has.
fn keep(importer: &mut Importer<'_>, node: &Node<'_>, given: Vec<Value>) -> Result<(), Refused> {
    for (&output, value) in node.outputs.iter().zip(given) {
        if let Value::Map(map) = &value {
            let size = |dim: &Int| match *dim {
                Int::Known(size) | Int::Batch(size) => usize::try_from(size).unwrap_or(usize::MAX),
            };
            let elements = map.dims.iter().fold(1usize, |all, dim| all.saturating_mul(size(dim)));
            if elements == 0 || elements > isize::MAX as usize / 8 {
                return Err(Refused::expected_got("output", "one that fits memory", shape(&map.dims)));
            }
        }
        importer.values[output] = value;
    }
    Ok(())
}

/// Why nothing is known of an operator.
fn unknown(node: &Node<'_>) -> Option<Unsupported> {
    let known = !node.custom
        && (node.op == "SHAPE" || operators::of(node.op).is_some() || fold::of(node.op).is_some());
    if known {
        return None;
    }
    let advice = match node.op {
        _ if node.op.starts_with("Flex") => "convert it without tf.lite.OpsSet.SELECT_TF_OPS",
        _ if node.custom => "an operator of its writer's own, of which the file has no more than its name",
        "LOG_SOFTMAX" => "convert the net with softmax at its end, or without either",
        "UNIDIRECTIONAL_SEQUENCE_LSTM"
        | "BIDIRECTIONAL_SEQUENCE_LSTM"
        | "LSTM"
        | "RNN"
        | "WHILE"
        | "UNIDIRECTIONAL_SEQUENCE_RNN"
        | "BIDIRECTIONAL_SEQUENCE_RNN" => "import the model of Keras, if it is recurrent",
        "CALL_ONCE" | "VAR_HANDLE" | "READ_VARIABLE" | "ASSIGN_VARIABLE" => "convert it without variables",
        "IF" => "convert it without control flow",
        _ if node.op.starts_with("STABLEHLO") => "convert it with operators of TensorFlow Lite alone",
        _ => "no layer does this",
    };
    Some(Refused::new(node.op).advice(advice).part(&node.name))
}

/// The constant that an operator gives, if what it reads is constant.
fn constant(importer: &Importer<'_>, node: &Node<'_>) -> Option<Result<Constant, Refused>> {
    let value = |input: &Option<usize>| input.map(|input| &importer.values[input]);
    if node.op == "SHAPE" {
        return match node.inputs.first().and_then(value) {
            Some(Value::Map(map)) => Some(Ok(fold::shape(&map.dims))),
            Some(Value::Constant(constant)) => {
                Some(Ok(fold::shape(&super::importer::known(constant.dims()))))
            }
            _ => Some(Err(Refused::new("expected an input, found none"))),
        };
    }
    let constants = node.inputs.iter().map(|input| match value(input) {
        Some(Value::Constant(constant)) => Some(constant),
        _ => None,
    });
    let constants: Vec<&Constant> = constants.collect::<Option<_>>()?;
    Some(match fold::of(node.op) {
        Some(fold) => fold(node, &constants),
        None => Err(Refused::new("expected an input that depends on the net's")),
    })
}
