//! One number everywhere, in a shape that depends on the batch: so exporters write the states that recurrent layers begin with.

use super::fold;
use super::graph::Node;
use super::importer::{Importer, Value};
use super::tensor;
use crate::import::constant::{Constant, Int, Ints, Tensor};
use crate::import::refused::Refused;

/// A constant of one number.
#[derive(Clone, Debug)]
pub struct Filled {
    pub number: f32,
    /// Of which some are the batch's.
    pub dims: Vec<Int>,
}

/// What a node gives, if that is one number for each sample.
pub fn of(importer: &Importer<'_>, node: &Node<'_>) -> Option<Result<Value, Refused>> {
    let input = |input: usize| node.inputs.get(input).copied().flatten().map(|value| &importer.values[value]);
    let shape = |at: usize| match input(at) {
        Some(Value::Constant(Constant::Ints(Ints { values, .. }))) => Some(values.clone()),
        _ => None,
    };
    let open = |dims: &[Int]| dims.iter().any(|dim| dim.known().is_none());
    match (node.op(), input(0)?) {
        ("ConstantOfShape", _) => {
            let dims = shape(0).filter(|dims| open(dims))?;
            let number = match node.tensor("value") {
                None => 0.0,
                Some(value) => {
                    match tensor::read(value, &|_| Err(Refused::new("value: expected it in the file"))) {
                        Ok(Constant::Floats(value)) if value.len() == 1 => value.to_vec()[0],
                        _ => return None,
                    }
                }
            };
            Some(Ok(Value::Filled(Filled { number, dims })))
        }
        ("Expand", Value::Constant(Constant::Floats(number))) if number.len() == 1 => {
            let dims = shape(1).filter(|dims| open(dims) && dims.len() >= number.dims.len())?;
            Some(Ok(Value::Filled(Filled { number: number.to_vec()[0], dims })))
        }
        ("Identity" | "Dropout", Value::Filled(filled)) => Some(Ok(Value::Filled(filled.clone()))),
        // Of other axes than the batch, which has one element in the meantime.
        ("Slice", Value::Filled(filled)) => Some(sliced(importer, node, filled)),
        _ => None,
    }
}

fn sliced(importer: &Importer<'_>, node: &Node<'_>, filled: &Filled) -> Result<Value, Refused> {
    let sizes: Option<Vec<usize>> =
        filled.dims.iter().map(|dim| usize::try_from(dim.known().unwrap_or(1)).ok()).collect();
    let sizes = sizes.ok_or_else(|| Refused::new("expected sizes of at least 0"))?;
    let stand_in = Constant::Floats(Tensor::same(sizes, filled.number));
    let mut inputs = vec![Some(&stand_in)];
    for input in 1..node.inputs.len() {
        inputs.push(importer.constant(node, input)?);
    }
    let slice = fold::of("Slice").ok_or_else(|| Refused::new("Slice"))?;
    let part = slice(node, &inputs)?;
    let dims = filled.dims.iter().zip(part.dims()).map(|(&dim, &part)| match dim {
        Int::Known(_) => Some(Int::Known(part as i64)),
        // A part of the batch is none that can be told.
        dim => (part == 1).then_some(dim),
    });
    let dims = dims.collect::<Option<Vec<_>>>();
    let dims = dims.ok_or_else(|| Refused::new("expected another axis than the batch"))?;
    Ok(Value::Filled(Filled { number: filled.number, dims }))
}
