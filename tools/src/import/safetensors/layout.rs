//! From PyTorch's order of axes to the engine's: convolutions have their filters first and their channels before the pixels
//! there, dense layers their outputs first, and what is flattened has its channels first.

use bantam::{Model, Node};
use std::collections::HashMap;

/// The maps `[H, W, C]` that lie flat in what nodes give, and in what they read.
pub(super) struct Flattened {
    read: HashMap<String, [usize; 3]>,
}

impl Flattened {
    /// Of all nodes of a model.
    pub fn of(model: &Model<'_>) -> Flattened {
        let (mut read, mut given): (HashMap<String, [usize; 3]>, HashMap<String, [usize; 3]>) =
            Default::default();
        let shape = |name: &str| match model.node(name) {
            Ok(node) => node.output_shape(),
            Err(_) => model.input_shape(),
        };
        for node in model.nodes() {
            let mut inputs = model.inbound(node);
            let (Some(input), None) = (inputs.next(), inputs.next()) else { continue };
            let (from, to) = (shape(&input), node.output_shape());
            let map = match *from.dims() {
                _ if from.rank() == 1 || to.rank() != 1 || to.elements() != from.elements() => None,
                [height, width, channels] => Some([height, width, channels]),
                [length, channels] => Some([length, 1, channels]),
                _ => None,
            };
            let map = map.or_else(|| match node.layer_type().name() {
                // Activations, dropouts and normalisations leave the order as it is.
                "Dense" => None,
                _ => given.get(&*input).filter(|_| to == from).copied(),
            });
            if let Some(map) = map {
                given.insert(node.name().into(), map);
            }
            if let Some(&map) = given.get(&*input) {
                read.insert(node.name().into(), map);
            }
        }
        Flattened { read }
    }

    /// The map that a node reads flat, if it does. Channels or pixels alone have one order.
    fn read_by(&self, node: &Node<'_>) -> Option<[usize; 3]> {
        let map = self.read.get(node.name()).copied();
        map.filter(|&[height, width, channels]| channels > 1 && height * width > 1)
    }
}

/// The shape that PyTorch has for an array of a node, and the axes of it in the engine's order. The engine's first axes of one
/// element, which it has for series, are none of PyTorch's.
pub(super) struct Turn {
    pub shape: Vec<usize>,
    axes: Vec<usize>,
    /// The map that lies flat in its first axis here.
    flat: Option<[usize; 3]>,
}

impl Turn {
    /// Of an array with that name and shape. `rank` is the tensor's.
    pub fn new(node: &Node<'_>, array: &str, ours: &[usize], rank: usize, flattened: &Flattened) -> Turn {
        let ones = ours.iter().take_while(|&&size| size == 1).count();
        let ours = &ours[ones.min(ours.len().saturating_sub(rank))..];
        let flat = flattened.read_by(node);
        match (node.layer_type().name(), array, ours) {
            ("DepthwiseConv2D" | "DepthwiseConv1D", "kernel", [window @ .., channels, multiplier])
            | (_, "depthwise_kernel", [window @ .., channels, multiplier]) => {
                // `[C * M, 1, KH, KW]`
                let shape = [&[channels * multiplier, 1], window].concat();
                let axes = (2..shape.len()).chain([0, 1]).collect();
                Turn { shape, axes, flat: None }
            }
            ("Dense", "kernel", &[inputs, outputs]) => {
                Turn { shape: vec![outputs, inputs], axes: vec![1, 0], flat }
            }
            (_, "kernel" | "pointwise_kernel", [window @ .., inputs, outputs]) => {
                let shape = [&[*outputs, *inputs], window].concat();
                let axes = (2..shape.len()).chain([1, 0]).collect();
                Turn { shape, axes, flat: None }
            }
            (_, _, ours) => {
                let flat = flat.filter(|map| array != "bias" && ours == [map.iter().product::<usize>()]);
                Turn { shape: ours.to_vec(), axes: (0..ours.len()).collect(), flat }
            }
        }
    }

    /// The values in the engine's order.
    pub fn apply(&self, values: &[f32]) -> Vec<f32> {
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        let mut turned = Vec::with_capacity(values.len());
        let (Some((&first, inner)), false) = (self.axes.split_first(), values.is_empty()) else {
            return values.to_vec();
        };
        for row in 0..self.shape[first] {
            let start = self.flat.map_or(row, |map| channels_first(row, map)) * strides[first];
            copy(values, start, inner, &self.shape, &strides, &mut turned);
        }
        turned
    }
}

/// Where the element of a map that has the number `index` with its channels last is with its channels first.
fn channels_first(index: usize, [height, width, channels]: [usize; 3]) -> usize {
    index % channels * height * width + index / channels
}

/// Copies the elements below `start` along axes, the last of them the fastest.
fn copy(values: &[f32], start: usize, axes: &[usize], shape: &[usize], strides: &[usize], to: &mut Vec<f32>) {
    match axes {
        [] => to.push(values[start]),
        &[axis] => to.extend((0..shape[axis]).map(|i| values[start + i * strides[axis]])),
        [axis, inner @ ..] => {
            for i in 0..shape[*axis] {
                copy(values, start + i * strides[*axis], inner, shape, strides, to);
            }
        }
    }
}
