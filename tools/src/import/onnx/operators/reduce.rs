//! Means, sums and extremes over axes.

use crate::import::constant::Int;
use crate::import::net::Id;
use crate::import::onnx::arrangement::{Arrangement, Factor};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, Map, one};
use crate::import::refused::Refused;
use bantam::Rescaling;

/// `ReduceMean`, `ReduceSum`, `ReduceMax` and `ReduceMin`: axes are an attribute up to opset 17, or 12 of the sum, an input since.
pub fn reduce(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let rank = map.lies.axes.len();
    let axes = match importer.listed(node, "axes", 1)? {
        Some(axes) if !axes.is_empty() => {
            axes.iter().map(|&axis| Node::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?
        }
        _ if node.flag("noop_with_empty_axes") => return one(importer.seen(node, &map, map.lies.clone())),
        _ => (0..rank).collect(),
    };
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    if axes.iter().any(|&axis| map.lies.axes[axis].contains(&Factor::BATCH)) {
        return Err(Refused::new("expected other axes than the batch")
            .advice("a model gives an output for each sample"));
    }
    let reduced: Vec<Factor> = axes.iter().flat_map(|&axis| map.lies.axes[axis].iter().copied()).collect();
    let count: usize = reduced.iter().map(|factor| factor.size).product();
    let mut now = Map { ..map.clone() };
    if node.op() == "ReduceMin" {
        now.id = scaled(importer, node, now.id, -1.0);
    }
    // Each row of factors that lie side by side is a pool.
    while let Some(first) = now.lies.order.iter().position(|factor| reduced.contains(factor)) {
        let len = now.lies.order[first..].iter().take_while(|factor| reduced.contains(factor)).count();
        let run = now.lies.order[first..first + len].to_vec();
        now = pooled(importer, node, &now, &run);
    }
    match node.op() {
        "ReduceMin" => now.id = scaled(importer, node, now.id, -1.0),
        "ReduceSum" if count > 1 => now.id = scaled(importer, node, now.id, count as f32),
        _ => {}
    }
    let mut dims = now.lies.dims(importer.batch);
    if keep {
        return one(importer.given(node, now.id, now.lies));
    }
    let mut axis = 0;
    dims.retain(|_| {
        axis += 1;
        !axes.contains(&(axis - 1))
    });
    let target: Vec<Int> = dims;
    let exclusive = Map { exclusive: true, ..now };
    super::shape::reshaped(importer, node, &exclusive, &target)
}

fn scaled(importer: &mut Importer<'_>, node: &Node<'_>, id: Id, by: f32) -> Id {
    let dims = importer.net.dims(id).to_vec();
    importer.net.layer(&format!("{}/scale", node.name), Rescaling::new(by), &[id], dims)
}

/// Without a row of factors.
fn pooled(importer: &mut Importer<'_>, node: &Node<'_>, map: &Map, run: &[Factor]) -> Map {
    let (id, run) = importer.run(node, map, run, false);
    let mean = matches!(node.op(), "ReduceMean" | "ReduceSum" | "GlobalAveragePool");
    let id = importer.net.pooled(node.name, id, map.lies.natural(), run.dims(), mean);
    let mut axes = map.lies.axes.clone();
    axes.iter_mut().for_each(|axis| axis.retain(|factor| !run.run.contains(factor)));
    Map { id, lies: Arrangement { axes, order: run.with(&[]) }, exclusive: false }
}
