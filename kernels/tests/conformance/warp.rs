use crate::support::{Numbers, shapes, written};
use bantam_kernels::warp::{self, Affine, Fill, Interpolation};
use bantam_kernels::{Isa, reference};
use proptest::prelude::*;

/// Input, output, and the map in quarters.
type Shape = ([usize; 3], [usize; 2], [[i32; 3]; 2]);

const STILL: [[i32; 3]; 2] = [[4, 0, 0], [0, 4, 0]];

const LISTED: &[Shape] = &[
    ([1, 1, 1], [1, 1], STILL),
    ([5, 7, 3], [5, 7], STILL),
    // By a half, mirrored, turned by 90 degrees, and far beyond the edge.
    ([3, 33, 1], [3, 33], [[4, 0, -2], [0, 4, 2]]),
    ([4, 17, 4], [4, 17], [[4, 0, 0], [0, -4, 64]]),
    ([6, 6, 3], [6, 6], [[0, -4, 20], [4, 0, 0]]),
    ([5, 3, 2], [7, 19], [[4, 0, 400], [0, 4, -1000]]),
    // Twice the size, and half of it.
    ([3, 5, 33], [6, 10], [[2, 0, -1], [0, 2, -1]]),
    ([9, 8, 3], [5, 4], [[8, 0, 2], [0, 8, 2]]),
];

const FILLS: [Fill; 5] = [Fill::Nearest, Fill::Reflect, Fill::Wrap, Fill::Constant(3.0), Fill::Outside(-2.0)];

fn any_shape() -> impl Strategy<Value = Shape> {
    let line = || (-9..10, -9..10, -200..200).prop_map(<[i32; 3]>::from);
    let input = (1..9usize, 1..40usize, prop_oneof![1..5usize, 1..36usize]).prop_map(<[usize; 3]>::from);
    let output = (1..9usize, 1..40usize).prop_map(<[usize; 2]>::from);
    (input, output, (line(), line()).prop_map(<[[i32; 3]; 2]>::from))
}

pub fn affine(isa: Isa) {
    shapes(LISTED.iter().copied(), any_shape(), |(input, output, quarters)| {
        for (numbers, unit) in [(Numbers::Integers, 0.25), (Numbers::Reals, 0.25), (Numbers::Reals, 0.236_2)]
        {
            let matrix = quarters.map(|line| line.map(|number| number as f32 * unit));
            let x = numbers.take(1, input.iter().product());
            for fill in FILLS {
                for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
                    let map = Affine { input, output, matrix, interpolation, fill };
                    let got = written(output[0] * output[1] * input[2], |y| {
                        warp::affine(isa, &map, &x, y).unwrap();
                    });
                    numbers.compare(&format!("{isa} {map:?}"), &got, reference::warp::affine(&map, &x));
                }
            }
        }
    });
}
