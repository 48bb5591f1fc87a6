//! What is computed once and for all: shapes, as the converter computes them in the graph, and constants moved.

use super::graph::Node;
use super::importer::{axis, known};
use crate::import::constant::{Constant, Int, Ints, MOST_DIMENSIONS, MOST_INTS, Tensor, computed};
use crate::import::fold::{beside, binary, joined, target};
use crate::import::refused::Refused;

/// What computes a constant of constants.
pub type Fold = fn(&Node<'_>, &[&Constant]) -> Result<Constant, Refused>;

/// How the operator of that name computes a constant, if it can.
pub fn of(name: &str) -> Option<Fold> {
    Some(match name {
        "ADD" | "SUB" | "MUL" | "DIV" | "MAXIMUM" | "MINIMUM" | "FLOOR_DIV" => arithmetic,
        "CAST" => cast,
        "CONCATENATION" => concatenation,
        "DEQUANTIZE" => dequantize,
        "EXPAND_DIMS" | "RESHAPE" | "SQUEEZE" => reshape,
        "GATHER" => gather,
        "PACK" => pack,
        "REDUCE_PROD" => product,
        "STRIDED_SLICE" => strided_slice,
        "TRANSPOSE" => transpose,
        _ => return None,
    })
}

/// Of the sizes of a value, the constant that `SHAPE` gives.
pub fn shape(dims: &[Int]) -> Constant {
    Constant::Ints(Ints { dims: vec![dims.len()], values: dims.to_vec() })
}

fn input<'a>(inputs: &[&'a Constant], at: usize) -> Result<&'a Constant, Refused> {
    inputs
        .get(at)
        .copied()
        .ok_or_else(|| Refused::new(format!("input {at}: expected a constant, found none")))
}

fn ints(inputs: &[&Constant], at: usize) -> Result<Vec<Int>, Refused> {
    match input(inputs, at)? {
        Constant::Ints(ints) => Ok(ints.values.clone()),
        Constant::Floats(_) => Err(Refused::new(format!("input {at}: expected whole numbers, got floats"))),
    }
}

/// The same, none of which depends on the batch.
fn numbers(inputs: &[&Constant], at: usize) -> Result<Vec<i64>, Refused> {
    let known: Option<Vec<i64>> = ints(inputs, at)?.into_iter().map(Int::known).collect();
    known.ok_or_else(|| Refused::new(format!("input {at}: expected numbers that do not depend on the batch")))
}

fn arithmetic(node: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    let name = match node.op {
        "ADD" => "Add",
        "SUB" => "Sub",
        "MUL" => "Mul",
        "DIV" | "FLOOR_DIV" => "Div",
        "MAXIMUM" => "Max",
        _ => "Min",
    };
    let function =
        if name.starts_with('M') && name != "Mul" || node.op == "FLOOR_DIV" { 0 } else { node.byte(0)? };
    if function != 0 {
        return Err(Refused::expected_got(
            "fused activation",
            "none, of constants",
            format!("number {function}"),
        ));
    }
    binary(name, input(inputs, 0)?, input(inputs, 1)?)
}

fn cast(node: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    // Types of elements in the options, and of what is read.
    use super::schema::element::{FLOAT16, FLOAT32, INT32, INT64};
    let (data, to) = (input(inputs, 0)?, node.byte(1)?);
    match data {
        Constant::Floats(_) if [FLOAT32, FLOAT16].contains(&to) => Ok(data.clone()),
        Constant::Ints(_) if [INT32, INT64].contains(&to) => Ok(data.clone()),
        Constant::Ints(ints) if [FLOAT32, FLOAT16].contains(&to) => {
            let values: Option<Vec<f32>> =
                ints.values.iter().map(|value| value.known().map(|value| value as f32)).collect();
            let values =
                values.ok_or_else(|| Refused::new("expected numbers that do not depend on the batch"))?;
            Ok(Constant::Floats(Tensor::new(ints.dims.clone(), values)))
        }
        Constant::Floats(tensor) if [INT32, INT64].contains(&to) && tensor.len() <= MOST_INTS => {
            let values = tensor.to_vec().into_iter().map(|value| Int::Known(value as i64)).collect();
            Ok(Constant::Ints(Ints { dims: tensor.dims.clone(), values }))
        }
        _ => Err(Refused::expected_got("type", "float32, int32 or int64", super::schema::type_name(to))),
    }
}

/// Weights that the file has in 16 bits.
fn dequantize(_: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    match input(inputs, 0)? {
        Constant::Floats(tensor) => Ok(Constant::Floats(tensor.clone())),
        Constant::Ints(_) => Err(Refused::new("expected floats of 16 bits, got whole numbers")),
    }
}

fn concatenation(node: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    let rank = input(inputs, 0)?.dims().len();
    joined(inputs, axis(node.int(0, 0)?.into(), rank)?)
}

/// Along an axis that is new.
fn pack(node: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    let mut dims = input(inputs, 0)?.dims().to_vec();
    if dims.len() == MOST_DIMENSIONS {
        return Err(Refused::expected_got(
            "dimensions",
            format!("{MOST_DIMENSIONS} at most"),
            dims.len() + 1,
        ));
    }
    let axis = axis(node.int(1, 0)?.into(), dims.len() + 1)?;
    if let Some(other) = inputs.iter().find(|other| other.dims() != dims) {
        return Err(Refused::expected_got(
            "shape",
            format!("{dims:?}, as of the first"),
            format!("{:?}", other.dims()),
        ));
    }
    dims.insert(axis, 1);
    let parts = inputs.iter().map(|part| part.moved(|tensor| tensor.reshaped(dims.clone())));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    joined(&parts.iter().collect::<Vec<_>>(), axis)
}

/// Elements of an axis by their places.
fn gather(node: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    let (data, places) = (input(inputs, 0)?, numbers(inputs, 1)?);
    let at = axis(node.int(0, 0)?.into(), data.dims().len())?;
    if node.int(1, 0)? != 0 {
        return Err(Refused::expected_got("batch_dims", 0, node.int(1, 0)?));
    }
    let all = data.dims()[at];
    let mut dims = data.dims().to_vec();
    dims.splice(at..=at, input(inputs, 1)?.dims().iter().copied());
    if dims.len() > MOST_DIMENSIONS {
        return Err(Refused::expected_got("dimensions", format!("{MOST_DIMENSIONS} at most"), dims.len()));
    }
    computed(&dims)?;
    data.moved(|tensor| {
        let parts = places.iter().map(|&place| {
            let found = usize::try_from(place).ok().filter(|&place| place < all);
            let refused = || Refused::expected_got("place", format!("below {all}"), place);
            found.map(|place| tensor.sliced(at, place, 1, 1)).ok_or_else(refused)
        });
        if places.is_empty() {
            return Ok(Tensor::new(dims.clone(), Vec::new()));
        }
        beside(&parts.collect::<Result<Vec<_>, _>>()?, at)?.reshaped(dims)
    })
}

fn product(node: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    let product = ints(inputs, 0)?.into_iter().try_fold(Int::Known(1), Int::times);
    let product = product.ok_or_else(|| Refused::new("expected a product that is linear in the batch"))?;
    let rank = input(inputs, 0)?.dims().len();
    if rank > 1 {
        return Err(Refused::expected_got("dimensions", 1, rank));
    }
    let dims = if node.flag(0)? { vec![1; rank] } else { vec![] };
    Ok(Constant::Ints(Ints { dims, values: vec![product] }))
}

fn transpose(_: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    let data = input(inputs, 0)?;
    let order = order(&numbers(inputs, 1)?, data.dims().len())?;
    data.moved(|tensor| Ok(tensor.transposed(&order)))
}

/// An order of so many axes.
pub fn order(told: &[i64], rank: usize) -> Result<Vec<usize>, Refused> {
    let order = told.iter().map(|&told| axis(told, rank)).collect::<Result<Vec<_>, _>>()?;
    if order.len() == rank && (0..rank).all(|axis| order.contains(&axis)) {
        return Ok(order);
    }
    Err(Refused::expected_got("order", format!("each of {rank} axes once"), format!("{told:?}")))
}

fn reshape(node: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    let data = input(inputs, 0)?;
    let dims = known(data.dims());
    let target = match node.op {
        "RESHAPE" => {
            let told = match (inputs.len(), node.ints(0)?) {
                (1, Some(told)) => told.into_iter().map(|dim| Int::Known(dim.into())).collect(),
                _ => ints(inputs, 1)?,
            };
            target(&dims, &told, true)?
        }
        "SQUEEZE" => squeezed(node, &dims)?,
        _ => expanded(&dims, &numbers(inputs, 1)?)?,
    };
    let size = |dim: &Int| dim.known().and_then(|dim| usize::try_from(dim).ok());
    let dims: Vec<usize> = target.iter().map(size).collect::<Option<_>>().ok_or_else(|| {
        Refused::expected_got(
            "shape",
            "sizes that do not depend on the batch",
            super::importer::shape(&target),
        )
    })?;
    data.moved(|tensor| tensor.reshaped(dims))
}

/// Sizes without axes of 1: all, or those of the options.
pub fn squeezed(node: &Node<'_>, dims: &[Int]) -> Result<Vec<Int>, Refused> {
    let told = node.ints(0)?.unwrap_or_default();
    let axes = told.iter().map(|&told| axis(told.into(), dims.len())).collect::<Result<Vec<_>, _>>()?;
    if let Some(&axis) = axes.iter().find(|&&axis| dims[axis] != Int::Known(1)) {
        return Err(Refused::expected_got(&format!("size of axis {axis}"), 1, super::importer::shape(dims)));
    }
    let kept =
        |axis: usize| if axes.is_empty() { dims[axis] != Int::Known(1) } else { !axes.contains(&axis) };
    Ok((0..dims.len()).filter(|&axis| kept(axis)).map(|axis| dims[axis]).collect())
}

/// Sizes with an axis of 1 more.
pub fn expanded(dims: &[Int], told: &[i64]) -> Result<Vec<Int>, Refused> {
    let &[told] = told else {
        return Err(Refused::expected_got("axis", "one number", format!("{told:?}")));
    };
    if dims.len() == MOST_DIMENSIONS {
        return Err(Refused::expected_got(
            "dimensions",
            format!("{MOST_DIMENSIONS} at most"),
            dims.len() + 1,
        ));
    }
    let mut dims = dims.to_vec();
    let axis = axis(told, dims.len() + 1)?;
    dims.insert(axis, Int::Known(1));
    Ok(dims)
}

/// A part of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub axis: usize,
    pub start: usize,
    pub len: usize,
    pub step: usize,
    /// Whether its only element is to be without an axis.
    pub shrinks: bool,
}

/// What a `STRIDED_SLICE` takes of axes of these sizes. What is taken whole is not in the list.
pub fn parts(
    node: &Node<'_>,
    dims: &[Int],
    [starts, ends, steps]: [&[i64]; 3],
) -> Result<Vec<Part>, Refused> {
    let [from_first, to_last, ellipsis, new, shrink] = [0, 1, 2, 3, 4].map(|field| node.int(field, 0));
    let (from_first, to_last, shrink) = (from_first?, to_last?, shrink?);
    if ellipsis? != 0 || new? != 0 {
        return Err(Refused::new("an ellipsis or a new axis: expected starts and ends of each axis"));
    }
    if ends.len() != starts.len() || steps.len() != starts.len() || starts.len() > dims.len() {
        let got = format!("{}, {} and {}", starts.len(), ends.len(), steps.len());
        return Err(Refused::expected_got(
            "starts, ends and steps",
            format!("as many, {} at most", dims.len()),
            got,
        ));
    }
    let by_len = node.flag(5)?;
    let mut parts = Vec::new();
    for (axis, &dim) in dims.iter().enumerate().take(starts.len()) {
        let is = |mask: i32| mask >> axis & 1 == 1;
        let (start, mut end) = (starts[axis], ends[axis]);
        if by_len {
            end = start.saturating_add(end);
        }
        let whole = (is(from_first) || start == 0) && steps[axis] == 1 && !is(shrink);
        let to_end = is(to_last) || dim.known().is_some_and(|all| end >= all) || end >= i64::from(i32::MAX);
        if whole && to_end {
            continue;
        }
        let Some(all) = dim.known() else {
            return Err(
                Refused::new("expected another axis than the batch").advice("samples are not told apart")
            );
        };
        let bound = |at: i64| (if at < 0 { at.saturating_add(all) } else { at }).clamp(0, all) as usize;
        let step = usize::try_from(steps[axis]).ok().filter(|&step| step > 0);
        let step = step.ok_or_else(|| Refused::expected_got("step", "at least 1", steps[axis]))?;
        let first = if is(from_first) && !is(shrink) { 0 } else { bound(start) };
        let last = if is(to_last) { all as usize } else { bound(end) };
        let last = if is(shrink) { first + 1 } else { last };
        if first >= last || last > all as usize {
            let got = format!("{start} to {end} of {all}");
            return Err(Refused::expected_got(&format!("part of axis {axis}"), "an element at least", got));
        }
        let len = (last - first).div_ceil(step);
        parts.push(Part { axis, start: first, len, step, shrinks: is(shrink) });
    }
    Ok(parts)
}

fn strided_slice(node: &Node<'_>, inputs: &[&Constant]) -> Result<Constant, Refused> {
    let data = input(inputs, 0)?;
    let [starts, ends, steps] = [1, 2, 3].map(|at| numbers(inputs, at));
    let parts = parts(node, &known(data.dims()), [&starts?, &ends?, &steps?])?;
    let left = |axis: usize| !parts.iter().any(|part| part.axis == axis && part.shrinks);
    data.moved(|mut tensor| {
        for part in &parts {
            tensor = tensor.sliced(part.axis, part.start, part.len, part.step);
        }
        let dims = (0..tensor.dims.len()).filter(|&axis| left(axis)).map(|axis| tensor.dims[axis]).collect();
        tensor.reshaped(dims)
    })
}
