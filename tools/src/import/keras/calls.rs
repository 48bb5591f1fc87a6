//! What the calls of layers read, as Keras 2 and Keras 3 write it down.

use super::config::{LayerConfig, list};
use crate::import::Cause;
use serde_json::Value;

/// An output of a call of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub layer: String,
    pub call: usize,
    pub output: usize,
}

/// What a call reads: outputs of other calls, and numbers beside them.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub reads: Vec<Reference>,
    pub numbers: Vec<f64>,
    /// Whether a number comes first.
    pub number_first: bool,
}

/// The calls of a layer.
pub(super) fn calls(layer: &LayerConfig<'_>) -> Result<Vec<Call>, Cause> {
    layer.inbound.iter().map(|node| call(node, layer.name)).collect()
}

fn call(node: &Value, name: &str) -> Result<Call, Cause> {
    let mut call = Call::default();
    match node {
        Value::Object(node) => {
            node.get("args").into_iter().chain(node.get("kwargs")).for_each(|value| call.collect(value));
        }
        // One that reads one output, by itself.
        Value::Array(parts) if parts.first().is_some_and(Value::is_string) => call.legacy(parts, name)?,
        Value::Array(reads) => {
            for read in reads {
                call.legacy(list(Some(read), name)?, name)?;
            }
        }
        _ => return Err(Cause::damaged(name, "expected calls, got something else")),
    }
    Ok(call)
}

impl Call {
    /// From Keras 3's arguments.
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.collect(value)),
            Value::Object(object) => {
                match object.get("config").and_then(|config| config.get("keras_history")) {
                    Some(history) => self.reads.extend(reference(history)),
                    None => object.values().for_each(|value| self.collect(value)),
                }
            }
            Value::Number(number) => {
                self.number_first |= self.reads.is_empty();
                self.numbers.extend(number.as_f64());
            }
            _ => {}
        }
    }

    /// From Keras 2's `[layer, call, output, arguments]`.
    fn legacy(&mut self, parts: &[Value], name: &str) -> Result<(), Cause> {
        if let [Value::String(layer), _, Value::Number(number), ..] = parts
            && layer == "_CONSTANT_VALUE"
        {
            // `1.0 - x`: the number is where an output is else, and the output is among the arguments.
            self.number_first |= self.reads.is_empty();
            self.numbers.extend(number.as_f64());
        } else {
            let read = reference(&Value::Array(parts.iter().take(3).cloned().collect()));
            self.reads
                .push(read.ok_or_else(|| Cause::damaged(name, "expected a layer, a call and an output"))?);
        }
        if let Some(Value::Object(arguments)) = parts.get(3) {
            for value in ["x", "y"].iter().filter_map(|key| arguments.get(*key)) {
                match value {
                    Value::Number(number) => self.numbers.extend(number.as_f64()),
                    value => self.reads.extend(reference(value)),
                }
            }
        }
        Ok(())
    }
}

/// `[layer, call, output]`.
fn reference(value: &Value) -> Option<Reference> {
    let [layer, call, output] = value.as_array()?.first_chunk::<3>()?;
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    Some(Reference { layer: layer.as_str()?.into(), call: number(call)?, output: number(output)? })
}

/// A model's inputs or outputs: one, a list, or a dictionary of them.
pub(super) fn ports(value: Option<&Value>) -> Vec<Reference> {
    match value {
        Some(value @ Value::Array(parts)) => match reference(value) {
            Some(one) => vec![one],
            None => parts.iter().flat_map(|part| ports(Some(part))).collect(),
        },
        Some(Value::Object(parts)) => parts.values().flat_map(|part| ports(Some(part))).collect(),
        _ => Vec::new(),
    }
}
