//! Means, sums and extremes over axes.

use crate::import::constant::Int;
use crate::import::refused::Refused;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, axis, one};
use bantam::Rescaling;

/// `MEAN`, `SUM`, `REDUCE_MAX` and `REDUCE_MIN`.
pub fn reduce(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let rank = map.dims.len();
    let told = importer.numbers(node, 1, "axes")?;
    let axes = told.iter().map(|&told| axis(told, rank)).collect::<Result<Vec<_>, _>>()?;
    let sample = importer.sample(&map)?;
    let skipped = rank - sample.len().min(rank);
    if axes.iter().any(|&axis| axis < skipped && map.dims[axis] != Int::Known(1)) {
        return Err(Refused::new("expected other axes than the batch")
            .advice("a model gives an output for each sample"));
    }
    let mut reduced: Vec<bool> = (skipped..rank).map(|axis| axes.contains(&axis)).collect();
    let mut sizes = sample[sample.len() - reduced.len()..].to_vec();
    let count: usize =
        sizes.iter().zip(&reduced).filter(|(_, reduced)| **reduced).map(|(size, _)| size).product();
    let scaled = |importer: &mut Importer<'_>, id, by: f32| {
        importer.net.function(&format!("{}/scale", node.name), id, Rescaling::new(by))
    };
    let mut id = map.id;
    if node.op == "REDUCE_MIN" {
        id = scaled(importer, id, -1.0);
    }
    let mean = matches!(node.op, "MEAN" | "SUM");
    // Each row of axes side by side is a pool.
    while let Some(first) = reduced.iter().position(|&reduced| reduced) {
        let len = reduced[first..].iter().take_while(|&&reduced| reduced).count();
        let over = sizes[first..first + len].iter().product();
        let [outer, inner] = [&sizes[..first], &sizes[first + len..]].map(|part| part.iter().product());
        id = importer.net.pooled(&node.name, id, sizes.clone(), [outer, over, inner], mean);
        sizes.drain(first..first + len);
        reduced.drain(first..first + len);
    }
    match node.op {
        "REDUCE_MIN" => id = scaled(importer, id, -1.0),
        "SUM" if count > 1 => id = scaled(importer, id, count as f32),
        _ => {}
    }
    let keep = node.flag(0)?;
    let dim = |axis: usize| match (axes.contains(&axis), keep) {
        (false, _) => Some(map.dims[axis]),
        (true, true) => Some(Int::Known(1)),
        (true, false) => None,
    };
    let dims = (0..rank).filter_map(dim).collect();
    one(importer.given(node, id, dims))
}
