use crate::support::{Numbers, shapes, updated, written};
use bantam_kernels::normalization::{self, Groups};
use bantam_kernels::{Isa, reference};

/// Images, pixels, channels of a group, groups.
type Shape = (usize, usize, usize, usize);

const LISTED: [Shape; 8] = [
    (0, 3, 2, 2),
    (2, 1, 7, 1),
    (3, 1, 1, 5),
    (1, 1, 1030, 1),
    (2, 1, 33, 3),
    (2, 49, 8, 1),
    (1, 130, 3, 11),
    (3, 1, 64, 1),
];
const EPSILON: f32 = 1e-3;

fn for_each_shape(check: impl Fn(Groups, [usize; 3], usize)) {
    shapes(LISTED, (0..3usize, 1..40usize, 1..20usize, 1..6usize), |(images, pixels, width, groups)| {
        let of = Groups::new(images, pixels, width * groups, groups).unwrap();
        check(of, [pixels, width * groups, groups], images * pixels * width * groups);
    });
}

/// Far from zero, so that a variance by the difference of two sums would have no digits.
fn off_centre(len: usize) -> Vec<f32> {
    Numbers::Reals.take(1, len).iter().map(|x| 1000.0 + x).collect()
}

/// With and without parameters.
fn parameters(channels: usize) -> [[Option<Box<[f32]>>; 2]; 3] {
    let [gamma, beta] = [2, 3].map(|seed| Some(Numbers::Reals.take(seed, channels)));
    [[gamma.clone(), beta.clone()], [gamma, None], [None, beta]]
}

pub fn forward(isa: Isa) {
    for_each_shape(|groups, shape, len| {
        let mut scratch = vec![f32::NAN; groups.scratch_len()];
        for x in [Numbers::Reals.take(1, len).to_vec(), off_centre(len)] {
            for parameters in &parameters(shape[1]) {
                let parameters = parameters.each_ref().map(Option::as_deref);
                let got = written(len, |y| {
                    normalization::forward(isa, groups, EPSILON, &x, parameters, y, &mut scratch).unwrap();
                });
                let want = reference::normalization::forward(shape, EPSILON, &x, parameters);
                Numbers::Reals.compare(&format!("{isa} {groups:?}"), &got, want);
            }
        }
    });
    // What overflows shows.
    let groups = Groups::new(1, 1, 2, 1).unwrap();
    let got = written(2, |y| {
        let scratch = &mut [0.0; 8];
        normalization::forward(isa, groups, EPSILON, &[3e38, -3e38], [None; 2], y, scratch).unwrap();
    });
    assert!(got.iter().all(|y| y.is_nan()), "{got:?}");
}

pub fn forward_in_place(isa: Isa) {
    for_each_shape(|groups, shape, len| {
        let mut scratch = vec![f32::NAN; groups.scratch_len()];
        let x = off_centre(len);
        for parameters in &parameters(shape[1]) {
            let parameters = parameters.each_ref().map(Option::as_deref);
            let got = updated(&x, |y| {
                normalization::forward_in_place(isa, groups, EPSILON, parameters, y, &mut scratch).unwrap();
            });
            let want = reference::normalization::forward(shape, EPSILON, &x, parameters);
            Numbers::Reals.compare(&format!("{isa} {groups:?}"), &got, want);
        }
    });
}

pub fn normalize(isa: Isa) {
    for_each_shape(|groups, shape, len| {
        let mut scratch = vec![f32::NAN; groups.scratch_len()];
        let x = off_centre(len);
        let mut y = vec![f32::NAN; len];
        let inverse = written(groups.count(), |inverse| {
            normalization::normalize(isa, groups, EPSILON, &x, &mut y, inverse, &mut scratch).unwrap();
        });
        let what = format!("{isa} {groups:?}");
        Numbers::Reals.compare(&what, &y, reference::normalization::forward(shape, EPSILON, &x, [None; 2]));
        Numbers::Reals.compare(&what, &inverse, reference::normalization::inverse(shape, EPSILON, &x));
    });
}

pub fn grad_input(isa: Isa) {
    for_each_shape(|groups, shape, len| {
        let mut scratch = vec![f32::NAN; groups.scratch_len()];
        let (d, y) = (Numbers::Reals.take(1, len), Numbers::Reals.take(2, len));
        let inverse = vec![1.75; groups.count()];
        for [gamma, _] in &parameters(shape[1]) {
            let gamma = gamma.as_deref();
            let got = updated(&y, |y| {
                normalization::grad_input(isa, groups, &d, gamma, &inverse, y, &mut scratch).unwrap();
            });
            let want = reference::normalization::grad_input(shape, &d, gamma, &inverse, &y);
            Numbers::Reals.compare(&format!("{isa} {groups:?}"), &got, want);
        }
    });
}
