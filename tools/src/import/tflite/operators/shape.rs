//! The same elements in other words, or in another order.

use crate::import::constant::Int;
use crate::import::fold::target;
use crate::import::net::Id;
use crate::import::refused::Refused;
use crate::import::tflite::fold::{expanded, order, squeezed};
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, Map, one, shape};
use crate::import::tflite::schema::{element, type_name};

/// What gives its input: everything is 32-bit floats here.
pub fn identity(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    one(importer.seen(node, &map, map.dims.clone()))
}

/// `CAST`
pub fn cast(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let to = node.outputs.first().map_or(element::FLOAT32, |&output| importer.graph.tensors[output].element);
    if [element::FLOAT32, element::FLOAT16].contains(&to) {
        return identity(importer, node);
    }
    Err(Refused::expected_got("type", "one of floats", type_name(to)))
}

/// `RESHAPE`: the sizes are an input, or options.
pub fn reshape(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let told = match importer.ints(node, 1)? {
        Some(told) => told.values.clone(),
        None => {
            let told = node.ints(0)?.ok_or_else(|| Refused::new("expected a shape, found none"))?;
            told.into_iter().map(|dim| Int::Known(dim.into())).collect()
        }
    };
    if let Ok(dims) = target(&map.dims, &told, true) {
        importer.sample(&Map { dims: dims.clone(), ..map.clone() })?;
        return one(importer.seen(node, &map, dims));
    }
    // A file whose batch is open may still have been written for one sample.
    let of_one: Vec<Int> = map
        .dims
        .iter()
        .map(|&dim| if let Int::Batch(times) = dim { Int::Known(times) } else { dim })
        .collect();
    match target(&of_one, &told, true)?.split_first() {
        Some((Int::Known(1), rest)) if importer.batch == Int::Batch(1) => {
            let line = format!(
                "{}: a shape of one sample, {} here",
                node.name,
                shape(&[&[importer.batch], rest].concat())
            );
            importer.report.notes.push(line);
            one(importer.seen(node, &map, [&[importer.batch], rest].concat()))
        }
        _ => {
            let expected = format!("one that leaves the batch of {} as it is", shape(&map.dims));
            Err(Refused::expected_got("shape", expected, shape(&told)))
        }
    }
}

/// `SQUEEZE`: without axes of size 1.
pub fn squeeze(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let dims = squeezed(node, &map.dims)?;
    one(importer.seen(node, &map, dims))
}

/// `EXPAND_DIMS`: with an axis of size 1.
pub fn expand_dims(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let dims = expanded(&map.dims, &importer.numbers(node, 1, "an axis")?)?;
    one(importer.seen(node, &map, dims))
}

/// `TRANSPOSE`: axes that stay side by side are one, so that four runs of them may change places.
pub fn transpose(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let order = order(&importer.numbers(node, 1, "an order")?, map.dims.len())?;
    let dims: Vec<Int> = order.iter().map(|&axis| map.dims[axis]).collect();
    let size = |axis: usize| match map.dims[axis] {
        Int::Known(size) => size as usize,
        Int::Batch(times) => times as usize,
    };
    // The batch has the size of one sample; what has one element may be anywhere.
    let samples = |axis: usize| axis == 0 && map.dims[0] == importer.batch;
    if let Some(at) = (1..order.len()).find(|&at| samples(order[at]) && importer.batch != Int::Known(1))
        && order[..at].iter().any(|&axis| size(axis) > 1)
    {
        let expected = "the batch as the first axis";
        return Err(Refused::expected_got("order", expected, format!("{order:?}")));
    }
    let moved: Vec<usize> = order.iter().copied().filter(|&axis| !samples(axis) && size(axis) > 1).collect();
    let mut sorted = moved.clone();
    sorted.sort_unstable();
    let place = |axis: usize| sorted.iter().position(|&other| other == axis);
    let runs: Vec<&[usize]> = moved.chunk_by(|&a, &b| place(a).map(|at| at + 1) == place(b)).collect();
    if runs.len() < 2 {
        return one(importer.seen(node, &map, dims));
    }
    let mut here: Vec<&[usize]> = runs.clone();
    here.sort_by_key(|run| run[0]);
    let sizes: Vec<usize> = here.iter().map(|run| run.iter().map(|&axis| size(axis)).product()).collect();
    let axes: Vec<usize> = runs.iter().filter_map(|run| here.iter().position(|other| other == run)).collect();
    let id = permuted(importer, node, map.id, &sizes, &axes)?;
    one(importer.given(node, id, dims))
}

/// Samples of these sizes with their axes in another order.
fn permuted(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    id: Id,
    sizes: &[usize],
    axes: &[usize],
) -> Result<Id, Refused> {
    if sizes.len() > 4 {
        return Err(Refused::expected_got("order", "four runs of axes at most", sizes.len()));
    }
    let id = importer.net.reshape(&node.name, id, sizes);
    Ok(importer.net.permute(&node.name, id, axes))
}

/// `DEPTH_TO_SPACE` and `SPACE_TO_DEPTH`: blocks of pixels, and channels.
pub fn depth_and_space(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let [h, w, c] = importer.pixels(&map)?;
    let block = node.size("block_size", 0, 0)?;
    let refused = || Refused::expected_got("input", format!("blocks of {block}×{block}"), shape(&map.dims));
    let area = block.checked_mul(block).ok_or_else(refused)?;
    // A row of blocks is one of its rows behind the other, as a pixel's channels have them.
    let (parts, output) = if node.op == "DEPTH_TO_SPACE" {
        if c % area != 0 {
            return Err(refused());
        }
        ([h, w, block, c / block], [h.saturating_mul(block), w.saturating_mul(block), c / area])
    } else {
        if h % block != 0 || w % block != 0 {
            return Err(refused());
        }
        ([h / block, block, w / block, block * c], [h / block, w / block, c.saturating_mul(area)])
    };
    let id = permuted(importer, node, map.id, &parts, &[0, 2, 1, 3])?;
    let dims = importer.batch_of(&output);
    one(importer.given(node, id, dims))
}
