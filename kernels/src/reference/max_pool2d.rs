//! Max-pool and its gradient.

use super::{Expected, Sum, at, indices, pixel, seeing};
use crate::max_pool2d::Geometry;

/// The outputs `[N, OH, OW, C]`, and in which cell of its window each was found.
pub fn forward_argmax<'a>(geometry: &'a Geometry, input: &'a [f32]) -> impl Iterator<Item = (f32, u8)> {
    let [kh, kw] = [geometry.axes[0].window, geometry.axes[1].window];
    indices(geometry.output()).map(move |[n, y, x, channel]| {
        let mut best = (f32::NEG_INFINITY, None);
        for [_, _, ky, kx] in indices([1, 1, kh, kw]) {
            if let Some([row, column]) = pixel(&geometry.axes, [y, x], [ky, kx]) {
                let value = input[at(geometry.input(), [n, row, column, channel])];
                let greater = value > best.0 || (value.is_nan() && !best.0.is_nan());
                if best.1.is_none() || greater {
                    best = (value, Some((ky * kw + kx) as u8));
                }
            }
        }
        (best.0, best.1.unwrap_or(0))
    })
}

/// The gradient to the input, `[N, H, W, C]`.
pub fn grad_input<'a>(
    geometry: &'a Geometry,
    d_output: &'a [f32],
    argmax: &'a [u8],
) -> impl Iterator<Item = Expected> {
    let kw = geometry.axes[1].window;
    let [_, height, width, _] = geometry.output();
    indices(geometry.input()).map(move |[n, row, column, channel]| {
        let mut sum = Sum::default();
        for [y, x, ky, kx] in seeing(&geometry.axes, [row, column], [height, width]) {
            let output = at(geometry.output(), [n, y, x, channel]);
            if usize::from(argmax[output]) == ky * kw + kx {
                sum.add(d_output[output], 1.0);
            }
        }
        sum.expected()
    })
}
