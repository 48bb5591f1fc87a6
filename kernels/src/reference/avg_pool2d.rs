//! Average pool and its gradient.

use super::{Expected, Sum, at, gamma, indices, pairwise, pixel, seeing};
use crate::avg_pool2d::Geometry;
use crate::pool2d::Divisor;

/// The outputs, `[N, OH, OW, C]`.
pub fn forward<'a>(geometry: &'a Geometry, input: &'a [f32]) -> impl Iterator<Item = Expected> {
    let [kh, kw] = [geometry.axes[0].window, geometry.axes[1].window];
    indices(geometry.output()).map(move |[n, y, x, channel]| {
        let mut sum = Sum::default();
        for [_, _, ky, kx] in indices([1, 1, kh, kw]) {
            if let Some([row, column]) = pixel(&geometry.axes, [y, x], [ky, kx]) {
                sum.add(input[at(geometry.input(), [n, row, column, channel])], 1.0);
            }
        }
        let cells = divisor(geometry, [y, x]);
        // The sum, the division.
        Expected { value: sum.value / cells, error: gamma(pairwise(sum.terms) + 1) * sum.magnitude / cells }
    })
}

/// The gradient to the input, `[N, H, W, C]`.
pub fn grad_input<'a>(geometry: &'a Geometry, d_output: &'a [f32]) -> impl Iterator<Item = Expected> {
    let [_, height, width, _] = geometry.output();
    indices(geometry.input()).map(move |[n, row, column, channel]| {
        let (mut value, mut magnitude, mut terms) = (0.0, 0.0, 0);
        for [y, x, _, _] in seeing(&geometry.axes, [row, column], [height, width]) {
            let d = f64::from(d_output[at(geometry.output(), [n, y, x, channel])]);
            let share = d / divisor(geometry, [y, x]);
            value += share;
            magnitude += libm::fabs(share);
            terms += 1;
        }
        Expected { value, error: gamma(terms) * magnitude }
    })
}

/// What the sum of the window at a position is divided by.
fn divisor(geometry: &Geometry, position: [usize; 2]) -> f64 {
    let Geometry { axes, after, divisor, .. } = geometry;
    let [kh, kw] = [axes[0].window, axes[1].window];
    let taps = indices([1, 1, kh, kw]).map(|[_, _, ky, kx]| [ky, kx]);
    let in_padding = |tap: [usize; 2], i: usize| {
        let at = position[i] * axes[i].stride + tap[i] * axes[i].dilation;
        at < axes[i].before + axes[i].input + after[i]
    };
    match divisor {
        Divisor::Inside => taps.filter(|&tap| pixel(axes, position, tap).is_some()).count() as f64,
        Divisor::Padded => taps.filter(|&tap| in_padding(tap, 0) && in_padding(tap, 1)).count() as f64,
        Divisor::One => 1.0,
    }
}
