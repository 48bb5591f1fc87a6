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
