use crate::support::{Numbers, shapes, updated, written};
use bantam_kernels::batch_normalization::Normalized;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::reference::{self, Expected};
use bantam_kernels::{Isa, batch_normalization};

const LISTED: [(usize, usize); 9] =
    [(1, 1), (1, 7), (2, 0), (49, 8), (7, 64), (31, 33), (130, 16), (1025, 100), (4200, 21)];

fn for_each_shape(check: impl Fn(usize, usize)) {
    shapes(LISTED, (1..300usize, 0..150usize), |(rows, columns)| check(rows, columns));
}

/// Compares two arrays that a kernel wrote with their pairs of expectations.
fn compare(numbers: Numbers, what: &str, got: [&[f32]; 2], want: impl Iterator<Item = [Expected; 2]>) {
    let want: Vec<_> = want.collect();
    for (i, got) in got.into_iter().enumerate() {
        numbers.compare(&format!("{what}, array {i}"), got, want.iter().map(|want| want[i]));
    }
}

pub fn moments(isa: Isa) {
    // A large mean must not cost the variance its digits.
    for offset in [0.0, 1000.0] {
        for_each_shape(|rows, columns| {
            let x: Vec<_> = Numbers::Reals.take(1, rows * columns).iter().map(|x| x + offset).collect();
            let mut variance = Vec::new();
            let mean = written(columns, |mean| {
                variance = written(columns, |variance| {
                    batch_normalization::moments(isa, rows, columns, &x, mean, variance).unwrap();
                });
            });
            let want = reference::batch_normalization::moments(rows, columns, &x);
            compare(Numbers::Reals, &format!("{isa} {rows}x{columns}"), [&mean, &variance], want);
        });
    }
}

pub fn merge_moments(isa: Isa) {
    for_each_shape(|_, columns| {
        let [mean, variance, other_mean, other_variance] =
            [1, 2, 3, 4].map(|seed| Numbers::Reals.take(seed, columns));
        for share in [0.0, 0.25, 0.3, 1.0] {
            let mut merged = variance.to_vec();
            let got = updated(&mean, |mean| {
                let others = (&other_mean, &other_variance);
                batch_normalization::merge_moments(share, mean, &mut merged, others.0, others.1).unwrap();
            });
            let parts = [[&*mean, &variance], [&other_mean, &other_variance]];
            let want = reference::batch_normalization::merge_moments(share, parts);
            compare(Numbers::Reals, &format!("{isa} {columns}"), [&got, &merged], want);
        }
    });
}

/// Calls `check` with the gradient to an output.
fn for_each_output(check: impl Fn(Numbers, usize, usize, Normalized<'_>, &[f32])) {
    for_each_shape(|rows, columns| {
        for numbers in Numbers::ALL {
            let [x, d_y] = [1, 2].map(|seed| numbers.take(seed, rows * columns));
            let [mean, scale, shift] = [3, 4, 5].map(|seed| numbers.take(seed, columns));
            for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
                let (x, mean, scale, shift) = (&x, &mean, &scale, &shift);
                check(numbers, rows, columns, Normalized { activation, x, mean, scale, shift }, &d_y);
            }
        }
    });
}

pub fn grad_sums(isa: Isa) {
    for_each_output(|numbers, rows, columns, normalized, d_y| {
        let mut dots = Vec::new();
        let sums = written(columns, |sums| {
            dots = written(columns, |dots| {
                batch_normalization::grad_sums(isa, rows, columns, normalized, d_y, sums, dots).unwrap();
            });
        });
        let want = reference::batch_normalization::grad_sums(rows, columns, normalized, d_y);
        compare(numbers, &format!("{isa} {rows}x{columns}"), [&sums, &dots], want);
    });
}

pub fn grad_input(isa: Isa) {
    for_each_output(|numbers, rows, columns, normalized, d_y| {
        let [d_mean, slope] = [6, 7].map(|seed| numbers.take(seed, columns));
        let got = written(d_y.len(), |d_x| {
            batch_normalization::grad_input(isa, rows, columns, normalized, &d_mean, &slope, d_y, d_x)
                .unwrap();
        });
        let means = [&*d_mean, &slope];
        let want = reference::batch_normalization::grad_input(rows, columns, normalized, means, d_y);
        numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
    });
}
