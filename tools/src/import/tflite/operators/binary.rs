//! Sums, differences, products and extremes of maps and constants, which may be broadcast.

use crate::import::constant::{Constant, Int, Tensor, computed};
use crate::import::net::{Id, Kind};
use crate::import::refused::Refused;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, Map, Value, one, shape};
use bantam::{Add, Maximum, Minimum, Multiply, Rescaling, Silu, Subtract};

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

/// `ADD`, `SUB`, `MUL`, `DIV`, `MAXIMUM` and `MINIMUM`
pub fn arithmetic(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (map, id, dims) = match (operand(importer, node, 0)?, operand(importer, node, 1)?) {
        (Operand::Map(a), Operand::Map(b)) => {
            let (id, dims) = maps(importer, node, &a, &b)?;
            (a, id, dims)
        }
        (Operand::Map(a), Operand::Constant(b)) => with_constant(importer, node, a, &b, false)?,
        (Operand::Constant(a), Operand::Map(b)) => with_constant(importer, node, b, &a, true)?,
        (Operand::Constant(_), Operand::Constant(_)) => return Err(Refused::new("expected a map")),
    };
    let function = if node.op.ends_with("IMUM") { 0 } else { node.byte(0)? };
    if id == map.id && function == 0 {
        return one(importer.seen(node, &map, dims));
    }
    importer.activated(node, id, dims, function)
}

/// `SQUARE`
pub fn square(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let dims = importer.net.dims(map.id).to_vec();
    let id = importer.net.layer(&node.name, Multiply, &[map.id, map.id], dims);
    one(importer.given(node, id, map.dims))
}

/// The absolute value: the larger of a number and its opposite.
pub fn abs(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let opposite = importer.net.function(&format!("{}/negative", node.name), map.id, Rescaling::new(-1.0));
    let dims = importer.net.dims(map.id).to_vec();
    let id = importer.net.layer(&node.name, Maximum, &[map.id, opposite], dims);
    one(importer.given(node, id, map.dims))
}

/// A map and a constant, which comes first if `reversed`: the map, what became of it, and its sizes.
fn with_constant(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: Map,
    constant: &Tensor,
    reversed: bool,
) -> Result<(Map, Id, Vec<Int>), Refused> {
    let dims = map.dims.clone();
    let affine: fn(f32) -> [f32; 2] = match (node.op, reversed) {
        ("ADD", _) => |c| [1.0, c],
        ("SUB", false) => |c| [1.0, -c],
        ("SUB", true) => |c| [-1.0, c],
        ("MUL", _) => |c| [c, 0.0],
        ("DIV", false) => |c| [1.0 / c, 0.0],
        ("MAXIMUM" | "MINIMUM", _) => {
            let bound = (constant.len() == 1).then(|| constant.to_vec()[0]);
            let bound = bound.ok_or_else(|| {
                Refused::expected_got("bound", "one number for all elements", format!("{:?}", constant.dims))
            })?;
            let bounds = if node.op == "MAXIMUM" { [Some(bound), None] } else { [None, Some(bound)] };
            let id = importer.net.bounded(&node.name, map.id, bounds)?;
            return Ok((map, id, dims));
        }
        _ => return Err(Refused::new("a constant by a map").advice("no layer divides by a map")),
    };
    let shifts = matches!(node.op, "ADD" | "SUB");
    let values = along(importer, &map, constant)?;
    importer.compute(values.len())?;
    let [scale, shift]: [Vec<f32>; 2] = [0, 1].map(|part| values.iter().map(|&c| affine(c)[part]).collect());
    if let Some(bad) = scale.iter().chain(&shift).position(|value| !value.is_finite()) {
        let expected = "finite numbers, and none that divides by 0";
        return Err(Refused::expected_got("constant", expected, values[bad % values.len()]));
    }
    if map.exclusive && importer.net.join(map.id, &scale, shifts.then_some(&shift[..])) {
        importer.fused(&node.name, map.id);
        let id = map.id;
        return Ok((map, id, dims));
    }
    let sample = importer.sample(&map)?;
    let id = importer.net.affine(&node.name, map.id, sample, scale, shifts.then_some(shift));
    Ok((map, id, dims))
}

/// A constant that is broadcast to a map, as the innermost elements of memory repeat it.
///
/// # Errors
/// It does not fit, or is of some samples alone.
pub fn along(importer: &Importer<'_>, map: &Map, constant: &Tensor) -> Result<Vec<f32>, Refused> {
    if constant.len() == 1 {
        return Ok(constant.to_vec());
    }
    let refused = || {
        let expected = format!("one that is broadcast to {}, the same for all samples", shape(&map.dims));
        Refused::expected_got("constant", expected, format!("{:?}", constant.dims))
    };
    let sample = importer.sample(map)?;
    let ones = constant.dims.iter().take_while(|&&dim| dim == 1).count();
    let inner = &constant.dims[ones..];
    let first = sample.len().checked_sub(inner.len()).ok_or_else(refused)?;
    let sizes = sample[first..].to_vec();
    computed(&sizes)?;
    let strides = (ones..constant.dims.len()).map(|axis| constant.stride(axis));
    let constant = constant.view(inner.to_vec(), strides.collect());
    Ok(constant.broadcast(&sizes).ok_or_else(refused)?.to_vec())
}

/// Two maps. What is broadcast is repeated, except a factor for each channel, which its layer takes as it is.
fn maps(importer: &mut Importer<'_>, node: &Node<'_>, a: &Map, b: &Map) -> Result<(Id, Vec<Int>), Refused> {
    let refused = || {
        let got = format!("{} and {}", shape(&a.dims), shape(&b.dims));
        Refused::expected_got("shapes", "two that are broadcast to one", got)
    };
    let rank = a.dims.len().max(b.dims.len());
    let front = |map: &Map| [vec![Int::Known(1); rank - map.dims.len()], map.dims.clone()].concat();
    let (a_dims, b_dims) = (front(a), front(b));
    let dims = a_dims.iter().zip(&b_dims).map(|(&a, &b)| match (a, b) {
        (a, b) if a == b || b == Int::Known(1) => Ok(a),
        (Int::Known(1), b) => Ok(b),
        _ => Err(refused()),
    });
    let dims = dims.collect::<Result<Vec<_>, _>>()?;
    if node.op == "MUL" {
        for (x, gate) in [(a, b), (b, a)] {
            let sigmoid = importer.net.layer_of(gate.id).is_some_and(|layer| layer.kind == Kind::Sigmoid);
            if sigmoid && gate.exclusive && importer.net.inputs_of(gate.id) == [x.id] && a_dims == b_dims {
                let id = importer.net.function(&node.name, x.id, Silu);
                importer.report.fused.push(format!("{}: 2 operators are Silu", node.name));
                return Ok((id, dims));
            }
        }
    }
    let whole = importer.sample(&Map { dims: dims.clone(), ..a.clone() })?;
    // Of each operand as many axes: where one is repeated, it has 1.
    let mut samples = Vec::with_capacity(2);
    for of in [a_dims, b_dims] {
        let sizes = importer.sample(&Map { dims: of, ..a.clone() })?;
        if sizes.len() > whole.len() {
            return Err(refused());
        }
        samples.push([vec![1; whole.len() - sizes.len()], sizes].concat());
    }
    let (ids, sizes) = match (samples[0] == whole, samples[1] == whole) {
        (true, true) => {
            let sizes = if whole.len() <= 4 { whole } else { vec![whole.iter().product()] };
            let ids = [a, b].map(|map| importer.net.reshape(&node.name, map.id, &sizes));
            (ids, sizes)
        }
        (true, false) if node.op == "MUL" && scales(&whole, &samples[1]) => {
            factors(importer, node, [a, b], &samples[1], &whole)
        }
        (false, true) if node.op == "MUL" && scales(&whole, &samples[0]) => {
            factors(importer, node, [b, a], &samples[0], &whole)
        }
        _ => {
            let sizes = if whole.len() <= 4 { whole.clone() } else { vec![whole.iter().product()] };
            let ids = [(a, &samples[0]), (b, &samples[1])].map(|(map, sample)| {
                let id = repeated(importer, node, map.id, sample, &whole);
                importer.net.reshape(&node.name, id, &sizes)
            });
            (ids, sizes)
        }
    };
    let id = match node.op {
        "ADD" => importer.net.layer(&node.name, Add, &ids, sizes),
        "SUB" => importer.net.layer(&node.name, Subtract, &ids, sizes),
        "MUL" => importer.net.layer(&node.name, Multiply, &ids, sizes),
        "MAXIMUM" => importer.net.layer(&node.name, Maximum, &ids, sizes),
        "MINIMUM" => importer.net.layer(&node.name, Minimum, &ids, sizes),
        _ => return Err(Refused::new("a map by a map").advice("no layer divides by a map")),
    };
    Ok((id, dims))
}

/// Whether one has a factor for each of the innermost elements of the other.
fn scales(whole: &[usize], factors: &[usize]) -> bool {
    let ones = factors.iter().take_while(|&&size| size == 1).count();
    ones < factors.len() && factors[ones..] == whole[ones..]
}

/// A map and factors as their layer takes them.
fn factors(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    [map, factors]: [&Map; 2],
    sizes: &[usize],
    whole: &[usize],
) -> ([Id; 2], Vec<usize>) {
    let inner: usize = sizes.iter().product();
    let all: usize = whole.iter().product();
    let dims =
        if whole.len() == 3 && whole[2] == inner { whole.to_vec() } else { vec![1, all / inner, inner] };
    let map = importer.net.reshape(&node.name, map.id, &dims);
    let factors = match importer.net.dims(factors.id) {
        [1, 1, _] => factors.id,
        _ => importer.net.reshape(&node.name, factors.id, &[inner]),
    };
    ([map, factors], dims)
}

/// A value of these sizes, of which those that are 1 are repeated to be those of the whole.
fn repeated(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    mut id: Id,
    sizes: &[usize],
    whole: &[usize],
) -> Id {
    let mut axis = 0;
    while axis < whole.len() {
        let missing = (axis..whole.len()).take_while(|&at| sizes[at] == 1 && whole[at] > 1).count();
        if missing > 0 {
            let [outer, times] =
                [&whole[..axis], &whole[axis..axis + missing]].map(|part| part.iter().product());
            let inner = sizes[axis + missing..].iter().product();
            id = importer.net.repeat(&node.name, id, [outer, times, inner]);
        }
        axis += missing.max(1);
    }
    id
}
