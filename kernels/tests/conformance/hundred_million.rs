//! Sums of 10⁸ terms: the error grows with the logarithm of their number. No test for an emulator.

use crate::support::{Numbers, isas};
use bantam_kernels::avg_pool2d::Geometry;
use bantam_kernels::conv2d::Padding;
use bantam_kernels::loss::{BinaryCrossEntropy, CrossEntropy, MeanSquaredError, Rows};
use bantam_kernels::{avg_pool2d, loss, reduce, reference, softmax};

const COUNT: usize = 100_000_000;

/// From 0 to 1, so that nothing cancels and errors add up.
fn terms(seed: u64, len: usize) -> Vec<f32> {
    let mut terms = Numbers::Reals.take(seed, len).into_vec();
    terms.iter_mut().for_each(|x| *x = x.abs());
    terms
}

#[test]
fn reductions() {
    let x = terms(1, COUNT);
    let want = reference::reduce::sum(&x);
    for isa in isas() {
        Numbers::Reals.compare(&format!("{isa} sum"), &[reduce::sum(isa, &x)], [want].into_iter());
    }
    for columns in [1, 10, 50] {
        let rows = COUNT / columns;
        let want: Vec<_> = reference::reduce::sum_rows(rows, columns, &x).collect();
        for isa in isas() {
            let mut sums = vec![0.0; columns];
            reduce::sum_rows(isa, rows, columns, &x, &mut sums).unwrap();
            Numbers::Reals.compare(&format!("{isa} {columns} columns"), &sums, want.iter().copied());
        }
    }
}

#[test]
fn averages() {
    let x = terms(1, COUNT);
    for [height, width, channels] in [[10_000, 10_000, 1], [10_000_000, 1, 10]] {
        let input = [1, height, width, channels];
        let g = Geometry::new(input, [height, width], [1, 1], Padding::Valid).unwrap();
        let want: Vec<_> = reference::avg_pool2d::forward(&g, &x).collect();
        for isa in isas() {
            let mut means = vec![0.0; channels];
            avg_pool2d::forward(isa, &g, &x, &mut means).unwrap();
            Numbers::Reals.compare(&format!("{isa} {input:?}"), &means, want.iter().copied());
        }
    }
}

#[test]
fn losses() {
    let (x, t) = (terms(1, COUNT), terms(2, COUNT));
    let compare = |what: &str, got: f32, want: reference::Expected| {
        Numbers::Reals.compare(what, &[got], [want].into_iter());
    };
    let rows = Rows::new(1, &x, &t);
    let got = loss::of_elements(&MeanSquaredError, &rows).unwrap();
    let cost = |x: &[f32], t: &[f32]| reference::loss::mean_squared_error(x[0], t[0])[0];
    compare("squared error", got, reference::loss::mean(1, &x, &t, |_| 1.0, cost));
    let got = loss::of_elements(&BinaryCrossEntropy { from_logits: true }, &rows).unwrap();
    let cost = |x: &[f32], t: &[f32]| reference::loss::binary_cross_entropy(true, x[0], t[0])[0];
    compare("binary", got, reference::loss::mean(1, &x, &t, |_| 1.0, cost));
    for columns in [2, COUNT] {
        let got = loss::of_rows(&FROM_LOGITS, &Rows::new(columns, &x, &t)).unwrap();
        let cost = |x: &[f32], t: &[f32]| reference::loss::focal(true, 0.0, 1.0, x, t);
        let want = reference::loss::mean(columns, &x, &t, |_| 1.0, cost);
        compare(&format!("{columns} classes"), got, want);
    }
}

const FROM_LOGITS: CrossEntropy = CrossEntropy { from_logits: true };

#[test]
fn ones_have_a_mean_square_of_one() {
    let x = vec![1.0; 1 << 25];
    let zeros = vec![0.0; 1 << 25];
    let rows = Rows::new(1, &x, &zeros);
    assert_eq!(loss::of_elements(&MeanSquaredError, &rows), Ok(1.0));
}

#[test]
fn equal_rows_have_the_loss_of_one() {
    let (rows, columns) = (200_000, 10);
    let targets: Vec<_> = (0..rows * columns).map(|i| f32::from(i % columns == 3)).collect();
    let outputs = vec![0.5; rows * columns];
    let got = loss::of_rows(&FROM_LOGITS, &Rows::new(columns, &outputs, &targets)).unwrap();
    assert!((f64::from(got) - 10f64.ln()).abs() < 1e-6, "{got}");
}

#[test]
fn a_softmax_of_equals_has_equal_shares() {
    let len = 1 << 25;
    let mut y = vec![0.0; len];
    softmax::forward(1, len, &vec![3.0; len], &mut y).unwrap();
    assert!(y.iter().all(|&y| y == 1.0 / len as f32));
}
