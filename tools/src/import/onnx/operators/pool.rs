//! Pools.

use super::windows::{Plane, Windows};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, one};
use crate::import::refused::Refused;
use bantam::{AveragePool2d, GlobalAveragePool2d, GlobalMaxPool2d, MaxPool2d};

/// A plane and its windows.
fn read(importer: &Importer<'_>, node: &Node<'_>) -> Result<(Plane, Windows), Refused> {
    let map = importer.map(node, 0)?;
    let plane = Plane::of(importer, &map)?;
    let kernel = node.ints("kernel_shape").unwrap_or_default();
    let windows = Windows::of(node, &plane, plane.pair("kernel_shape", kernel, 1)?)?;
    Ok((plane, windows))
}

/// `MaxPool`
pub fn max(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    if node.outputs.get(1).is_some_and(Option::is_some) {
        return Err(Refused::new("output of indices: expected the maxima alone"));
    }
    let (plane, windows) = read(importer, node)?;
    let Windows { kernel, stride, dilation, .. } = windows;
    let pool = MaxPool2d::rectangular(kernel).strides(stride).dilations(dilation).padding(windows.padding());
    let pool = if windows.ceil { pool.ceil_mode() } else { pool };
    pooled(importer, node, &plane, windows.count(plane.sizes())?, pool)
}

/// `AveragePool`
pub fn average(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (plane, windows) = read(importer, node)?;
    let Windows { kernel, stride, dilation, .. } = windows;
    let pool =
        AveragePool2d::rectangular(kernel).strides(stride).dilations(dilation).padding(windows.padding());
    let pool = if windows.ceil { pool.ceil_mode() } else { pool };
    let pool = if node.flag("count_include_pad") { pool.count_padding() } else { pool };
    pooled(importer, node, &plane, windows.count(plane.sizes())?, pool)
}

/// `GlobalAveragePool`
pub fn global_average(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let plane = Plane::of(importer, &importer.map(node, 0)?)?;
    pooled(importer, node, &plane, [1, 1], GlobalAveragePool2d::new().keep_dims())
}

/// `GlobalMaxPool`
pub fn global_max(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let plane = Plane::of(importer, &importer.map(node, 0)?)?;
    pooled(importer, node, &plane, [1, 1], GlobalMaxPool2d::new().keep_dims())
}

fn pooled<L>(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    plane: &Plane,
    output: [usize; 2],
    pool: L,
) -> Given
where
    L: bantam::Differentiable + Clone,
{
    let map = importer.map(node, 0)?;
    let id = importer.laid(node, &map, &plane.groups());
    let id = importer.net.layer(node.name, pool, &[id], vec![output[0], output[1], plane.channels()]);
    let lies = plane.output(output, None, &mut importer.factors);
    one(importer.given(node, id, lies))
}
