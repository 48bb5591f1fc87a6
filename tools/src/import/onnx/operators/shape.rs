//! The same elements in other words.

use crate::import::constant::{Int, MOST_DIMENSIONS};
use crate::import::fold::target;
use crate::import::onnx::arrangement::Factor;
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, Map, one};
use crate::import::refused::Refused;

/// What gives its input.
pub fn identity(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    one(importer.seen(node, &map, map.lies.clone()))
}

/// `Dropout` drops nothing when a net is used.
pub fn dropout(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let trains = node.inputs.get(2).copied().flatten().is_some_and(|mode| importer.scalar(mode) == Some(1.0));
    if trains {
        let line = format!(
            "{}: Dropout in training mode drops nothing here: the file was exported before eval()",
            node.name
        );
        importer.report.warnings.push(line);
    }
    if node.outputs.get(1).copied().flatten().is_some_and(|mask| importer.graph.readers[mask] > 0) {
        return Err(Refused::new("output of a mask: expected the values alone"));
    }
    importer.report.left_out.push(format!("{}: Dropout", node.name));
    identity(importer, node)
}

/// `Cast`: everything is 32-bit floats here.
pub fn cast(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    use crate::import::onnx::tensor::{BFLOAT16, DOUBLE, FLOAT, FLOAT16, type_name};
    let to = node.int("to").unwrap_or_default() as i32;
    if [FLOAT, FLOAT16, DOUBLE, BFLOAT16].contains(&to) {
        return identity(importer, node);
    }
    Err(Refused::expected_got("type", "one of floats", type_name(to)))
}

/// `Transpose`: of words alone.
pub fn transpose(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let order = order(node, map.lies.axes.len())?;
    let lies = map.lies.transposed(&order, importer.batch);
    one(importer.seen(node, &map, lies))
}

/// The order of axes that a `Transpose` says.
pub fn order(node: &Node<'_>, rank: usize) -> Result<Vec<usize>, Refused> {
    let Some(told) = node.ints("perm") else { return Ok((0..rank).rev().collect()) };
    let order: Vec<usize> = told.iter().map(|&axis| Node::axis(axis, rank)).collect::<Result<_, _>>()?;
    let each = (0..rank).all(|axis| order.contains(&axis));
    if each && order.len() == rank {
        return Ok(order);
    }
    Err(Refused::expected_got("perm", format!("each of {rank} axes once"), format!("{told:?}")))
}

/// `Reshape`
pub fn reshape(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let told = match node.ints("shape") {
        Some(shape) => shape.iter().copied().map(Int::Known).collect(),
        None => importer
            .ints(node, 1)?
            .ok_or_else(|| Refused::new("expected a shape, found none"))?
            .values
            .clone(),
    };
    let target = target(&map.lies.dims(importer.batch), &told, node.flag("allowzero"))?;
    reshaped(importer, node, &map, &target)
}

/// `Flatten`: to two axes.
pub fn flatten(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let (dims, axis) = (map.lies.dims(importer.batch), node.int("axis").unwrap_or(1));
    let rank = dims.len();
    let at = if axis == rank as i64 { rank } else { Node::axis(axis, rank)? };
    let product = |dims: &[Int]| dims.iter().try_fold(Int::Known(1), |product, &dim| product.times(dim));
    let target = [product(&dims[..at]), product(&dims[at..])].map(|size| size.unwrap_or(Int::Known(1)));
    reshaped(importer, node, &map, &target)
}

/// `Squeeze`: without axes of size 1.
pub fn squeeze(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let dims = map.lies.dims(importer.batch);
    let axes = match importer.listed(node, "axes", 1)? {
        Some(axes) => axes.iter().map(|&axis| Node::axis(axis, dims.len())).collect::<Result<Vec<_>, _>>()?,
        None => (0..dims.len()).filter(|&axis| dims[axis] == Int::Known(1)).collect(),
    };
    if let Some(&axis) = axes.iter().find(|&&axis| dims[axis] != Int::Known(1)) {
        return Err(Refused::expected_got(&format!("size of axis {axis}"), 1, importer.shape(&map)));
    }
    let kept = dims.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    let target: Vec<Int> = kept.map(|(_, &dim)| dim).collect();
    reshaped(importer, node, &map, &target)
}

/// `Unsqueeze`: with axes of size 1.
pub fn unsqueeze(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let told = importer.listed(node, "axes", 1)?.ok_or_else(|| Refused::new("expected axes, found none"))?;
    let target = with_axes(&map.lies.dims(importer.batch), &told, Int::Known(1))?;
    reshaped(importer, node, &map, &target)
}

/// Sizes with one more at each of these axes of the whole.
pub fn with_axes<T: Copy>(dims: &[T], told: &[i64], new: T) -> Result<Vec<T>, Refused> {
    let rank = dims.len() + told.len();
    if rank > MOST_DIMENSIONS {
        return Err(Refused::expected_got("dimensions", format!("{MOST_DIMENSIONS} at most"), rank));
    }
    let axes = told.iter().map(|&axis| Node::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut old = dims.iter().copied();
    let whole: Vec<T> =
        (0..rank).filter_map(|axis| if axes.contains(&axis) { Some(new) } else { old.next() }).collect();
    if whole.len() == rank {
        Ok(whole)
    } else {
        Err(Refused::expected_got("axes", "each once", format!("{told:?}")))
    }
}

/// The same elements in the order of the file's axes with other sizes. They are put into that order where an axis would begin
/// within another otherwise.
pub fn reshaped(importer: &mut Importer<'_>, node: &Node<'_>, map: &Map, target: &[Int]) -> Given {
    let batch = importer.batch;
    if let Some(lies) = map.lies.reshaped(target, batch, &mut importer.factors) {
        return one(importer.seen(node, map, lies));
    }
    let id = importer.turned(node, map, &map.lies.logical());
    let lies = map.lies.in_order_of_axes(&mut importer.factors);
    let whole: Vec<Int> = match lies.axes.first() {
        Some(first) if first.contains(&Factor::BATCH) => {
            vec![batch, Int::Known(lies.order.iter().map(|factor| factor.size as i64).product())]
        }
        _ => return Err(Refused::new(format!("shape {}: expected the batch first", importer.shape(map)))),
    };
    // One factor has all elements of a sample, and is parted as it has to be.
    let mut whole_lies = lies.clone();
    let all = importer.factors.axis(whole[1].known().unwrap_or(1) as usize);
    whole_lies.axes = vec![vec![Factor::BATCH], all.clone()];
    whole_lies.order = all;
    let lies = whole_lies.reshaped(target, batch, &mut importer.factors).ok_or_else(|| {
        let expected = format!("one that leaves the batch of {} as it is", importer.shape(map));
        Refused::expected_got("shape", expected, format!("{target:?}"))
    })?;
    let map = Map { id, lies: whole_lies, exclusive: map.exclusive && id == map.id };
    one(importer.seen(node, &map, lies))
}

/// `Expand`, and `Tile` of axes of size 1: a map repeated along axes.
pub fn expand(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let told =
        importer.ints(node, 1)?.ok_or_else(|| Refused::new("expected a shape, found none"))?.values.clone();
    let dims = map.lies.dims(importer.batch);
    let rank = dims.len().max(told.len());
    if rank > MOST_DIMENSIONS {
        return Err(Refused::expected_got("dimensions", format!("{MOST_DIMENSIONS} at most"), rank));
    }
    let front = |dims: &[Int]| [&vec![Int::Known(1); rank - dims.len()][..], dims].concat();
    let (dims, mut told) = (front(&dims), front(&told));
    for (told, &dim) in told.iter_mut().zip(&dims) {
        *told = match (node.op(), dim, *told) {
            ("Tile", dim, times) => dim.times(times).unwrap_or(dim),
            (_, dim, Int::Known(1)) => dim,
            (_, _, told) => told,
        };
    }
    let Ok(mut given) = reshaped(importer, node, &map, &dims) else {
        return Err(Refused::expected_got(
            "shape",
            format!("that of {}", importer.shape(&map)),
            format!("{told:?}"),
        ));
    };
    let crate::import::onnx::importer::Value::Map(map) = given.remove(0) else { return Ok(given) };
    let mut lies = map.lies.clone();
    for (axis, (&told, &dim)) in told.iter().zip(&dims).enumerate() {
        match (told, dim) {
            (told, dim) if told == dim => {}
            (Int::Known(times @ 1..=0xffff), Int::Known(1)) if !lies.axes[axis].contains(&Factor::BATCH) => {
                lies.axes[axis] = importer.factors.axis(times as usize);
            }
            _ => {
                let expected = "one that repeats axes of size 1";
                return Err(Refused::expected_got(
                    "shape",
                    expected,
                    format!("{told:?} of {}", importer.shape(&map)),
                ));
            }
        }
    }
    lies.order = lies.logical();
    let id = super::binary::repeated(importer, node, &map, &lies.order);
    one(importer.given(node, id, lies))
}

/// `DepthToSpace` and `SpaceToDepth`: blocks of pixels, and channels.
pub fn depth_and_space(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let dims = map.lies.dims(importer.batch);
    let [n, Int::Known(c), Int::Known(h), Int::Known(w)] = dims[..] else {
        return Err(Refused::expected_got("input", "maps [N, C, H, W]", importer.shape(&map)));
    };
    let size = node.int("blocksize").filter(|&size| size > 0 && size < 1 << 16);
    let size = size.ok_or_else(|| Refused::new("blocksize: expected a number of at least 1"))?;
    let opens = node.op() == "DepthToSpace";
    let fits = if opens { c % (size * size) == 0 } else { h % size == 0 && w % size == 0 };
    if !fits {
        return Err(Refused::expected_got("input", format!("blocks of {size}×{size}"), importer.shape(&map)));
    }
    let columns = node.text("mode").unwrap_or("DCR") == "CRD";
    let less = [c / (size * size), h.saturating_mul(size), w.saturating_mul(size)];
    let (parts, order, whole) = match (opens, columns) {
        (true, false) => ([size, size, less[0], h, w], [0, 3, 4, 1, 5, 2], less),
        (true, true) => ([less[0], size, size, h, w], [0, 1, 4, 2, 5, 3], less),
        (false, _) => {
            let order = if columns { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
            ([c, h / size, size, w / size, size], order, [c.saturating_mul(size * size), h / size, w / size])
        }
    };
    let with_batch = |parts: &[i64]| {
        let mut all = vec![n];
        all.extend(parts.iter().map(|&part| Int::Known(part)));
        all
    };
    let parted = map.lies.reshaped(&with_batch(&parts), importer.batch, &mut importer.factors);
    let lies = parted.and_then(|parted| {
        let turned = parted.transposed(&order, importer.batch);
        turned.reshaped(&with_batch(&whole), importer.batch, &mut importer.factors)
    });
    let lies = lies.ok_or_else(|| Refused::new("blocks: expected axes that lie as one each"))?;
    one(importer.seen(node, &map, lies))
}
