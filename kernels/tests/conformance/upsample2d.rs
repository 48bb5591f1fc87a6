use crate::support::{Numbers, shapes, written};
use bantam_kernels::{Isa, reference, upsample2d};
use proptest::prelude::*;

type Shape = ([usize; 4], [usize; 2]);

const LISTED: &[Shape] = &[
    ([1, 1, 1, 1], [1, 1]),
    ([1, 1, 1, 5], [3, 2]),
    ([2, 3, 4, 33], [2, 2]),
    ([1, 4, 2, 16], [1, 5]),
    ([1, 2, 5, 7], [4, 1]),
];

fn any_shape() -> impl Strategy<Value = Shape> {
    let input = (1..3usize, 1..6usize, 1..6usize, 1..36usize).prop_map(<[usize; 4]>::from);
    (input, (1..6usize, 1..6usize).prop_map(<[usize; 2]>::from))
}

/// Where shares are quarters results are exact.
fn numbers(factors: [usize; 2]) -> &'static [Numbers] {
    if factors.iter().all(|factor| factor.is_power_of_two()) { &Numbers::ALL } else { &[Numbers::Reals] }
}

fn output_len(input: [usize; 4], factors: [usize; 2]) -> usize {
    input.iter().chain(&factors).product()
}

pub fn bilinear(isa: Isa) {
    shapes(LISTED.iter().copied(), any_shape(), |(input, factors)| {
        for numbers in numbers(factors) {
            let x = numbers.take(1, input.iter().product());
            let got = written(output_len(input, factors), |y| {
                upsample2d::bilinear(isa, input, factors, &x, y).unwrap();
            });
            let want = reference::upsample2d::bilinear(input, factors, &x);
            numbers.compare(&format!("{isa} {input:?} by {factors:?}"), &got, want);
        }
    });
}

pub fn grad_bilinear(isa: Isa) {
    shapes(LISTED.iter().copied(), any_shape(), |(input, factors)| {
        for numbers in numbers(factors) {
            let d_y = numbers.take(1, output_len(input, factors));
            let got = written(input.iter().product(), |d_x| {
                upsample2d::grad_bilinear(isa, input, factors, &d_y, d_x).unwrap();
            });
            let want = reference::upsample2d::grad_bilinear(input, factors, &d_y);
            numbers.compare(&format!("{isa} {input:?} by {factors:?}"), &got, want);
        }
    });
}
