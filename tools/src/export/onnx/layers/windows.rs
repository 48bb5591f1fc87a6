//! What convolutions and pools say of their windows. A series is a map without a height.

use crate::export::onnx::exporter::{Exporter, ints};
use crate::import::onnx::proto::AttributeProto;
use bantam::Padding;

/// Windows over a map `[…, C]`, whose output has a size that is known.
pub struct Windows {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: Padding,
    /// Height and width before and behind.
    input: [usize; 2],
    output: [usize; 2],
    /// How many axes they have.
    rank: usize,
}

impl Windows {
    /// Of a node.
    pub fn new(
        x: &Exporter<'_>,
        at: usize,
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
    ) -> Windows {
        let sizes = |dims: &[usize]| match *dims {
            [h, w, _] => [h, w],
            [w, _] => [1, w],
            _ => [1, 1],
        };
        let from = &x.values[x.inputs(at)[0]].dims;
        let (input, output) = (sizes(from), sizes(&x.output(at)));
        Windows { kernel, stride, dilation, padding, input, output, rank: from.len() - 1 }
    }

    /// From the first cell of a window to the last.
    fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// What of both directions there is.
    pub fn some<'a, T>(&self, both: &'a [T; 2]) -> &'a [T] {
        &both[2 - self.rank..]
    }

    /// Cells before and behind a map of that size, over which there are so many windows.
    fn pads_of(&self, axis: usize, map: usize, windows: usize) -> [usize; 2] {
        match (self.padding, axis) {
            (Padding::Valid, _) => [0, 0],
            (Padding::Same, _) => {
                let total = ((windows - 1) * self.stride[axis] + self.extent(axis)).saturating_sub(map);
                [total / 2, total - total / 2]
            }
            (Padding::Explicit { top, bottom, .. }, 0) => [top, bottom],
            (Padding::Explicit { left, right, .. }, _) => [left, right],
        }
    }

    /// `[before, behind]` of each direction.
    pub fn pads(&self) -> [[usize; 2]; 2] {
        [0, 1].map(|axis| self.pads_of(axis, self.input[axis], self.output[axis]))
    }

    /// The same, with as much behind as the last windows reach: what rounding up is without a word for it. Some programs overlook
    /// the word (candle 0.11), and shape inference reads it otherwise before opset 22 than ONNX Runtime does (onnx 1.23.2).
    pub fn pads_rounded_up(&self) -> [[usize; 2]; 2] {
        let pads = self.pads();
        [0, 1].map(|axis| {
            let [before, _] = pads[axis];
            let reach = (self.output[axis] - 1) * self.stride[axis] + self.extent(axis);
            [before, reach.saturating_sub(self.input[axis] + before)]
        })
    }

    /// The padding of a transposed convolution, and what its output has more than that leaves.
    pub fn transposed(&self) -> ([[usize; 2]; 2], [usize; 2]) {
        let pads = [0, 1].map(|axis| self.pads_of(axis, self.output[axis], self.input[axis]));
        let more = [0, 1].map(|axis| {
            let reach = (self.input[axis] - 1) * self.stride[axis] + self.extent(axis);
            (self.output[axis] + pads[axis][0] + pads[axis][1]).saturating_sub(reach)
        });
        (pads, more)
    }

    /// As attributes of an operator.
    pub fn attributes(&self, pads: [[usize; 2]; 2]) -> Vec<AttributeProto> {
        let ends = [0, 1].map(|end| pads.map(|pads| pads[end]));
        let mut attributes =
            vec![ints("kernel_shape", self.some(&self.kernel)), ints("strides", self.some(&self.stride))];
        if pads != [[0; 2]; 2] {
            attributes
                .push(ints("pads", &ends.iter().flat_map(|end| self.some(end)).copied().collect::<Vec<_>>()));
        }
        if self.dilation != [1, 1] {
            attributes.push(ints("dilations", self.some(&self.dilation)));
        }
        attributes
    }
}
