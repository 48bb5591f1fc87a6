use crate::softmax::logits;
use crate::support::{Numbers, shapes, written};
use bantam_kernels::{Isa, loss, reference};

const MATRICES: [(usize, usize); 6] = [(1, 1), (5, 1), (1, 10), (64, 10), (3, 1000), (1000, 2)];
const LENGTHS: [usize; 5] = [1, 2, 7, 100, 20_000];

/// Weights from 0 to 1 that sum up to anything, probabilities, and one class a row.
fn targets(rows: usize, columns: usize) -> [Vec<f32>; 3] {
    let weights: Vec<_> = Numbers::Reals.take(2, rows * columns).iter().map(|x| x.abs()).collect();
    let mut probabilities = weights.clone();
    for row in probabilities.chunks_mut(columns) {
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    }
    let class = |i| f32::from(i % columns == i / columns * 7 % columns);
    [weights, probabilities, (0..rows * columns).map(class).collect()]
}

pub fn softmax_cross_entropy(_: Isa) {
    shapes(MATRICES, (1..9usize, 1..40usize), |(rows, columns)| {
        let x = logits(1, rows * columns);
        for t in targets(rows, columns) {
            let got = loss::softmax_cross_entropy(rows, columns, &x, &t).unwrap();
            let want = reference::loss::softmax_cross_entropy(rows, columns, &x, &t);
            Numbers::Reals.compare(&format!("{rows}x{columns}"), &[got], [want].into_iter());
        }
    });
    let one = |logits: &[f32; 2]| loss::softmax_cross_entropy(1, 2, logits, &[1.0, 0.0]).unwrap();
    assert_eq!(one(&[1e4, -1e4]), 0.0);
    assert_eq!(one(&[-1e4, 1e4]), 2e4);
    assert_eq!(one(&[0.0, f32::NEG_INFINITY]), 0.0);
    assert_eq!(one(&[f32::NEG_INFINITY, 0.0]), f32::INFINITY);
    assert!(one(&[0.0, f32::NAN]).is_nan());
}

pub fn softmax_cross_entropy_grad(_: Isa) {
    shapes(MATRICES, (1..9usize, 1..40usize), |(rows, columns)| {
        let x = logits(1, rows * columns);
        for t in targets(rows, columns) {
            let got = written(x.len(), |d| {
                loss::softmax_cross_entropy_grad(rows, columns, &x, &t, 0.7, d).unwrap();
            });
            let want = reference::loss::softmax_cross_entropy_grad(rows, columns, &x, &t, 0.7);
            Numbers::Reals.compare(&format!("{rows}x{columns}"), &got, want);
        }
    });
}

pub fn binary_cross_entropy(_: Isa) {
    shapes(LENGTHS, 1..300usize, |len| {
        let (x, [t, ..]) = (logits(1, len), targets(1, len));
        let got = loss::binary_cross_entropy(&x, &t).unwrap();
        let want = reference::loss::binary_cross_entropy(&x, &t);
        Numbers::Reals.compare(&format!("{len}"), &[got], [want].into_iter());
    });
    assert_eq!(loss::binary_cross_entropy(&[1e4, -1e4], &[1.0, 0.0]), Ok(0.0));
    assert_eq!(loss::binary_cross_entropy(&[1e4, -1e4], &[0.0, 1.0]), Ok(1e4));
    assert!(loss::binary_cross_entropy(&[0.0, f32::NAN], &[0.0, 1.0]).unwrap().is_nan());
}

pub fn binary_cross_entropy_grad(_: Isa) {
    shapes(LENGTHS, 1..300usize, |len| {
        let (x, [t, ..]) = (logits(1, len), targets(1, len));
        let got = written(len, |d| loss::binary_cross_entropy_grad(&x, &t, 0.7, d).unwrap());
        let want = reference::loss::binary_cross_entropy_grad(&x, &t, 0.7);
        Numbers::Reals.compare(&format!("{len}"), &got, want);
    });
    let got = written(3, |d| {
        loss::binary_cross_entropy_grad(&[1e4, -1e4, f32::NAN], &[0.0; 3], 3.0, d).unwrap();
    });
    assert_eq!(got[..2], [1.0, 0.0]);
    assert!(got[2].is_nan());
}

pub fn mean_squared_error(_: Isa) {
    shapes(LENGTHS, 1..300usize, |len| {
        let (x, t) = (Numbers::Reals.take(1, len), Numbers::Reals.take(2, len));
        let got = loss::mean_squared_error(&x, &t).unwrap();
        let want = reference::loss::mean_squared_error(&x, &t);
        Numbers::Reals.compare(&format!("{len}"), &[got], [want].into_iter());
    });
    assert!(loss::mean_squared_error(&[f32::NAN, 0.0], &[0.0; 2]).unwrap().is_nan());
}

pub fn mean_squared_error_grad(_: Isa) {
    shapes(LENGTHS, 1..300usize, |len| {
        let (x, t) = (Numbers::Reals.take(1, len), Numbers::Reals.take(2, len));
        let got = written(len, |d| loss::mean_squared_error_grad(&x, &t, 0.7, d).unwrap());
        let want = reference::loss::mean_squared_error_grad(&x, &t, 0.7);
        Numbers::Reals.compare(&format!("{len}"), &got, want);
    });
}

/// Of classes and pixels that are all but certain.
#[test]
fn gradients_are_never_subnormal() {
    for gap in 0..120 {
        let x = [0.0, -(gap as f32)];
        let mut d = [[f32::NAN; 2]; 3];
        loss::softmax_cross_entropy_grad(1, 2, &x, &[1.0, 0.0], 0.7, &mut d[0]).unwrap();
        loss::binary_cross_entropy_grad(&x, &[1.0, 0.0], 0.7, &mut d[1]).unwrap();
        let tiny = [0.0, f32::powi(0.3, gap)];
        loss::mean_squared_error_grad(&tiny, &[0.0; 2], 0.7, &mut d[2]).unwrap();
        assert!(d.as_flattened().iter().all(|d| !d.is_subnormal() && !d.is_nan()), "{d:?}");
        assert!(gap > 65 || d[..2].iter().all(|d| d[1] > 0.0), "{d:?}");
    }
}
