//! What is computed once and for all: shapes, as exporters compute them in the graph, and functions of weights.

mod numbers;

use super::graph::Node;
use super::operators::bound;
use super::operators::parts::backwards;
use super::operators::shape::{order, with_axes};
use super::tensor::{self, External};
use crate::import::constant::{Constant, Int, Ints, MOST_DIMENSIONS, MOST_INTS, Tensor, computed};
use crate::import::fold::{beside, joined, target};
use crate::import::refused::Refused;
use numbers::{binary, cast, choose, product, range, unary};

/// The constants that a node reads; those that are left out are `None`.
type Inputs<'a> = [Option<&'a Constant>];

/// What computes a constant.
pub type Fold = fn(&Node<'_>, &Inputs<'_>) -> Result<Constant, Refused>;

/// How the operator of that name computes a constant, if it can.
pub fn of(name: &str) -> Option<Fold> {
    Some(match name {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Max" | "Min" | "Mod" => binary,
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" => binary,
        "Neg" | "Sqrt" | "Reciprocal" | "Exp" | "Log" | "Abs" | "Floor" | "Ceil" | "Not" => unary,
        "Cast" => cast,
        "Concat" => concat,
        "ConstantOfShape" => filled,
        "Expand" => expand,
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => reshape,
        "Gather" => gather,
        "Identity" | "Dropout" => |_, inputs| data(inputs, 0).cloned(),
        "Range" => range,
        "ReduceProd" => product,
        "Slice" => slice,
        "Transpose" => transpose,
        "Where" => choose,
        _ => return None,
    })
}

/// The value of a `Constant` node.
pub fn constant(node: &Node<'_>, external: &External<'_>) -> Result<Constant, Refused> {
    let ints = |dims: Vec<usize>, values: &[i64]| {
        Constant::Ints(Ints { dims, values: values.iter().copied().map(Int::Known).collect() })
    };
    if let Some(value) = node.tensor("value") {
        return tensor::read(value, external);
    }
    if let Some(values) = node.ints("value_ints") {
        return Ok(ints(vec![values.len()], values));
    }
    if let Some(values) = node.floats("value_floats") {
        return Ok(Constant::Floats(Tensor::new(vec![values.len()], values.to_vec())));
    }
    if let Some(value) = node.int("value_int") {
        return Ok(ints(vec![], &[value]));
    }
    let value = node.float("value_float").ok_or_else(|| Refused::new("expected a value of numbers"))?;
    Ok(Constant::Floats(Tensor::new(vec![], vec![value])))
}

/// Of the sizes of a tensor, those that a `Shape` node gives, or the product that a `Size` node gives.
pub fn shape(node: &Node<'_>, dims: &[Int]) -> Result<Constant, Refused> {
    if node.op() == "Size" {
        let size = dims.iter().try_fold(Int::Known(1), |size, &dim| size.times(dim));
        let size = size.ok_or_else(|| Refused::new("expected a size that is linear in the batch"))?;
        return Ok(Constant::Ints(Ints { dims: vec![], values: vec![size] }));
    }
    let [start, end] = [node.int("start").unwrap_or(0), node.int("end").unwrap_or(i64::MAX)];
    let [start, end] = [start, end].map(|at| bound(at, dims.len()));
    let values = dims.get(start..end).unwrap_or_default().to_vec();
    Ok(Constant::Ints(Ints { dims: vec![values.len()], values }))
}

fn data<'a>(inputs: &Inputs<'a>, input: usize) -> Result<&'a Constant, Refused> {
    let found = inputs.get(input).copied().flatten();
    found.ok_or_else(|| Refused::new(format!("input {input}: expected a constant, found none")))
}

/// Whole numbers that are an input, if they are there.
fn ints(inputs: &Inputs<'_>, input: usize) -> Option<Vec<Int>> {
    match inputs.get(input).copied().flatten()? {
        Constant::Ints(ints) => Some(ints.values.clone()),
        Constant::Floats(_) => None,
    }
}

/// The same, none of which depends on the batch, or those of an attribute.
fn listed(node: &Node<'_>, attribute: &str, inputs: &Inputs<'_>, input: usize) -> Option<Vec<i64>> {
    match node.ints(attribute) {
        Some(values) => Some(values.to_vec()),
        None => ints(inputs, input)?.into_iter().map(Int::known).collect(),
    }
}

fn reshape(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let data = data(inputs, 0)?;
    let known: Vec<Int> = data.dims().iter().map(|&dim| Int::Known(dim as i64)).collect();
    let target = match node.op() {
        "Reshape" => {
            let told = node.ints("shape").map(|shape| shape.iter().copied().map(Int::Known).collect());
            let told = told
                .or_else(|| ints(inputs, 1))
                .ok_or_else(|| Refused::new("expected a shape, found none"))?;
            target(&known, &told, node.flag("allowzero"))?
        }
        "Flatten" => {
            let axis = node.int("axis").unwrap_or(1);
            let at = if axis == known.len() as i64 { known.len() } else { Node::axis(axis, known.len())? };
            let product = |dims: &[usize]| Int::Known(dims.iter().product::<usize>() as i64);
            vec![product(&data.dims()[..at]), product(&data.dims()[at..])]
        }
        "Unsqueeze" => {
            let told =
                listed(node, "axes", inputs, 1).ok_or_else(|| Refused::new("expected axes, found none"))?;
            with_axes(&known, &told, Int::Known(1))?
        }
        _ => {
            let told = listed(node, "axes", inputs, 1);
            let axes = told.map(|told| {
                told.iter().map(|&axis| Node::axis(axis, known.len())).collect::<Result<Vec<_>, _>>()
            });
            let axes = axes.transpose()?;
            let kept = |axis: usize| match &axes {
                Some(axes) => !axes.contains(&axis),
                None => known[axis] != Int::Known(1),
            };
            (0..known.len()).filter(|&axis| kept(axis)).map(|axis| known[axis]).collect()
        }
    };
    let dims: Option<Vec<usize>> =
        target.iter().map(|dim| dim.known().and_then(|dim| usize::try_from(dim).ok())).collect();
    let count: usize = data.dims().iter().product();
    let dims = dims.filter(|dims| dims.iter().product::<usize>() == count);
    let dims = dims.ok_or_else(|| {
        Refused::expected_got(
            "shape",
            format!("one of as many elements as {:?}", data.dims()),
            format!("{target:?}"),
        )
    })?;
    data.moved(|tensor| tensor.reshaped(dims))
}

fn transpose(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let data = data(inputs, 0)?;
    let order = order(node, data.dims().len())?;
    data.moved(|tensor| Ok(tensor.transposed(&order)))
}

fn expand(_: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let data = data(inputs, 0)?;
    let told = ints(inputs, 1).and_then(|told| told.into_iter().map(Int::known).collect::<Option<Vec<_>>>());
    let told = told.ok_or_else(|| Refused::new("shape: expected sizes that do not depend on the batch"))?;
    if told.len() > MOST_DIMENSIONS {
        return Err(Refused::expected_got("dimensions", format!("{MOST_DIMENSIONS} at most"), told.len()));
    }
    let rank = told.len().max(data.dims().len());
    let mut dims = vec![1; rank];
    dims[rank - data.dims().len()..].copy_from_slice(data.dims());
    for (dim, &told) in dims[rank - told.len()..].iter_mut().zip(&told) {
        if *dim == 1 {
            *dim = usize::try_from(told).unwrap_or(0);
        }
    }
    computed(&dims)?;
    let refused = || {
        Refused::expected_got(
            "shape",
            format!("one that {:?} is broadcast to", data.dims()),
            format!("{told:?}"),
        )
    };
    data.moved(|tensor| tensor.broadcast(&dims).ok_or_else(refused))
}

fn slice(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let data = data(inputs, 0)?;
    let missing = || Refused::new("expected constant starts and ends");
    let starts = listed(node, "starts", inputs, 1).ok_or_else(missing)?;
    let ends = listed(node, "ends", inputs, 2).ok_or_else(missing)?;
    let axes = listed(node, "axes", inputs, 3).unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = listed(node, "steps", inputs, 4).unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(Refused::new("expected as many ends, axes and steps as starts"));
    }
    data.moved(|mut tensor| {
        for i in 0..starts.len() {
            let axis = Node::axis(axes[i], tensor.dims.len())?;
            if steps[i] < 0 {
                tensor = turned(&tensor, axis, [starts[i], ends[i], steps[i]])?;
                continue;
            }
            let step = usize::try_from(steps[i]).ok().filter(|&step| step > 0);
            let step =
                step.ok_or_else(|| Refused::expected_got("step", "another number than 0", steps[i]))?;
            let [start, end] = [starts[i], ends[i]].map(|at| bound(at, tensor.dims[axis]));
            tensor = tensor.sliced(axis, start.min(end), end.saturating_sub(start).div_ceil(step), step);
        }
        Ok(tensor)
    })
}

/// A part of an axis that is read from its end, as PyTorch's exporter turns the list of a padding round.
fn turned(tensor: &Tensor, axis: usize, part: [i64; 3]) -> Result<Tensor, Refused> {
    computed(&tensor.dims)?;
    let places = backwards(part, tensor.dims[axis]);
    if places.is_empty() {
        return Ok(tensor.sliced(axis, 0, 0, 1));
    }
    let elements: Vec<Tensor> = places.iter().map(|&at| tensor.sliced(axis, at, 1, 1)).collect();
    beside(&elements, axis)
}

fn gather(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let data = data(inputs, 0)?;
    let axis = Node::axis(node.int("axis").unwrap_or(0), data.dims().len())?;
    let Some(Some(Constant::Ints(indices))) = inputs.get(1) else {
        return Err(Refused::new("expected constant indices"));
    };
    let all = data.dims()[axis];
    let mut dims = data.dims().to_vec();
    dims.splice(axis..=axis, indices.dims.iter().copied());
    if dims.len() > MOST_DIMENSIONS {
        return Err(Refused::expected_got("dimensions", format!("{MOST_DIMENSIONS} at most"), dims.len()));
    }
    computed(&dims)?;
    data.moved(|tensor| {
        let mut parts = Vec::with_capacity(indices.values.len());
        for index in &indices.values {
            let at = index.known().map(|at| if at < 0 { at + all as i64 } else { at });
            let at = at.and_then(|at| usize::try_from(at).ok()).filter(|&at| at < all);
            let at = at.ok_or_else(|| {
                Refused::expected_got("index", format!("below {all}"), format!("{index:?}"))
            })?;
            parts.push(tensor.sliced(axis, at, 1, 1));
        }
        beside(&parts, axis)?.reshaped(dims)
    })
}

fn concat(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let all: Vec<&Constant> = (0..inputs.len()).map(|input| data(inputs, input)).collect::<Result<_, _>>()?;
    let rank = all.first().map_or(0, |first| first.dims().len());
    let axis = Node::axis(node.int("axis").unwrap_or(0), rank)?;
    joined(&all, axis)
}

fn filled(node: &Node<'_>, inputs: &Inputs<'_>) -> Result<Constant, Refused> {
    let dims = ints(inputs, 0).and_then(|dims| {
        dims.into_iter().map(|dim| usize::try_from(dim.known()?).ok()).collect::<Option<Vec<_>>>()
    });
    let dims = dims.filter(|dims| dims.len() <= MOST_DIMENSIONS);
    let dims =
        dims.ok_or_else(|| Refused::new("shape: expected some sizes that do not depend on the batch"))?;
    let count = computed(&dims)?;
    let value = node
        .tensor("value")
        .map(|value| tensor::read(value, &|_| Err(Refused::new("value: expected it in the file"))));
    match value.transpose()? {
        None => Ok(Constant::Floats(Tensor::same(dims, 0.0))),
        Some(Constant::Floats(value)) if value.len() == 1 => {
            Ok(Constant::Floats(Tensor::same(dims, value.to_vec()[0])))
        }
        Some(Constant::Ints(Ints { values, .. })) if values.len() == 1 && count <= MOST_INTS => {
            Ok(Constant::Ints(Ints { dims, values: vec![values[0]; count] }))
        }
        _ => Err(Refused::new("value: expected one number")),
    }
}
