use crate::max_pool2d::for_each_windows;
use crate::support::{Numbers, written};
use bantam_kernels::avg_pool2d::{self, Geometry, Windows};
use bantam_kernels::{Isa, reference};

// A mean of integers is seldom one.
const NUMBERS: Numbers = Numbers::Reals;

/// Means without and with padding, and sums.
fn for_each_geometry(check: impl Fn(&Geometry)) {
    for_each_windows(|input, windows| {
        let geometry = Geometry::of(input, windows).unwrap();
        let counting = Geometry::of(input, &Windows { count_padding: true, ..*windows }).unwrap();
        [geometry, counting, geometry.summing()].iter().for_each(&check);
    });
}

pub fn forward(isa: Isa) {
    for_each_geometry(|g| {
        let input = NUMBERS.take(1, g.input().iter().product());
        let got = written(g.output().iter().product(), |output| {
            avg_pool2d::forward(isa, g, &input, output).unwrap();
        });
        NUMBERS.compare(&format!("{isa} {g:?}"), &got, reference::avg_pool2d::forward(g, &input));
    });
}

pub fn grad_input(isa: Isa) {
    for_each_geometry(|g| {
        let d_output = NUMBERS.take(1, g.output().iter().product());
        let got = written(g.input().iter().product(), |d_input| {
            avg_pool2d::grad_input(isa, g, &d_output, d_input).unwrap();
        });
        NUMBERS.compare(&format!("{isa} {g:?}"), &got, reference::avg_pool2d::grad_input(g, &d_output));
    });
}
