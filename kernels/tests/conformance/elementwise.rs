use crate::support::{LENGTHS, Numbers, updated, written};
use bantam_kernels::{Isa, elementwise};

/// Every one of `special` against every other, and lengths around a vector's.
fn for_each_pair(check: impl Fn(&[f32], &[f32])) {
    for len in LENGTHS {
        for numbers in Numbers::ALL {
            check(&numbers.take(1, len), &numbers.take(2, len));
        }
    }
    let special = [0.0, -0.0, 1.5, -2.5, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let a: Vec<f32> = special.iter().flat_map(|&a| [a; 8]).collect();
    check(&a, &special.repeat(8));
}

/// One operation of IEEE 754 has one right result.
fn assert_same(isa: Isa, got: &[f32], a: &[f32], b: &[f32], want: impl Fn(f32, f32) -> f32) {
    assert_eq!(got.len(), a.len());
    for ((&got, &a), &b) in got.iter().zip(a).zip(b) {
        let want = want(a, b);
        assert!(got == want || (got.is_nan() && want.is_nan()), "{isa} of {a}, {b}: {got}, expected {want}");
    }
}

pub fn add(isa: Isa) {
    for_each_pair(|a, b| {
        let got = written(a.len(), |y| elementwise::add(isa, a, b, y).unwrap());
        assert_same(isa, &got, a, b, |a, b| a + b);
    });
}

pub fn add_assign(isa: Isa) {
    for_each_pair(|y, x| {
        let got = updated(y, |y| elementwise::add_assign(isa, y, x).unwrap());
        assert_same(isa, &got, y, x, |y, x| y + x);
    });
}

pub fn mul(isa: Isa) {
    for_each_pair(|a, b| {
        let got = written(a.len(), |y| elementwise::mul(isa, a, b, y).unwrap());
        assert_same(isa, &got, a, b, |a, b| a * b);
    });
}

pub fn relu(isa: Isa) {
    for_each_pair(|x, before| {
        let got = updated(before, |y| elementwise::relu(isa, x, y).unwrap());
        assert_same(isa, &got, x, before, |x, _| if x < 0.0 { 0.0 } else { x });
    });
}

pub fn relu_grad(isa: Isa) {
    for_each_pair(|y, d| {
        let got = updated(d, |d| elementwise::relu_grad(isa, y, d).unwrap());
        assert_same(isa, &got, y, d, |y, d| if y <= 0.0 { 0.0 } else { d });
    });
}

pub fn relu6_grad(isa: Isa) {
    let check = |y: &[f32], d: &[f32]| {
        let got = updated(d, |d| elementwise::relu6_grad(isa, y, d).unwrap());
        assert_same(isa, &got, y, d, |y, d| if y <= 0.0 || y >= 6.0 { 0.0 } else { d });
    };
    for_each_pair(check);
    let around_six = [5.0, 5.999_999_5, 6.0, 6.000_000_5, 7.0];
    check(&around_six, &[1.0, 2.0, 3.0, 4.0, f32::NAN]);
}
