//! Sums, differences, products and extremes of maps and constants, which may be broadcast.

use super::function::clipped;
use crate::import::constant::{Constant, Int, Tensor, computed};
use crate::import::net::Id;
use crate::import::onnx::arrangement::{Arrangement, Factor, extent, size};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, Map, Value, one};
use crate::import::refused::Refused;
use bantam::{Add, Maximum, Minimum, Multiply, Rescaling, Subtract};

/// An operand.
enum Operand {
    Map(Map),
    Constant(Tensor),
}

fn operand(importer: &Importer<'_>, node: &Node<'_>, input: usize) -> Result<Operand, Refused> {
    let value = node.inputs.get(input).copied().flatten();
    match value.map(|value| &importer.values[value]) {
        Some(Value::Map(map)) => Ok(Operand::Map(map.clone())),
        Some(Value::Constant(Constant::Floats(tensor))) => Ok(Operand::Constant(tensor.clone())),
        _ => Err(Refused::new(format!("input {input}: expected floats"))),
    }
}

/// `Add`, `Sub`, `Mul`, `Div`, `Max`, `Min`, `Sum` and `Mean`, of any number of operands where the file may have that.
pub fn arithmetic(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut sum = operand(importer, node, 0)?;
    for input in 1..node.inputs.len() {
        let next = operand(importer, node, input)?;
        let last = input + 1 == node.inputs.len() && node.op() != "Mean";
        let map = match (sum, next) {
            (Operand::Map(a), Operand::Map(b)) => maps(importer, node, &a, &b, last)?,
            (Operand::Map(a), Operand::Constant(b)) => with_constant(importer, node, &a, &b, false)?,
            (Operand::Constant(a), Operand::Map(b)) => with_constant(importer, node, &b, &a, true)?,
            (Operand::Constant(_), Operand::Constant(_)) => {
                return Err(Refused::new("expected constants behind the first map"));
            }
        };
        let Value::Map(map) = map else { return Err(Refused::new("expected a map")) };
        sum = Operand::Map(map);
    }
    let Operand::Map(map) = sum else { return Err(Refused::new("expected a map, got a constant")) };
    let count = node.inputs.len();
    if node.op() == "Mean" && count > 1 {
        let dims = importer.net.dims(map.id).to_vec();
        let id = importer.net.layer(node.name, Rescaling::new(1.0 / count as f32), &[map.id], dims);
        return one(importer.given(node, id, map.lies));
    }
    one(if count == 1 { importer.seen(node, &map, map.lies.clone()) } else { Value::Map(map) })
}

/// The square of a map, by its exponent.
pub fn pow(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let exponent = node.inputs.get(1).copied().flatten().and_then(|value| importer.scalar(value));
    match exponent {
        Some(1.0) => one(importer.seen(node, &map, map.lies.clone())),
        Some(2.0) => {
            let dims = importer.net.dims(map.id).to_vec();
            let id = importer.net.layer(node.name, Multiply, &[map.id, map.id], dims);
            one(importer.given(node, id, map.lies))
        }
        _ => Err(Refused::new("expected an exponent of 2")),
    }
}

/// The absolute value: the larger of a number and its opposite.
pub fn abs(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let dims = importer.net.dims(map.id).to_vec();
    let opposite =
        importer.net.layer(&format!("{}/negative", node.name), Rescaling::new(-1.0), &[map.id], dims.clone());
    let id = importer.net.layer(node.name, Maximum, &[map.id, opposite], dims);
    one(importer.given(node, id, map.lies))
}

/// A map and a constant, which comes first if `reversed`.
fn with_constant(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    constant: &Tensor,
    reversed: bool,
) -> Result<Value, Refused> {
    let affine: fn(f32) -> [f32; 2] = match (node.op(), reversed) {
        ("Add" | "Sum" | "Mean", _) => |c| [1.0, c],
        ("Sub", false) => |c| [1.0, -c],
        ("Sub", true) => |c| [-1.0, c],
        ("Mul", _) => |c| [c, 0.0],
        ("Div", false) => |c| [1.0 / c, 0.0],
        ("Max" | "Min", _) => {
            let bound = (constant.len() == 1).then(|| constant.to_vec()[0]);
            let bound = bound.ok_or_else(|| {
                Refused::expected_got("bound", "one number for all elements", format!("{:?}", constant.dims))
            })?;
            let bounds = if node.op() == "Max" { [Some(bound), None] } else { [None, Some(bound)] };
            return Ok(clipped(importer, node, map, bounds)?.remove(0));
        }
        (op, _) => {
            return Err(
                Refused::new(format!("{op} of a constant by a map")).advice("no layer divides by a map")
            );
        }
    };
    let shifts = !matches!(node.op(), "Mul" | "Div");
    let (_, values) = along(importer, map, constant)?;
    let inner = values.len();
    let [scale, shift]: [Vec<f32>; 2] = [0, 1].map(|part| values.iter().map(|&c| affine(c)[part]).collect());
    if let Some(bad) = scale.iter().chain(&shift).position(|value| !value.is_finite()) {
        return Err(Refused::expected_got(
            "constant",
            "finite numbers, and none that divides by 0",
            values[bad % inner],
        ));
    }
    if map.exclusive && importer.net.join(map.id, &scale, shifts.then_some(&shift[..])) {
        let name = importer.net.layer_of(map.id).map(|layer| layer.name.clone()).unwrap_or_default();
        importer.fused(node.name, &name);
        return Ok(importer.seen(node, map, map.lies.clone()));
    }
    let id = importer.net.affine(node.name, map.id, map.lies.natural(), scale, shifts.then_some(shift));
    Ok(importer.given(node, id, map.lies.clone()))
}

/// A constant that is broadcast to a map, as the innermost elements of memory repeat it: how often it is repeated, and its
/// numbers in the order of memory.
///
/// # Errors
/// It does not fit, or is of some samples alone.
pub fn along(importer: &Importer<'_>, map: &Map, constant: &Tensor) -> Result<(usize, Vec<f32>), Refused> {
    let (axes, all) = (&map.lies.axes, size(&map.lies.order));
    if constant.len() == 1 {
        return Ok((all, constant.to_vec()));
    }
    let refused = || {
        let expected = format!("one that is broadcast to {}, the same for all samples", importer.shape(map));
        Refused::expected_got("constant", expected, format!("{:?}", constant.dims))
    };
    let ones = constant.dims.iter().take_while(|&&dim| dim == 1).count();
    let dims = &constant.dims[ones..];
    let first = axes.len().checked_sub(dims.len()).ok_or_else(refused)?;
    // From each factor to where the constant has its next element.
    let mut strides = vec![0; map.lies.order.len()];
    for (axis, (&dim, factors)) in dims.iter().zip(&axes[first..]).enumerate() {
        let mut stride = constant.stride(ones + axis);
        match extent(factors, importer.batch) {
            _ if dim == 1 => continue,
            Int::Known(size) if size == dim as i64 && !factors.contains(&Factor::BATCH) => {}
            _ => return Err(refused()),
        }
        for factor in factors.iter().rev() {
            let at = map.lies.order.iter().position(|other| other == factor).ok_or_else(refused)?;
            strides[at] = stride;
            stride *= factor.size;
        }
    }
    let outer = strides.iter().take_while(|&&stride| stride == 0).count();
    let inner: Vec<usize> = map.lies.order[outer..].iter().map(|factor| factor.size).collect();
    computed(&inner)?;
    Ok((size(&map.lies.order[..outer]), constant.view(inner, strides.split_off(outer)).to_vec()))
}

/// Two maps. What is broadcast is repeated, except a factor for each channel, which its layer takes as it is.
fn maps(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    a: &Map,
    b: &Map,
    last: bool,
) -> Result<Value, Refused> {
    let (mut a, mut b) = (a.clone(), b.clone());
    let lies = unified(importer, node, &mut a, &mut b)?;
    let [missing_in_a, missing_in_b] = [&a, &b].map(|map| lies.order.len() - map.lies.order.len());
    let name = if last { node.name.to_string() } else { format!("{}/partial", node.name) };
    let multiplies = node.op() == "Mul";
    let (ids, dims) = match (missing_in_a, missing_in_b) {
        (0, 0) => {
            let b = importer.turned(node, &b, &a.lies.order);
            let dims = importer.net.dims(a.id).to_vec();
            ([a.id, importer.net.reshape(node.name, b, &dims)], dims)
        }
        (0, 1..) if multiplies && scales(&a, &b) => factors(importer, node, &a, &b),
        (1.., 0) if multiplies && scales(&b, &a) => factors(importer, node, &b, &a),
        _ => {
            let ids = [&a, &b].map(|map| repeated(importer, node, map, &lies.order));
            let dims = Some(lies.natural())
                .filter(|dims| dims.len() <= 4)
                .unwrap_or_else(|| vec![size(&lies.order)]);
            (ids.map(|id| importer.net.reshape(node.name, id, &dims)), dims)
        }
    };
    let id = match node.op() {
        "Add" | "Sum" | "Mean" => importer.net.layer(&name, Add, &ids, dims),
        "Sub" => importer.net.layer(&name, Subtract, &ids, dims),
        "Mul" => importer.net.layer(&name, Multiply, &ids, dims),
        "Max" => importer.net.layer(&name, Maximum, &ids, dims),
        "Min" => importer.net.layer(&name, Minimum, &ids, dims),
        op => return Err(Refused::new(format!("{op} of two maps")).advice("no layer divides by a map")),
    };
    Ok(importer.given(node, id, lies))
}

/// Makes factors of both the same, and tells how the result lies.
fn unified(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    a: &mut Map,
    b: &mut Map,
) -> Result<Arrangement, Refused> {
    let refused = |importer: &Importer<'_>, a: &Map, b: &Map| {
        Refused::expected_got(
            "shapes",
            "two that are broadcast to one",
            format!("{} and {}", importer.shape(a), importer.shape(b)),
        )
    };
    let rank = a.lies.axes.len().max(b.lies.axes.len());
    for map in [&mut *a, &mut *b] {
        // A batch of one is where it is first, whatever the ranks.
        let batch =
            importer.batch == Int::Known(1) && map.lies.axes.iter().any(|axis| axis.contains(&Factor::BATCH));
        if batch {
            map.lies.axes.iter_mut().for_each(|axis| axis.retain(|&factor| factor != Factor::BATCH));
        }
        while map.lies.axes.len() < rank {
            map.lies.axes.insert(0, Vec::new());
        }
        if batch && rank > 0 {
            map.lies.axes[0].insert(0, Factor::BATCH);
        }
    }
    let mut pairs = Vec::new();
    for axis in 0..rank {
        let [x, y] = [&a, &b].map(|map| &map.lies.axes[axis]);
        let [x_size, y_size] = [x, y].map(|factors| extent(factors, importer.batch));
        if x_size == y_size {
            pairs.push((axis, axis));
        } else if x_size != Int::Known(1) && y_size != Int::Known(1) {
            return Err(refused(importer, a, b));
        }
    }
    if !a.lies.unify(&mut b.lies, &pairs, &mut importer.factors) {
        for map in [&mut *a, &mut *b] {
            map.id = importer.turned(node, map, &map.lies.logical());
            map.lies = map.lies.in_order_of_axes(&mut importer.factors);
        }
        if !a.lies.unify(&mut b.lies, &pairs, &mut importer.factors) {
            return Err(refused(importer, a, b));
        }
    }
    let axes: Vec<Vec<Factor>> = (a.lies.axes.iter().zip(&b.lies.axes))
        .map(|(a, b)| if a.len() >= b.len() { a.clone() } else { b.clone() })
        .collect();
    let whole = Arrangement { axes, order: Vec::new() };
    let logical = whole.logical();
    let order = [&*a, &*b].into_iter().find(|map| map.lies.order.len() == logical.len());
    let order = order.map_or(logical, |map| map.lies.order.clone());
    Ok(Arrangement { order, ..whole })
}

/// Whether one has a factor for each of the innermost elements of the other.
fn scales(map: &Map, factors: &Map) -> bool {
    !factors.lies.order.is_empty() && map.lies.order.ends_with(&factors.lies.order)
}

/// A map and factors as their layer takes them.
fn factors(importer: &mut Importer<'_>, node: &Node<'_>, map: &Map, factors: &Map) -> ([Id; 2], Vec<usize>) {
    let inner = size(&factors.lies.order);
    let natural = importer.net.dims(map.id).to_vec();
    let dims = if natural.len() == 3 && natural[2] == inner {
        natural
    } else {
        vec![1, size(&map.lies.order) / inner, inner]
    };
    let map = importer.net.reshape(node.name, map.id, &dims);
    let factors = match importer.net.dims(factors.id) {
        [1, 1, _] => factors.id,
        _ => importer.net.reshape(node.name, factors.id, &[inner]),
    };
    ([map, factors], dims)
}

/// A map with what it lacks of an order, by which it is repeated.
pub fn repeated(importer: &mut Importer<'_>, node: &Node<'_>, map: &Map, order: &[Factor]) -> Id {
    let here: Vec<Factor> = order.iter().filter(|factor| map.lies.order.contains(factor)).copied().collect();
    let mut id = importer.turned(node, map, &here);
    let mut at = 0;
    while at < order.len() {
        let missing = order[at..].iter().take_while(|factor| !here.contains(factor)).count();
        if missing > 0 {
            let times = size(&order[at..at + missing]);
            let inner: usize =
                order[at..].iter().filter(|factor| here.contains(factor)).map(|factor| factor.size).product();
            let outer = size(&order[..at]);
            id = importer.net.repeat(node.name, id, [outer, times, inner]);
        }
        at += missing.max(1);
    }
    id
}
