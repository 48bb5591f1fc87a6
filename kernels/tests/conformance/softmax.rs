use crate::support::{Numbers, shapes, written};
use bantam_kernels::{Isa, reference, softmax};

const LISTED: [(usize, usize); 6] = [(0, 3), (1, 1), (5, 1), (1, 10), (64, 10), (3, 1000)];

/// Logits up to ±20, so that some probabilities are tiny and none is rounded to zero.
pub fn logits(seed: u64, len: usize) -> Vec<f32> {
    Numbers::Reals.take(seed, len).iter().map(|x| 20.0 * x).collect()
}

pub fn forward(_: Isa) {
    shapes(LISTED, (0..9usize, 1..40usize), |(rows, columns)| {
        let x = logits(1, rows * columns);
        let got = written(x.len(), |y| softmax::forward(rows, columns, &x, y).unwrap());
        let want = reference::softmax::forward(columns, &x);
        Numbers::Reals.compare(&format!("{rows}x{columns}"), &got, want);
    });
    // Nothing overflows, and a NaN stays in its row.
    let x = [1e4, -1e4, f32::NAN, 0.0, -3e38, -3e38];
    let got = written(6, |y| softmax::forward(3, 2, &x, y).unwrap());
    assert_eq!((&got[..2], &got[4..]), (&[1.0, 0.0][..], &[0.5, 0.5][..]));
    assert!(got[2].is_nan() && got[3].is_nan());
}

pub fn grad(_: Isa) {
    shapes(LISTED, (0..9usize, 1..40usize), |(rows, columns)| {
        let mut y = vec![0.0; rows * columns];
        softmax::forward(rows, columns, &logits(1, y.len()), &mut y).unwrap();
        let d_y = Numbers::Reals.take(2, y.len());
        let got = written(y.len(), |d_x| softmax::grad(rows, columns, &y, &d_y, d_x).unwrap());
        let want = reference::softmax::grad(columns, &y, &d_y);
        Numbers::Reals.compare(&format!("{rows}x{columns}"), &got, want);
    });
}

/// `[outer, length, inner]`
const ALONG: [[usize; 3]; 6] = [[0, 3, 2], [2, 3, 0], [1, 1, 1], [2, 5, 7], [1, 1030, 17], [3, 4, 64]];

/// `[outer, length, inner]` as `[outer, inner, length]`, whose rows are what the softmax goes along.
fn rows<T: Copy>([_, length, inner]: [usize; 3], x: &[T]) -> Vec<T> {
    let block = |x: &[T]| (0..inner * length).map(|i| x[i % length * inner + i / length]).collect::<Vec<_>>();
    if inner == 0 { Vec::new() } else { x.chunks(length * inner).flat_map(block).collect() }
}

pub fn forward_along(isa: Isa) {
    shapes(ALONG, [0..4usize, 1..40usize, 0..40usize], |shape| {
        let x = logits(1, shape.iter().product());
        let got = written(x.len(), |y| softmax::forward_along(isa, shape, &x, y).unwrap());
        let x = rows(shape, &x);
        let want = reference::softmax::forward(shape[1], &x);
        Numbers::Reals.compare(&format!("{isa} {shape:?}"), &rows(shape, &got), want);
    });
    // Nothing overflows, and a NaN stays in its column.
    let x = [1e4, f32::NAN, -3e38, -1e4, 0.0, -3e38];
    let got = written(6, |y| softmax::forward_along(isa, [1, 2, 3], &x, y).unwrap());
    assert_eq!((got[0], got[2], got[3], got[5]), (1.0, 0.5, 0.0, 0.5));
    assert!(got[1].is_nan() && got[4].is_nan());
}

pub fn grad_along(isa: Isa) {
    shapes(ALONG, [0..4usize, 1..40usize, 0..40usize], |shape| {
        let mut y = vec![0.0; shape.iter().product()];
        softmax::forward_along(isa, shape, &logits(1, y.len()), &mut y).unwrap();
        let d_y = Numbers::Reals.take(2, y.len());
        let got = written(y.len(), |d_x| softmax::grad_along(isa, shape, &y, &d_y, d_x).unwrap());
        let (y, d_y) = (rows(shape, &y), rows(shape, &d_y));
        let want = reference::softmax::grad(shape[1], &y, &d_y);
        Numbers::Reals.compare(&format!("{isa} {shape:?}"), &rows(shape, &got), want);
    });
}
