//! What is computed of constants, once and for all.

use super::constant::{Constant, Int, Ints, MOST_DIMENSIONS, MOST_INTS, Tensor, computed};
use super::refused::Refused;

impl Constant {
    /// The sizes.
    pub fn dims(&self) -> &[usize] {
        match self {
            Constant::Floats(tensor) => &tensor.dims,
            Constant::Ints(ints) => &ints.dims,
        }
    }

    /// Moves elements: of whole numbers by their places, of which there are fewer than a float can count.
    pub fn moved(&self, by: impl FnOnce(Tensor) -> Result<Tensor, Refused>) -> Result<Constant, Refused> {
        match self {
            Constant::Floats(tensor) => by(tensor.clone()).map(Constant::Floats),
            Constant::Ints(ints) => {
                let places = (0..ints.values.len()).map(|at| at as f32).collect();
                let moved = by(Tensor::new(ints.dims.clone(), places))?;
                few(&moved.dims)?;
                let values = moved.to_vec().into_iter().map(|place| ints.values[place as usize]).collect();
                Ok(Constant::Ints(Ints { dims: moved.dims, values }))
            }
        }
    }
}

/// How many whole numbers there may be.
pub fn few(dims: &[usize]) -> Result<(), Refused> {
    let count = computed(dims)?;
    if count <= MOST_INTS {
        Ok(())
    } else {
        Err(Refused::expected_got("whole numbers", format!("{MOST_INTS} at most"), count))
    }
}

/// Tensors one beside the other along an axis.
pub fn beside(parts: &[Tensor], axis: usize) -> Result<Tensor, Refused> {
    let Some(first) = parts.first() else {
        return Err(Refused::new("expected indices or inputs, found none"));
    };
    let mut dims = first.dims.clone();
    let others = |dims: &[usize]| {
        [dims.get(..axis).map(<[usize]>::to_vec), dims.get(axis + 1..).map(<[usize]>::to_vec)]
    };
    if let Some(part) = parts.iter().find(|part| others(&part.dims) != others(&dims)) {
        return Err(Refused::expected_got(
            "shape",
            format!("{dims:?} but for axis {axis}"),
            format!("{:?}", part.dims),
        ));
    }
    dims[axis] = parts.iter().map(|part| part.dims[axis]).sum();
    let mut whole = Vec::with_capacity(computed(&dims)?);
    let outer: usize = dims[..axis].iter().product();
    let rows: Vec<Vec<f32>> = parts.iter().map(Tensor::to_vec).collect();
    for row in 0..outer {
        for values in &rows {
            let width = values.len() / outer;
            whole.extend_from_slice(&values[row * width..][..width]);
        }
    }
    Ok(Tensor::new(dims, whole))
}

/// Constants of one type beside each other along an axis.
pub fn joined(all: &[&Constant], axis: usize) -> Result<Constant, Refused> {
    let floats: Vec<Tensor> = all
        .iter()
        .filter_map(|part| if let Constant::Floats(part) = part { Some(part.clone()) } else { None })
        .collect();
    if floats.len() == all.len() {
        return beside(&floats, axis).map(Constant::Floats);
    }
    if !floats.is_empty() {
        return Err(Refused::new("expected inputs of one type"));
    }
    few(&[all.iter().map(|part| part.dims().iter().product::<usize>()).fold(0, usize::saturating_add)])?;
    // Each has its places behind those of the one before.
    let mut values = Vec::new();
    let mut places = Vec::new();
    for part in all {
        let Constant::Ints(part) = part else { continue };
        let first = values.len();
        values.extend(&part.values);
        places.push(Tensor::new(part.dims.clone(), (first..values.len()).map(|at| at as f32).collect()));
    }
    let whole = beside(&places, axis)?;
    let moved = whole.to_vec().into_iter().map(|place| values[place as usize]).collect();
    Ok(Constant::Ints(Ints { dims: whole.dims, values: moved }))
}

/// The sizes of what two are broadcast to.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Refused> {
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

/// A function of two constants, which are broadcast to each other, by ONNX's name of it.
pub fn binary(op: &str, a: &Constant, b: &Constant) -> Result<Constant, Refused> {
    let dims = broadcast(a.dims(), b.dims())?;
    computed(&dims)?;
    let spread = |part: &Constant| {
        part.moved(|tensor| tensor.broadcast(&dims).ok_or_else(|| Refused::new("shapes do not fit")))
    };
    match (spread(a)?, spread(b)?) {
        (Constant::Floats(a), Constant::Floats(b)) => {
            let function: fn(f32, f32) -> f32 = match op {
                "Add" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Pow" => f32::powf,
                "Max" => f32::max,
                "Min" => f32::min,
                _ => return truths(op, &a.to_vec(), &b.to_vec(), dims),
            };
            let values = a.to_vec().into_iter().zip(b.to_vec()).map(|(a, b)| function(a, b)).collect();
            Ok(Constant::Floats(Tensor::new(dims, values)))
        }
        (Constant::Ints(a), Constant::Ints(b)) => {
            let values: Option<Vec<Int>> =
                a.values.iter().zip(&b.values).map(|(&a, &b)| whole(op, a, b)).collect();
            let values =
                values.ok_or_else(|| Refused::new("expected a shape that is linear in the batch"))?;
            Ok(Constant::Ints(Ints { dims, values }))
        }
        // The exponent may be of another type.
        (Constant::Floats(a), Constant::Ints(b)) if op == "Pow" => {
            let values = a.to_vec().into_iter().zip(&b.values).map(|(a, b)| Some(a.powf(b.known()? as f32)));
            let values =
                values.collect::<Option<Vec<_>>>().ok_or_else(|| Refused::new("expected a number"))?;
            Ok(Constant::Floats(Tensor::new(dims, values)))
        }
        _ => Err(Refused::new("expected inputs of one type")),
    }
}

/// What is true of two lists of numbers.
fn truths(op: &str, a: &[f32], b: &[f32], dims: Vec<usize>) -> Result<Constant, Refused> {
    few(&dims)?;
    let values = a.iter().zip(b).map(|(a, b)| compared(op, a, b).map(|truth| Int::Known(truth.into())));
    let values = values.collect::<Option<Vec<_>>>().ok_or_else(|| Refused::new("expected whole numbers"))?;
    Ok(Constant::Ints(Ints { dims, values }))
}

/// A comparison by ONNX's name of it.
fn compared<T: PartialOrd>(op: &str, a: &T, b: &T) -> Option<bool> {
    Some(match op {
        "Equal" => a == b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        _ => return None,
    })
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
            "And" => i64::from(a != 0 && b != 0),
            "Or" => i64::from(a != 0 || b != 0),
            _ => i64::from(compared(op, &a, &b)?),
        })),
        _ => None,
    }
}

/// The sizes that a `Reshape` gives a tensor of these.
pub fn target(dims: &[Int], told: &[Int], keeps_zeros: bool) -> Result<Vec<Int>, Refused> {
    let refused = || {
        Refused::expected_got("shape", format!("one of as many elements as {dims:?}"), format!("{told:?}"))
    };
    let product = |dims: &[Int]| dims.iter().try_fold(Int::Known(1), |product, &dim| product.times(dim));
    if told.len() > MOST_DIMENSIONS {
        return Err(Refused::expected_got("dimensions", format!("{MOST_DIMENSIONS} at most"), told.len()));
    }
    let mut target = Vec::with_capacity(told.len());
    for (axis, &dim) in told.iter().enumerate() {
        target.push(match dim {
            Int::Known(0) if !keeps_zeros => *dims.get(axis).ok_or_else(refused)?,
            dim => dim,
        });
    }
    let all = product(dims).ok_or_else(refused)?;
    if let Some(open) = target.iter().position(|&dim| dim == Int::Known(-1)) {
        target[open] = Int::Known(1);
        let known = product(&target).ok_or_else(refused)?;
        target[open] = all.over(known).ok_or_else(refused)?;
    }
    let least = |dim: &Int| matches!(dim, Int::Known(1..) | Int::Batch(1..));
    if product(&target) == Some(all) && target.iter().all(least) { Ok(target) } else { Err(refused()) }
}
