use crate::support::{Numbers, shapes, updated, written};
use bantam_kernels::conv2d::Activation;
use bantam_kernels::{Isa, channels, reference};

const ACTIVATIONS: [Activation; 3] = [Activation::None, Activation::Relu, Activation::Relu6];

/// Images, pixels, channels, and how many more channels a wider map has.
type Shape = (usize, usize, usize, usize);

const LISTED: [Shape; 8] = [
    (0, 3, 2, 0),
    (2, 0, 3, 1),
    (2, 3, 0, 1),
    (1, 1, 1, 0),
    (2, 49, 8, 0),
    (1, 7, 64, 5),
    (3, 5, 33, 31),
    (1, 2100, 21, 0),
];

fn for_each_shape(check: impl Fn(Shape, Numbers)) {
    shapes(LISTED, (0..4usize, 0..30usize, 0..70usize, 0..9usize), |shape| {
        Numbers::ALL.into_iter().for_each(|numbers| check(shape, numbers));
    });
}

/// Elements from the first to the last of some channels of a wider map.
fn strided(rows: usize, columns: usize, stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * stride + columns }
}

pub fn scale_shift(isa: Isa) {
    for_each_shape(|(images, pixels, columns, more), numbers| {
        let (rows, stride) = (images * pixels, columns + more);
        let x = numbers.take(1, strided(rows, columns, stride));
        let (scale, shift) = (numbers.take(2, columns), numbers.take(3, columns));
        for activation in ACTIVATIONS {
            let got = written(rows * columns, |y| {
                channels::scale_shift(isa, activation, rows, columns, &x, stride, &scale, &shift, y).unwrap();
            });
            let want =
                reference::channels::scale_shift(activation, rows, columns, &x, stride, &scale, &shift);
            numbers.compare(&format!("{isa} {rows}x{columns} of {stride}"), &got, want);
        }
    });
}

pub fn scale_shift_in_place(isa: Isa) {
    for_each_shape(|(images, pixels, columns, _), numbers| {
        let rows = images * pixels;
        let x = numbers.take(1, rows * columns);
        let (scale, shift) = (numbers.take(2, columns), numbers.take(3, columns));
        for activation in ACTIVATIONS {
            let got = updated(&x, |y| {
                channels::scale_shift_in_place(isa, activation, rows, columns, &scale, &shift, y).unwrap();
            });
            let want =
                reference::channels::scale_shift(activation, rows, columns, &x, columns, &scale, &shift);
            numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
        }
    });
}

pub fn shift_in_place(isa: Isa) {
    for_each_shape(|(images, pixels, columns, _), numbers| {
        let rows = images * pixels;
        let (x, shift) = (numbers.take(1, rows * columns), numbers.take(2, columns));
        for activation in ACTIVATIONS {
            let got = updated(&x, |y| {
                channels::shift_in_place(isa, activation, rows, columns, &shift, y).unwrap();
            });
            let want = reference::channels::shift(activation, &x, &shift);
            numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
        }
    });
}

pub fn mul(isa: Isa) {
    for_each_shape(|(n, p, c, _), numbers| {
        let (x, scale) = (numbers.take(1, n * p * c), numbers.take(2, n * c));
        let got = written(x.len(), |y| channels::mul(isa, n, p, c, &x, &scale, y).unwrap());
        let want = reference::channels::mul(n, p, c, &x, &scale);
        numbers.compare(&format!("{isa} {n}x{p}x{c}"), &got, want);
    });
}

pub fn mul_assign(isa: Isa) {
    for_each_shape(|(n, p, c, _), numbers| {
        let (y, scale) = (numbers.take(1, n * p * c), numbers.take(2, n * c));
        let got = updated(&y, |y| channels::mul_assign(isa, n, p, c, y, &scale).unwrap());
        let want = reference::channels::mul(n, p, c, &y, &scale);
        numbers.compare(&format!("{isa} {n}x{p}x{c}"), &got, want);
    });
}

pub fn grad_scale(isa: Isa) {
    for_each_shape(|(n, p, c, more), numbers| {
        let (d_y, x) = (numbers.take(1, n * p * c), numbers.take(2, strided(n * p, c, c + more)));
        let got = written(n * c, |d_scale| {
            channels::grad_scale(isa, n, p, c, &d_y, &x, c + more, d_scale).unwrap();
        });
        let want = reference::channels::grad_scale(n, p, c, &d_y, &x, c + more);
        numbers.compare(&format!("{isa} {n}x{p}x{c} of {}", c + more), &got, want);
    });
}

pub fn copy(_: Isa) {
    for_each_shape(|(images, rows, columns, more), numbers| {
        let (x_stride, y_stride) = (columns + images, columns + more);
        let x = numbers.take(1, strided(rows, columns, x_stride));
        let before = numbers.take(2, strided(rows, columns, y_stride));
        let got = updated(&before, |y| {
            channels::copy(rows, columns, &x, x_stride, y, y_stride).unwrap();
        });
        for (i, (&got, &before)) in got.iter().zip(&before).enumerate() {
            let (row, column) = (i / y_stride, i % y_stride);
            let want = if column < columns { x[row * x_stride + column] } else { before };
            assert_eq!(got, want, "{rows}x{columns}, {x_stride} to {y_stride}: {row}, {column}");
        }
    });
}

pub fn normalize(isa: Isa) {
    for_each_shape(|(images, pixels, columns, _), numbers| {
        let rows = images * pixels;
        let x = numbers.take(1, rows * columns);
        let (mean, scale) = (numbers.take(2, columns), numbers.take(3, columns));
        let got = written(x.len(), |y| {
            channels::normalize(isa, rows, columns, &x, &mean, &scale, y).unwrap();
        });
        let want = reference::channels::normalize(columns, &x, &mean, &scale);
        numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
    });
}

pub fn prelu(isa: Isa) {
    for_each_shape(|(images, pixels, columns, _), numbers| {
        let rows = images * pixels;
        let (x, alpha) = (numbers.take(1, rows * columns), numbers.take(2, columns));
        let got = written(x.len(), |y| channels::prelu(isa, rows, columns, &x, &alpha, y).unwrap());
        let want = reference::channels::prelu(columns, &x, &alpha);
        numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
    });
    let got = written(1, |y| channels::prelu(isa, 1, 1, &[f32::NAN], &[0.5], y).unwrap());
    assert!(got[0].is_nan());
}

pub fn prelu_in_place(isa: Isa) {
    for_each_shape(|(images, pixels, columns, _), numbers| {
        let rows = images * pixels;
        let (x, alpha) = (numbers.take(1, rows * columns), numbers.take(2, columns));
        let got = updated(&x, |y| channels::prelu_in_place(isa, rows, columns, &alpha, y).unwrap());
        let want = reference::channels::prelu(columns, &x, &alpha);
        numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
    });
}

pub fn prelu_slopes(isa: Isa) {
    for_each_shape(|(images, pixels, columns, _), numbers| {
        let rows = images * pixels;
        let (x, alpha) = (numbers.take(1, rows * columns), numbers.take(2, columns));
        let got = written(x.len(), |y| channels::prelu_slopes(isa, rows, columns, &x, &alpha, y).unwrap());
        let want = reference::channels::prelu_slopes(columns, &x, &alpha);
        numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
    });
}

pub fn grad_alpha(isa: Isa) {
    for_each_shape(|(images, pixels, columns, _), numbers| {
        let rows = images * pixels;
        let (d_y, x) = (numbers.take(1, rows * columns), numbers.take(2, rows * columns));
        let got = written(columns, |d_alpha| {
            channels::grad_alpha(isa, rows, columns, &d_y, &x, d_alpha).unwrap();
        });
        let want = reference::channels::grad_alpha(rows, columns, &d_y, &x);
        numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
    });
}
