use crate::support::{Numbers, shapes, written};
use bantam_kernels::{Isa, global_max_pool2d, reference};

/// Images, pixels, channels.
type Shape = (usize, usize, usize);

const LISTED: [Shape; 7] =
    [(0, 3, 2), (2, 3, 0), (1, 1, 1), (2, 49, 64), (3, 5, 33), (1, 300, 21), (2, 4, 130)];

/// Integers repeat, so that many channels have more than one maximum; the second time some places are NaN or minus
/// infinity.
fn for_each_input(check: impl Fn(Shape, &[f32])) {
    shapes(LISTED, (0..4usize, 1..30usize, 0..70usize), |(n, p, c)| {
        let mut x = Numbers::Integers.take(1, n * p * c);
        check((n, p, c), &x);
        x.iter_mut().step_by(37).for_each(|x| *x = f32::NAN);
        x.iter_mut().skip(3).step_by(10).for_each(|x| *x = f32::NEG_INFINITY);
        check((n, p, c), &x);
    });
}

pub fn forward(isa: Isa) {
    for_each_input(|(n, p, c), x| {
        let got = written(n * c, |y| global_max_pool2d::forward(isa, n, p, c, x, y).unwrap());
        for (i, (&got, want)) in got.iter().zip(reference::global_max_pool2d::forward(n, p, c, x)).enumerate()
        {
            let right = got == want || (got.is_nan() && want.is_nan());
            assert!(right, "{isa} {n}x{p}x{c} [{i}]: {got}, expected {want}");
        }
    });
}

pub fn grad_input(isa: Isa) {
    for_each_input(|(n, p, c), x| {
        let y: Vec<_> = reference::global_max_pool2d::forward(n, p, c, x).collect();
        let d_y = Numbers::Reals.take(2, n * c);
        let got = written(x.len(), |d_x| {
            global_max_pool2d::grad_input(isa, n, p, c, x, &y, &d_y, d_x).unwrap();
        });
        let want = reference::global_max_pool2d::grad_input(n, p, c, x, &d_y);
        Numbers::Reals.compare(&format!("{isa} {n}x{p}x{c}"), &got, want);
    });
}
