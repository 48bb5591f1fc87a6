//! Functions of the numbers themselves, where the others move them.

use super::{Inputs, data, ints};
use crate::import::onnx::Refused;
use crate::import::onnx::graph::Node;
use crate::import::onnx::tensor::{
    self, BFLOAT16, BOOL, Constant, DOUBLE, FLOAT, FLOAT16, INT32, INT64, Int, Ints, Tensor, computed,
};

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

/// The sizes of what two are broadcast to.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Refused> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |axis| dims[axis]);
    let sizes = (0..rank).map(|axis| match (at(a, axis), at(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => {
            Err(Refused::expected_got("shapes", "two that are broadcast to one", format!("{a:?} and {b:?}")))
        }
    });
    sizes.collect()
}

pub fn binary(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let [a, b] = [data(inputs, 0)?, data(inputs, 1)?];
    if inputs.len() > 2 {
        return Err(Refused::new("expected two inputs"));
    }
    let dims = broadcast(a.dims(), b.dims())?;
    computed(&dims)?;
    let spread = |part: &Constant| {
        part.moved(|tensor| tensor.broadcast(&dims).ok_or_else(|| Refused::new("shapes do not fit")))
    };
    match (spread(a)?, spread(b)?) {
        (Constant::Floats(a), Constant::Floats(b)) => {
            let function: fn(f32, f32) -> f32 = match node.op() {
                "Add" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Pow" => f32::powf,
                "Max" => f32::max,
                "Min" => f32::min,
                _ => return Err(Refused::new("expected whole numbers")),
            };
            let values = a.to_vec().into_iter().zip(b.to_vec()).map(|(a, b)| function(a, b)).collect();
            Ok(Constant::Floats(Tensor::new(dims, values)))
        }
        (Constant::Ints(a), Constant::Ints(b)) => {
            let values: Option<Vec<Int>> =
                a.values.iter().zip(&b.values).map(|(&a, &b)| whole(node.op(), a, b)).collect();
            let values =
                values.ok_or_else(|| Refused::new("expected a shape that is linear in the batch"))?;
            Ok(Constant::Ints(Ints { dims, values }))
        }
        // The exponent may be of another type.
        (Constant::Floats(a), Constant::Ints(b)) if node.op() == "Pow" => {
            let values = a.to_vec().into_iter().zip(&b.values).map(|(a, b)| Some(a.powf(b.known()? as f32)));
            let values =
                values.collect::<Option<Vec<_>>>().ok_or_else(|| Refused::new("expected a number"))?;
            Ok(Constant::Floats(Tensor::new(dims, values)))
        }
        _ => Err(Refused::new("expected inputs of one type")),
    }
}

/// Of whole numbers, of which one may depend on the batch.
fn whole(op: &str, a: Int, b: Int) -> Option<Int> {
    match (op, a, b) {
        ("Add", Int::Batch(a), Int::Batch(b)) => a.checked_add(b).map(Int::Batch),
        ("Sub", Int::Batch(a), Int::Batch(b)) => a.checked_sub(b).map(Int::Batch),
        ("Mul", a, b) => a.times(b),
        ("Div", Int::Known(a), Int::Known(b)) => a.checked_div(b).map(Int::Known),
        ("Div", a, b) => a.over(b),
        ("Equal", Int::Batch(_), Int::Known(..=0)) | ("Equal", Int::Known(..=0), Int::Batch(_)) => {
            Some(Int::Known(0))
        }
        ("Equal", Int::Batch(a), Int::Batch(b)) => Some(Int::Known(i64::from(a == b))),
        (op, Int::Known(a), Int::Known(b)) => Some(Int::Known(match op {
            "Add" => a.checked_add(b)?,
            "Sub" => a.checked_sub(b)?,
            "Max" => a.max(b),
            "Min" => a.min(b),
            "Mod" => a.checked_rem_euclid(b)?,
            "Pow" => a.checked_pow(u32::try_from(b).ok()?)?,
            "Equal" => i64::from(a == b),
            _ => return None,
        })),
        _ => None,
    }
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
