//! Convolution and its gradients.

use super::{Expected, Sum, at, indices, pixel, seeing};
use crate::conv2d::Geometry;

/// The outputs `[N, OH, OW, Cout]`, before any activation, from `weights`
/// `[KH, KW, Cin / groups, Cout]` that are not packed.
pub fn forward<'a>(
    geometry: &'a Geometry,
    input: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
) -> impl Iterator<Item = Expected> {
    let ([kh, kw, cin, _], [_, features]) = (geometry.weights(), geometry.group());
    indices(geometry.output()).map(move |[n, y, x, feature]| {
        let mut sum = Sum::default();
        if let Some(bias) = bias {
            sum.add(bias[feature], 1.0);
        }
        for [_, ky, kx, channel] in indices([1, kh, kw, cin]) {
            if let Some([row, column]) = pixel(&geometry.axes, [y, x], [ky, kx]) {
                sum.add(
                    input[at(geometry.input(), [n, row, column, feature / features * cin + channel])],
                    weights[at(geometry.weights(), [ky, kx, channel, feature])],
                );
            }
        }
        sum.expected()
    })
}

/// The gradient to the input, `[N, H, W, Cin]`.
pub fn grad_input<'a>(
    geometry: &'a Geometry,
    d_output: &'a [f32],
    weights: &'a [f32],
) -> impl Iterator<Item = Expected> {
    let [cin, features] = geometry.group();
    let [_, height, width, _] = geometry.output();
    indices(geometry.input()).map(move |[n, row, column, channel]| {
        let mut sum = Sum::default();
        for [y, x, ky, kx] in seeing(&geometry.axes, [row, column], [height, width]) {
            let first = channel / cin * features;
            for feature in first..first + features {
                sum.add(
                    d_output[at(geometry.output(), [n, y, x, feature])],
                    weights[at(geometry.weights(), [ky, kx, channel % cin, feature])],
                );
            }
        }
        sum.expected()
    })
}

/// The gradient to the weights, `[KH, KW, Cin / groups, Cout]`.
pub fn grad_weights<'a>(
    geometry: &'a Geometry,
    input: &'a [f32],
    d_output: &'a [f32],
) -> impl Iterator<Item = Expected> {
    let [batch, height, width, _] = geometry.output();
    let [cin, features] = geometry.group();
    indices(geometry.weights()).map(move |[ky, kx, channel, feature]| {
        let mut sum = Sum::default();
        for [_, n, y, x] in indices([1, batch, height, width]) {
            if let Some([row, column]) = pixel(&geometry.axes, [y, x], [ky, kx]) {
                sum.add(
                    input[at(geometry.input(), [n, row, column, feature / features * cin + channel])],
                    d_output[at(geometry.output(), [n, y, x, feature])],
                );
            }
        }
        sum.expected()
    })
}
