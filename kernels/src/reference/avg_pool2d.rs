//! Average pool and its gradient.

use super::{Expected, Sum, at, gamma, indices, pairwise, pixel, seeing};
use crate::avg_pool2d::Geometry;

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
        let cells = sum.terms as f64;
        // The sum, the division.
        Expected { value: sum.value / cells, error: gamma(pairwise(sum.terms) + 1) * sum.magnitude / cells }
    })
}

/// The gradient to the input, `[N, H, W, C]`.
pub fn grad_input<'a>(geometry: &'a Geometry, d_output: &'a [f32]) -> impl Iterator<Item = Expected> {
    let [kh, kw] = [geometry.axes[0].window, geometry.axes[1].window];
    let [_, height, width, _] = geometry.output();
    indices(geometry.input()).map(move |[n, row, column, channel]| {
        let (mut value, mut magnitude, mut terms) = (0.0, 0.0, 0);
        for [y, x, _, _] in seeing(&geometry.axes, [row, column], [height, width]) {
            let seen = |&[_, _, ky, kx]: &[usize; 4]| pixel(&geometry.axes, [y, x], [ky, kx]).is_some();
            let cells = indices([1, 1, kh, kw]).filter(seen).count() as f64;
            let share = f64::from(d_output[at(geometry.output(), [n, y, x, channel])]) / cells;
            value += share;
            magnitude += libm::fabs(share);
            terms += 1;
        }
        Expected { value, error: gamma(terms) * magnitude }
    })
}
