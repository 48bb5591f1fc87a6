//! Images under affine maps.

use super::{Expected, at, gamma, indices};
use crate::warp::{Affine, Fill, Interpolation};

/// The outputs, `[h, w, C]`.
pub fn affine(map: &Affine, x: &[f32]) -> impl Iterator<Item = Expected> {
    let [rows, columns] = map.output;
    let largest = x.iter().fold(0.0, |largest, x| x.abs().max(largest));
    let largest = f64::from(match map.fill {
        Fill::Constant(value) | Fill::Outside(value) => value.abs().max(largest),
        _ => largest,
    });
    indices([1, rows, columns, map.input[2]]).map(move |[_, y, column, channel]| {
        let mut point = [0.0; 2];
        let mut off = [0.0; 2];
        for axis in 0..2 {
            let [m0, m1, m2] = map.matrix[axis].map(f64::from);
            point[axis] = m0 * y as f64 + m1 * column as f64 + m2;
            let terms = libm::fabs(m0) * y as f64 + libm::fabs(m1) * column as f64 + libm::fabs(m2);
            off[axis] = gamma(POINT) * terms + gamma(FOLD) * (terms + map.input[axis] as f64 + 0.5);
        }
        let value = value(map, x, point, channel);
        // What lies as near as a point may be off: where values jump, from one to the next. What is inside the outermost
        // centres of a single line is that line alone.
        let near = |axis: usize, which: usize| {
            let line = libm::round(point[axis]);
            match which {
                0 => point[axis] - off[axis],
                1 => point[axis] + off[axis],
                2 if libm::fabs(line - point[axis]) <= off[axis] => line,
                _ => point[axis],
            }
        };
        let mut jump = 0.0f64;
        for [_, _, i, j] in indices([1, 1, 4, 4]) {
            let other = self::value(map, x, [near(0, i), near(1, j)], channel);
            jump = jump.max(libm::fabs(other - value));
        }
        let slope = match map.interpolation {
            Interpolation::Nearest => 0.0,
            Interpolation::Bilinear => 2.0 * largest,
        };
        Expected { value, error: jump + slope * (off[0] + off[1]) + gamma(SHARES) * largest }
    })
}

/// Roundings of a coordinate: two products and two sums.
const POINT: usize = 4;
/// Where the image is continued by itself, of the sum, quotient, product and differences.
const FOLD: usize = 5;
/// Of a tap: its two shares, each a difference or two, their product, its own and four sums; as many beyond the edges.
const SHARES: usize = 16;

/// The value of a channel at a point between the pixels.
fn value(map: &Affine, x: &[f32], point: [f64; 2], channel: usize) -> f64 {
    let [height, width, channels] = map.input;
    let sizes = [height as f64, width as f64];
    let mut like = [0.0; 2];
    for (axis, (&point, size)) in point.iter().zip(sizes).enumerate() {
        like[axis] = match map.fill {
            Fill::Nearest => point.clamp(0.0, size - 1.0),
            Fill::Reflect => {
                let past = modulo(point + 0.5, 2.0 * size);
                past.min(2.0 * size - past) - 0.5
            }
            Fill::Wrap => modulo(point, size),
            Fill::Constant(_) => point,
            Fill::Outside(value) if point < 0.0 || point > size - 1.0 => return value.into(),
            Fill::Outside(_) => point,
        };
    }
    let nearest = map.interpolation == Interpolation::Nearest;
    let low = like.map(|at| libm::floor(if nearest { at + 0.5 } else { at }));
    let pixel = |[row, column]: [f64; 2]| {
        f64::from(x[at([1, height, width, channels], [0, row as usize, column as usize, channel])])
    };
    let mut sum = 0.0;
    for [_, _, i, j] in indices([1, 1, 2, 2]) {
        let cell = [low[0] + i as f64, low[1] + j as f64];
        let share = |axis: usize| match nearest {
            true => f64::from(u8::from(cell[axis] == low[axis])),
            false => 1.0 - libm::fabs(like[axis] - cell[axis]),
        };
        let inside = |axis: usize| match nearest {
            true => -0.5 < like[axis] && like[axis] < sizes[axis] - 0.5,
            false => (0.0..sizes[axis]).contains(&cell[axis]),
        };
        sum += share(0)
            * share(1)
            * match map.fill {
                Fill::Constant(value) if !(inside(0) && inside(1)) => value.into(),
                Fill::Wrap => pixel([modulo(cell[0], sizes[0]), modulo(cell[1], sizes[1])]),
                _ => pixel([cell[0].clamp(0.0, sizes[0] - 1.0), cell[1].clamp(0.0, sizes[1] - 1.0)]),
            };
    }
    sum
}

/// The remainder that is at least 0.
fn modulo(a: f64, b: f64) -> f64 {
    a - b * libm::floor(a / b)
}
