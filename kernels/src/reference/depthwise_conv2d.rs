//! Depthwise convolution and its gradients.

use super::{Expected, Sum, at, indices, pixel, seeing};
use crate::depthwise_conv2d::Geometry;

/// The outputs `[N, OH, OW, C * M]`, before any activation, from `weights` `[KH, KW, C, M]`.
pub fn forward<'a>(
    geometry: &'a Geometry,
    input: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
) -> impl Iterator<Item = Expected> {
    let [kh, kw, _, multiplier] = geometry.weights();
    indices(geometry.output()).map(move |[n, y, x, feature]| {
        let (channel, m) = (feature / multiplier, feature % multiplier);
        let mut sum = Sum::default();
        if let Some(bias) = bias {
            sum.add(bias[feature], 1.0);
        }
        for [_, _, ky, kx] in indices([1, 1, kh, kw]) {
            if let Some([row, column]) = pixel(&geometry.axes, [y, x], [ky, kx]) {
                sum.add(
                    input[at(geometry.input(), [n, row, column, channel])],
                    weights[at(geometry.weights(), [ky, kx, channel, m])],
                );
            }
        }
        sum.expected()
    })
}

/// The gradient to the input, `[N, H, W, C]`.
pub fn grad_input<'a>(
    geometry: &'a Geometry,
    d_output: &'a [f32],
    weights: &'a [f32],
) -> impl Iterator<Item = Expected> {
    let multiplier = geometry.weights()[3];
    let [_, height, width, _] = geometry.output();
    indices(geometry.input()).map(move |[n, row, column, channel]| {
        let mut sum = Sum::default();
        for [y, x, ky, kx] in seeing(&geometry.axes, [row, column], [height, width]) {
            for m in 0..multiplier {
                sum.add(
                    d_output[at(geometry.output(), [n, y, x, channel * multiplier + m])],
                    weights[at(geometry.weights(), [ky, kx, channel, m])],
                );
            }
        }
        sum.expected()
    })
}

/// The gradient to the weights, `[KH, KW, C, M]`.
pub fn grad_weights<'a>(
    geometry: &'a Geometry,
    input: &'a [f32],
    d_output: &'a [f32],
) -> impl Iterator<Item = Expected> {
    let [batch, height, width, _] = geometry.output();
    let multiplier = geometry.weights()[3];
    indices(geometry.weights()).map(move |[ky, kx, channel, m]| {
        let mut sum = Sum::default();
        for [_, n, y, x] in indices([1, batch, height, width]) {
            if let Some([row, column]) = pixel(&geometry.axes, [y, x], [ky, kx]) {
                sum.add(
                    input[at(geometry.input(), [n, row, column, channel])],
                    d_output[at(geometry.output(), [n, y, x, channel * multiplier + m])],
                );
            }
        }
        sum.expected()
    })
}
