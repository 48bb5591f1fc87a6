//! Functions of the numbers themselves, where the others move them.

use super::{Inputs, data, ints};
use crate::import::constant::{Constant, Int, Ints, Tensor, computed};
use crate::import::fold::{self, broadcast};
use crate::import::onnx::graph::Node;
use crate::import::onnx::tensor::{self, BFLOAT16, BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64};
use crate::import::refused::Refused;

pub fn range(_: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let numbers: Option<Vec<i64>> = (0..3).map(|input| ints(inputs, input)?.first()?.known()).collect();
    let Some(&[start, limit, step]) = numbers.as_deref() else {
        return Err(Refused::new("expected whole numbers"));
    };
    let (first, last, by) = (i128::from(start), i128::from(limit), i128::from(step));
    let count = if by == 0 { 0 } else { ((last - first + by - by.signum()) / by).max(0) };
    if count > 1 << 16 {
        return Err(Refused::expected_got("range", "65,536 numbers at most", count));
    }
    let values: Vec<Int> = (0..count as i64).map(|i| Int::Known(start + i * step)).collect();
    Ok(Constant::Ints(Ints { dims: vec![values.len()], values }))
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
    let (Constant::Ints(truths), Constant::Ints(a), Constant::Ints(b)) =
        (data(inputs, 0)?, data(inputs, 1)?, data(inputs, 2)?)
    else {
        return Err(Refused::new("expected a choice of whole numbers"));
    };
    let dims = broadcast(&broadcast(&truths.dims, &a.dims)?, &b.dims)?;
    computed(&dims)?;
    let spread = |part: &Ints| {
        let spread = Constant::Ints(part.clone())
            .moved(|tensor| tensor.broadcast(&dims).ok_or_else(|| Refused::new("shapes do not fit")));
        match spread? {
            Constant::Ints(ints) => Ok(ints.values),
            Constant::Floats(_) => Err(Refused::new("expected whole numbers")),
        }
    };
    let (truths, a, b) = (spread(truths)?, spread(a)?, spread(b)?);
    let values =
        truths.iter().zip(a).zip(b).map(|((&truth, a), b)| if truth == Int::Known(0) { b } else { a });
    Ok(Constant::Ints(Ints { dims, values: values.collect() }))
}
