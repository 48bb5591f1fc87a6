//! Pools.

use super::windows::Windows;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer};
use bantam::{AveragePool2d, MaxPool2d};

/// `AVERAGE_POOL_2D`, the mean of the cells inside, and `MAX_POOL_2D`.
pub fn pool(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let [h, w, channels] = importer.pixels(&map)?;
    let kernel = [node.size("window", 4, 0)?, node.size("window", 3, 0)?];
    let windows = Windows::of(node, kernel, [1, 2], None)?;
    let [rows, columns] = windows.count([h, w])?;
    let Windows { kernel, stride, padding, .. } = windows;
    let (dims, id) =
        (vec![rows, columns, channels], importer.net.reshape(&node.name, map.id, &[h, w, channels]));
    let id = if node.op == "MAX_POOL_2D" {
        let pool = MaxPool2d::rectangular(kernel).strides(stride).padding(padding);
        importer.net.layer(&node.name, pool, &[id], dims)
    } else {
        let pool = AveragePool2d::rectangular(kernel).strides(stride).padding(padding);
        importer.net.layer(&node.name, pool, &[id], dims)
    };
    let dims = importer.batch_of(&[rows, columns, channels]);
    importer.activated(node, id, dims, node.byte(5)?)
}
