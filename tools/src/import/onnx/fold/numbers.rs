//! Functions of the numbers themselves, where the others move them.

use super::{Inputs, data, ints};
use crate::import::constant::{Constant, Int, Ints, Tensor, computed};
use crate::import::fold::{self, broadcast, few};
use crate::import::onnx::graph::Node;
use crate::import::onnx::tensor::{self, BFLOAT16, BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64};
use crate::import::refused::Refused;

/// The most numbers of a range.
const MOST_OF_A_RANGE: usize = 1 << 16;

pub fn range(_: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    if let Constant::Floats(_) = data(inputs, 0)? {
        return range_of_floats(inputs);
    }
    let numbers: Option<Vec<i64>> = (0..3).map(|input| ints(inputs, input)?.first()?.known()).collect();
    let Some(&[start, limit, step]) = numbers.as_deref() else {
        return Err(Refused::new("expected whole numbers"));
    };
    let (first, last, by) = (i128::from(start), i128::from(limit), i128::from(step));
    let count = if by == 0 { 0 } else { ((last - first + by - by.signum()) / by).max(0) };
    if count > MOST_OF_A_RANGE as i128 {
        return Err(Refused::expected_got("range", format!("{MOST_OF_A_RANGE} numbers at most"), count));
    }
    let values: Vec<Int> = (0..count as i64).map(|i| Int::Known(start + i * step)).collect();
    Ok(Constant::Ints(Ints { dims: vec![values.len()], values }))
}

fn range_of_floats(inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let number = |input: usize| match data(inputs, input)? {
        Constant::Floats(tensor) if tensor.len() == 1 => Ok(tensor.to_vec()[0]),
        _ => Err(Refused::new("expected three numbers of one type")),
    };
    let [start, limit, step] = [number(0)?, number(1)?, number(2)?];
    // As the standard counts them, in the numbers' own precision.
    let count = ((limit - start) / step).ceil().max(0.0);
    if count > MOST_OF_A_RANGE as f32 {
        return Err(Refused::expected_got("range", format!("{MOST_OF_A_RANGE} numbers at most"), count));
    }
    let values: Vec<f32> = (0..count as usize).map(|i| start + i as f32 * step).collect();
    Ok(Constant::Floats(Tensor::new(vec![values.len()], values)))
}

pub fn product(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let values = ints(inputs, 0).ok_or_else(|| Refused::new("expected whole numbers"))?;
    let product = values.iter().try_fold(Int::Known(1), |product, &value| product.times(value));
    let product = product.ok_or_else(|| Refused::new("expected a product that is linear in the batch"))?;
    let dims =
        if node.int("keepdims").unwrap_or(1) != 0 { vec![1; data(inputs, 0)?.dims().len()] } else { vec![] };
    Ok(Constant::Ints(Ints { dims, values: vec![product] }))
}

pub fn cast(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let (data, to) = (data(inputs, 0)?, node.int("to").unwrap_or(0) as i32);
    let floats = [FLOAT, FLOAT16, DOUBLE, BFLOAT16].contains(&to);
    match data {
        Constant::Floats(_) if floats => Ok(data.clone()),
        Constant::Ints(ints) if floats => {
            let known: Option<Vec<f32>> =
                ints.values.iter().map(|value| value.known().map(|value| value as f32)).collect();
            let known =
                known.ok_or_else(|| Refused::new("expected numbers that do not depend on the batch"))?;
            Ok(Constant::Floats(Tensor::new(ints.dims.clone(), known)))
        }
        Constant::Ints(ints) if to == BOOL => {
            let truth = |&value: &Int| Int::Known(i64::from(value != Int::Known(0)));
            Ok(Constant::Ints(Ints { values: ints.values.iter().map(truth).collect(), ..ints.clone() }))
        }
        Constant::Ints(_) => Ok(data.clone()),
        Constant::Floats(tensor) if [INT32, INT64, BOOL].contains(&to) && tensor.len() <= 1 << 16 => {
            let whole =
                |value: f32| Int::Known(if to == BOOL { i64::from(value != 0.0) } else { value as i64 });
            let values = tensor.to_vec().into_iter().map(whole).collect();
            Ok(Constant::Ints(Ints { dims: tensor.dims.clone(), values }))
        }
        Constant::Floats(_) => Err(Refused::expected_got("type", "floats", tensor::type_name(to))),
    }
}

pub fn unary(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    match (node.op(), data(inputs, 0)?) {
        (op, Constant::Floats(tensor)) => {
            let function: fn(f32) -> f32 = match op {
                "Neg" => |x| -x,
                "Sqrt" => f32::sqrt,
                "Reciprocal" => f32::recip,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                "Abs" => f32::abs,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                _ => return Err(Refused::new("expected truths")),
            };
            computed(&tensor.dims)?;
            Ok(Constant::Floats(tensor.mapped(function)))
        }
        (op, Constant::Ints(ints)) => {
            let function: fn(i64) -> Option<i64> = match op {
                "Neg" => i64::checked_neg,
                "Abs" => i64::checked_abs,
                "Not" => |truth| Some(i64::from(truth == 0)),
                "Floor" | "Ceil" => Some,
                _ => return Err(Refused::new("expected floats")),
            };
            let values: Option<Vec<Int>> =
                ints.values.iter().map(|value| function(value.known()?).map(Int::Known)).collect();
            let values =
                values.ok_or_else(|| Refused::new("expected numbers that do not depend on the batch"))?;
            Ok(Constant::Ints(Ints { values, ..ints.clone() }))
        }
    }
}

pub fn binary(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    if inputs.len() > 2 {
        return Err(Refused::new("expected two inputs"));
    }
    fold::binary(node.op(), data(inputs, 0)?, data(inputs, 1)?)
}

pub fn choose(_: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let Constant::Ints(truths) = data(inputs, 0)? else { return Err(Refused::new("expected truths")) };
    let (a, b) = (data(inputs, 1)?, data(inputs, 2)?);
    let dims = broadcast(&broadcast(&truths.dims, a.dims())?, b.dims())?;
    few(&dims)?;
    let spread = |part: &Constant| {
        part.moved(|tensor| tensor.broadcast(&dims).ok_or_else(|| Refused::new("shapes do not fit")))
    };
    let Constant::Ints(truths) = spread(&Constant::Ints(truths.clone()))? else {
        return Err(Refused::new("expected truths"));
    };
    let picks = truths.values.iter().map(|&truth| truth != Int::Known(0));
    Ok(match (spread(a)?, spread(b)?) {
        (Constant::Ints(a), Constant::Ints(b)) => {
            let pairs = picks.zip(a.values.iter().zip(&b.values));
            let values = pairs.map(|(first, (&a, &b))| if first { a } else { b }).collect();
            Constant::Ints(Ints { dims, values })
        }
        (Constant::Floats(a), Constant::Floats(b)) => {
            let pairs = picks.zip(a.to_vec().into_iter().zip(b.to_vec()));
            let values = pairs.map(|(first, (a, b))| if first { a } else { b }).collect();
            Constant::Floats(Tensor::new(dims, values))
        }
        _ => return Err(Refused::new("expected a choice of numbers of one type")),
    })
}
