use crate::support::{LENGTHS, Numbers, bits, shapes, written};
use bantam_kernels::{Isa, reduce, reference};

pub fn sum(isa: Isa) {
    for len in LENGTHS.into_iter().chain([4095, 4096, 4097, 100_003]) {
        for numbers in Numbers::ALL {
            let x = numbers.take(1, len);
            let got = reduce::sum(isa, &x);
            numbers.compare(&format!("{isa} {len}"), &[got], [reference::reduce::sum(&x)].into_iter());
            assert_eq!(bits(&[got]), bits(&[reduce::sum(isa, &x)]));
        }
    }
    assert!(reduce::sum(isa, &[1.0, f32::NAN, 1.0]).is_nan());
}

pub fn penalty(isa: Isa) {
    for len in LENGTHS.into_iter().chain([4095, 4096, 4097, 100_003]) {
        let x = Numbers::Reals.take(1, len);
        for l1_l2 in [[0.0, 0.25], [0.5, 0.0], [0.3, 0.7]] {
            let got = reduce::penalty(isa, l1_l2, &x);
            let want = [reference::reduce::penalty(l1_l2, &x)];
            Numbers::Reals.compare(&format!("{isa} {len}"), &[got], want.into_iter());
        }
    }
    assert!(reduce::penalty(isa, [1.0, 0.0], &[1.0, f32::NAN, 1.0]).is_nan());
}

pub fn sum_squares(isa: Isa) {
    for len in LENGTHS.into_iter().chain([4095, 4096, 4097, 100_003]) {
        for numbers in Numbers::ALL {
            let x = numbers.take(1, len);
            let got = reduce::sum_squares(isa, &x);
            numbers.compare(
                &format!("{isa} {len}"),
                &[got],
                [reference::reduce::sum_squares(&x)].into_iter(),
            );
        }
    }
    assert!(reduce::sum_squares(isa, &[1.0, f32::NAN, 1.0]).is_nan());
    assert_eq!(reduce::sum_squares(isa, &[1e-30; 50]), 0.0);
}

pub fn sum_rows(isa: Isa) {
    let listed = [(0, 5), (1, 1), (5, 0), (3, 7), (257, 8), (256, 33), (1030, 10), (5000, 1)];
    shapes(listed, (0..600usize, 0..70usize), |(rows, columns)| {
        for numbers in Numbers::ALL {
            let x = numbers.take(1, rows * columns);
            let got = written(columns, |y| reduce::sum_rows(isa, rows, columns, &x, y).unwrap());
            let want = reference::reduce::sum_rows(rows, columns, &x);
            numbers.compare(&format!("{isa} {rows}x{columns}"), &got, want);
        }
    });
}
