//! Constants as the file's buffers have them.

use super::graph::Tensor as Described;
use super::importer::{Importer, Value};
use super::schema::{element, type_name};
use crate::import::constant::{Constant, Int, Ints, MOST_INTS, Tensor, brain, elements, half};
use crate::import::refused::Refused;
use crate::import::{Cause, Unsupported};
use bytes::Bytes;

impl Importer<'_> {
    /// Reads the constants that an operator reads, and tells which cannot be.
    ///
    /// # Errors
    /// One has not as many bytes as its shape and type say.
    pub fn constants(&mut self, bytes: &Bytes) -> Result<Vec<Unsupported>, Cause> {
        let (graph, mut refused) = (self.graph, Vec::new());
        for (index, tensor) in graph.tensors.iter().enumerate() {
            if graph.readers[index] == 0 {
                continue;
            }
            if let Some(foreign) = tensor.foreign {
                refused.push(Refused::new(foreign).part(tensor.name));
                continue;
            }
            let empty = tensor.shape.contains(&0);
            let Some(range) = tensor.data.clone().or(empty.then_some(0..0)) else { continue };
            // What is no 32-bit float is copied.
            let copied = if tensor.element == element::FLOAT32 { 0 } else { range.len() };
            match self.compute(copied).and_then(|()| read(tensor, bytes.slice(range))) {
                Ok(constant) => self.values[index] = Value::Constant(constant),
                Err(problem) if problem.damaged => {
                    let problem = Refused { offset: Some(tensor.offset()), ..problem };
                    return Err(problem.of(&format!("tensor \"{}\"", tensor.name)));
                }
                Err(problem) => refused.push(problem.part(tensor.name)),
            }
        }
        Ok(refused)
    }
}

fn read(tensor: &Described<'_>, bytes: Bytes) -> Result<Constant, Refused> {
    let mut dims = Vec::with_capacity(tensor.shape.len());
    for &dim in &tensor.shape {
        dims.push(usize::try_from(dim).map_err(|_| {
            Refused::damaged(format!("shape {:?}: expected sizes of at least 0", tensor.shape))
        })?);
    }
    let count = elements(&dims)?;
    let width = match tensor.element {
        element::FLOAT32 | element::INT32 | element::UINT32 => 4,
        element::FLOAT64 | element::INT64 => 8,
        element::FLOAT16 | element::BFLOAT16 | element::INT16 => 2,
        element::INT8 | element::UINT8 | element::BOOL => 1,
        other => {
            let advice = "convert the model in floats";
            return Err(Refused::new(format!("elements of type {}", type_name(other))).advice(advice));
        }
    };
    if bytes.len() != count * width {
        let (expected, got) = (count * width, bytes.len());
        return Err(Refused::damaged(format!("bytes of shape {dims:?}: expected {expected}, got {got}")));
    }
    let floats: Vec<f32> = match tensor.element {
        element::FLOAT32 => return Ok(Constant::Floats(Tensor::of_file(dims, bytes))),
        element::FLOAT64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        element::FLOAT16 => bytes.as_chunks().0.iter().map(|&b| half(u16::from_le_bytes(b))).collect(),
        element::BFLOAT16 => bytes.as_chunks().0.iter().map(|&b| brain(u16::from_le_bytes(b))).collect(),
        _ => return whole(tensor.element, dims, &bytes),
    };
    Ok(Constant::Floats(Tensor::new(dims, floats)))
}

/// A constant of whole numbers.
fn whole(element: u8, dims: Vec<usize>, bytes: &[u8]) -> Result<Constant, Refused> {
    let count: usize = dims.iter().product();
    if count > MOST_INTS {
        return Err(Refused::expected_got(
            &format!("whole numbers of shape {dims:?}"),
            format!("at most {MOST_INTS}"),
            count,
        ));
    }
    let values: Vec<i64> = match element {
        element::INT64 => bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect(),
        element::INT32 => bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
        element::UINT32 => bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b).into()).collect(),
        element::INT16 => bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b).into()).collect(),
        element::INT8 => bytes.iter().map(|&b| b.cast_signed().into()).collect(),
        _ => bytes.iter().map(|&b| b.into()).collect(),
    };
    Ok(Constant::Ints(Ints { dims, values: values.into_iter().map(Int::Known).collect() }))
}
