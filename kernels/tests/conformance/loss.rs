use crate::softmax::logits;
use crate::support::{Numbers, shapes, written};
use bantam_kernels::loss::{self, *};
use bantam_kernels::reference::bounded::Bounded;
use bantam_kernels::{Isa, reference::loss as reference};

const MATRICES: [(usize, usize); 6] = [(1, 1), (5, 1), (1, 10), (64, 10), (3, 300), (1000, 2)];

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

/// Rows that count differently, one of them not at all.
fn weight(row: usize) -> f32 {
    [1.0, 0.25, 0.0, 3.7][row % 4]
}

/// A loss of single outputs, checked against its reference, `[cost, slope]`.
struct Elements<'a> {
    outputs: &'a [f32],
    targets: &'a [f32],
    columns: usize,
    grad: bool,
}

impl Elements<'_> {
    fn check(&self, name: &str, loss: impl Elementwise, expected: impl Fn(f32, f32) -> [Bounded; 2]) {
        let Elements { outputs, targets, columns, .. } = *self;
        let rows = Rows { columns, outputs, targets, weight: &weight };
        let what = format!("{name} of {columns} columns");
        let weight = |i| weight(i / columns);
        if self.grad {
            let got = written(outputs.len(), |d| loss::of_elements_grad(&loss, &rows, 0.7, d).unwrap());
            let slope = |x: &[f32], t: &[f32], _| expected(x[0], t[0])[1];
            let want = reference::mean_grad(1, outputs, targets, weight, 0.7, slope);
            Numbers::Reals.compare(&what, &got, want);
        } else {
            let got = loss::of_elements(&loss, &rows).unwrap();
            let want = reference::mean(1, outputs, targets, weight, |x, t| expected(x[0], t[0])[0]);
            Numbers::Reals.compare(&what, &[got], [want].into_iter());
        }
    }
}

fn elements(grad: bool) {
    shapes(MATRICES, (1..9usize, 1..40usize), |(rows, columns)| {
        let (x, len) = (logits(1, rows * columns), rows * columns);
        let near: Vec<f32> = x.iter().map(|x| x / 6.0).collect();
        let probabilities: Vec<f32> = x.iter().map(|x| (x + 20.0) / 40.0).collect();
        let numbers = Numbers::Reals.take(2, len);
        let sides: Vec<f32> = numbers.iter().map(|t| if *t < 0.0 { -1.0 } else { 1.0 }).collect();
        let zeros_ones: Vec<f32> = sides.iter().map(|t| (t + 1.0) / 2.0).collect();
        let shares: Vec<f32> = numbers.iter().map(|t| t.abs()).collect();
        let of = |outputs, targets| Elements { outputs, targets, columns, grad };
        for x in [&x, &near] {
            let of_numbers = of(x, &numbers);
            of_numbers.check("squared", MeanSquaredError, reference::mean_squared_error);
            of_numbers.check("absolute", MeanAbsoluteError, reference::mean_absolute_error);
            for delta in [0.3, 1.0, 5.0] {
                of_numbers.check("Huber", Huber { delta }, |x, t| reference::huber(delta, x, t));
            }
            of_numbers.check("log cosh", LogCosh, reference::log_cosh);
            for targets in [&sides, &zeros_ones] {
                of(x, targets).check("hinge", Hinge, reference::hinge);
                of(x, targets).check("squared hinge", SquaredHinge, reference::squared_hinge);
            }
        }
        of(&probabilities, &shares).check("Poisson", Poisson, reference::poisson);
        for (from_logits, x) in [(true, &x), (true, &near), (false, &probabilities)] {
            for targets in [&shares, &zeros_ones] {
                let loss = BinaryCrossEntropy { from_logits };
                of(x, targets)
                    .check("binary", loss, |x, t| reference::binary_cross_entropy(from_logits, x, t));
                for (gamma, alpha) in [(0.0, None), (0.5, None), (2.0, Some(0.25)), (3.0, Some(0.6))] {
                    let loss = BinaryFocal { from_logits, gamma, alpha };
                    let expected = |x, t| reference::binary_focal(from_logits, gamma, alpha, x, t);
                    of(x, targets).check("binary focal", loss, expected);
                }
            }
        }
    });
}

pub fn of_elements(_: Isa) {
    elements(false);
    let binary = |x: &[f32], t: &[f32]| {
        loss::of_elements(&BinaryCrossEntropy { from_logits: true }, &Rows::new(1, x, t)).unwrap()
    };
    assert_eq!(binary(&[1e4, -1e4], &[1.0, 0.0]), 0.0);
    assert_eq!(binary(&[1e4, -1e4], &[0.0, 1.0]), 1e4);
    assert!(binary(&[0.0, f32::NAN], &[0.0, 1.0]).is_nan());
    let nan = Rows::new(2, &[f32::NAN, 0.0], &[0.0; 2]);
    assert!(loss::of_elements(&MeanSquaredError, &nan).unwrap().is_nan());
    assert!(loss::of_elements(&MeanAbsoluteError, &nan).unwrap().is_nan());
    assert!(loss::of_elements(&Huber { delta: 1.0 }, &nan).unwrap().is_nan());
    assert!(loss::of_elements(&Hinge, &nan).unwrap().is_nan());
    // What counts nothing may be anything.
    let weight = |row| if row == 0 { 0.0 } else { 2.0 };
    let rows = Rows { weight: &weight, ..Rows::new(1, &[f32::NAN, 3.0], &[0.0; 2]) };
    assert_eq!(loss::of_elements(&MeanSquaredError, &rows), Ok(9.0));
}

pub fn of_elements_grad(_: Isa) {
    elements(true);
    let got = written(3, |d| {
        let rows = Rows::new(1, &[1e4, -1e4, f32::NAN], &[0.0; 3]);
        loss::of_elements_grad(&BinaryCrossEntropy { from_logits: true }, &rows, 3.0, d).unwrap();
    });
    assert_eq!(got[..2], [1.0, 0.0]);
    assert!(got[2].is_nan());
    // All but certain, right and wrong.
    for (x, t, slope) in [(200.0, 1.0, 0.0), (-200.0, 1.0, -1.0), (200.0, 0.0, 1.0), (-200.0, 0.0, 0.0)] {
        for gamma in [0.0, 0.5, 2.0] {
            let loss = BinaryFocal { from_logits: true, gamma, alpha: None };
            assert_eq!(loss.slope(x, t), slope, "{x} {t} {gamma}");
        }
    }
}

/// A loss of rows, checked against its reference: a cost, and the slope to one output.
fn check_rows(
    (rows, grad, name): (&Rows<'_>, bool, &str),
    loss: impl Rowwise,
    cost: impl Fn(&[f32], &[f32]) -> Bounded,
    slope: impl Fn(&[f32], &[f32], usize) -> Bounded,
) {
    let Rows { columns, outputs, targets, .. } = *rows;
    let what = format!("{name} of {columns} columns");
    if grad {
        let got = written(outputs.len(), |d| loss::of_rows_grad(&loss, rows, 0.7, d).unwrap());
        let want = reference::mean_grad(columns, outputs, targets, weight, 0.7, slope);
        Numbers::Reals.compare(&what, &got, want);
    } else {
        let got = loss::of_rows(&loss, rows).unwrap();
        let want = reference::mean(columns, outputs, targets, weight, cost);
        Numbers::Reals.compare(&what, &[got], [want].into_iter());
    }
}

fn rows(grad: bool) {
    shapes(MATRICES, (1..9usize, 1..40usize), |(rows, columns)| {
        let x = logits(1, rows * columns);
        let near: Vec<f32> = x.iter().map(|x| x / 6.0).collect();
        let probabilities: Vec<f32> = x.iter().map(|x| (x + 20.5) / 41.0).collect();
        for targets in targets(rows, columns) {
            for (from_logits, outputs) in [(true, &x), (true, &near), (false, &probabilities)] {
                let rows = Rows { weight: &weight, ..Rows::new(columns, outputs, &targets) };
                check_rows(
                    (&rows, grad, "cross-entropy"),
                    CrossEntropy { from_logits },
                    |x, t| reference::focal(from_logits, 0.0, 1.0, x, t),
                    |x, t, i| reference::focal_slope(from_logits, 0.0, 1.0, x, t, i),
                );
                for (gamma, alpha) in [(0.5, 1.0), (2.0, 0.25)] {
                    check_rows(
                        (&rows, grad, "focal"),
                        CategoricalFocal { from_logits, gamma, alpha },
                        |x, t| reference::focal(from_logits, gamma, alpha, x, t),
                        |x, t, i| reference::focal_slope(from_logits, gamma, alpha, x, t, i),
                    );
                }
                check_rows(
                    (&rows, grad, "categorical hinge"),
                    CategoricalHinge,
                    reference::categorical_hinge,
                    reference::categorical_hinge_slope,
                );
            }
            let rows = Rows { weight: &weight, ..Rows::new(columns, &probabilities, &targets) };
            check_rows(
                (&rows, grad, "Kullback-Leibler"),
                KullbackLeibler,
                reference::kullback_leibler,
                reference::kullback_leibler_slope,
            );
        }
    });
}

const FROM_LOGITS: CrossEntropy = CrossEntropy { from_logits: true };

pub fn of_rows(_: Isa) {
    rows(false);
    let one = |logits: &[f32; 2]| loss::of_rows(&FROM_LOGITS, &Rows::new(2, logits, &[1.0, 0.0])).unwrap();
    assert_eq!(one(&[1e4, -1e4]), 0.0);
    assert_eq!(one(&[-1e4, 1e4]), 2e4);
    assert_eq!(one(&[0.0, f32::NEG_INFINITY]), 0.0);
    assert_eq!(one(&[f32::NEG_INFINITY, 0.0]), f32::INFINITY);
    assert!(one(&[0.0, f32::NAN]).is_nan());
}

pub fn of_rows_grad(_: Isa) {
    rows(true);
    // Equally wrong classes share what is wrong, as TensorFlow has it.
    let rows = Rows::new(3, &[0.5, 0.5, 0.0], &[0.0, 0.0, 1.0]);
    let got = written(3, |d| loss::of_rows_grad(&CategoricalHinge, &rows, 1.0, d).unwrap());
    assert_eq!(got, [0.5, 0.5, -1.0]);
    // All but certain, right and wrong.
    for gamma in [0.0, 0.5, 2.0] {
        let loss = CategoricalFocal { from_logits: true, gamma, alpha: 1.0 };
        for (x, want) in [([200.0, 0.0], [0.0, 0.0]), ([0.0, 200.0], [-1.0, 1.0])] {
            let got = written(2, |d| loss.slopes(&x, &[1.0, 0.0], 1.0, d));
            assert_eq!(got, want, "{gamma}");
        }
    }
}

/// Of classes and pixels that are all but certain.
#[test]
fn gradients_are_never_subnormal() {
    for gap in 0..120 {
        let x = [0.0, -(gap as f32)];
        let mut d = [[f32::NAN; 2]; 3];
        let rows = Rows::new(2, &x, &[1.0, 0.0]);
        loss::of_rows_grad(&FROM_LOGITS, &rows, 0.7, &mut d[0]).unwrap();
        loss::of_elements_grad(&BinaryCrossEntropy { from_logits: true }, &rows, 0.7, &mut d[1]).unwrap();
        let tiny = [0.0, f32::powi(0.3, gap)];
        let rows = Rows::new(2, &tiny, &[0.0; 2]);
        loss::of_elements_grad(&MeanSquaredError, &rows, 0.7, &mut d[2]).unwrap();
        assert!(d.as_flattened().iter().all(|d| !d.is_subnormal() && !d.is_nan()), "{d:?}");
        assert!(gap > 65 || d[..2].iter().all(|d| d[1] > 0.0), "{d:?}");
    }
}
