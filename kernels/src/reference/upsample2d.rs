//! Bilinear up-sampling and its gradient.

use super::{Expected, at, gamma, indices};

/// The outputs, `[N, H · factor, W · factor, C]`.
pub fn bilinear(input: [usize; 4], factors: [usize; 2], x: &[f32]) -> impl Iterator<Item = Expected> {
    let [_, h, w, _] = input;
    indices(output(input, factors)).map(move |[n, y, x_at, c]| {
        let (mut value, mut magnitude, mut terms) = (0.0, 0.0, 0);
        for [_, _, row, column] in indices([1, 1, h, w]) {
            let share = share(row, y, h, factors[0]) * share(column, x_at, w, factors[1]);
            let term = share * f64::from(x[at(input, [n, row, column, c])]);
            value += term;
            magnitude += libm::fabs(term);
            terms += usize::from(share > 0.0);
        }
        Expected { value, error: gamma(terms + SHARE) * magnitude }
    })
}

/// The gradient to the input, `[N, H, W, C]`.
pub fn grad_bilinear(input: [usize; 4], factors: [usize; 2], d_y: &[f32]) -> impl Iterator<Item = Expected> {
    let output @ [_, height, width, _] = output(input, factors);
    let [_, h, w, _] = input;
    indices(input).map(move |[n, row, column, c]| {
        let (mut value, mut magnitude, mut terms) = (0.0, 0.0, 0);
        for [_, _, y, x] in indices([1, 1, height, width]) {
            let share = share(row, y, h, factors[0]) * share(column, x, w, factors[1]);
            let term = share * f64::from(d_y[at(output, [n, y, x, c])]);
            value += term;
            magnitude += libm::fabs(term);
            terms += usize::from(share > 0.0);
        }
        Expected { value, error: gamma(terms + SHARE) * magnitude }
    })
}

/// Roundings of a share: a quotient on each axis, and their product.
const SHARE: usize = 3;

fn output([n, h, w, c]: [usize; 4], [down, across]: [usize; 2]) -> [usize; 4] {
    [n, h * down, w * across, c]
}

/// What a cell has of a pixel along one axis: one less its distance, in cells, from the pixel's centre, which is held
/// between those of the outermost cells.
fn share(cell: usize, pixel: usize, cells: usize, factor: usize) -> f64 {
    let centre = (pixel as f64 + 0.5) / factor as f64 - 0.5;
    let centre = libm::fmin(libm::fmax(centre, 0.0), (cells - 1) as f64);
    libm::fmax(1.0 - libm::fabs(cell as f64 - centre), 0.0)
}
