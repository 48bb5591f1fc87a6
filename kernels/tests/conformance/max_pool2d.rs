use crate::support::{Numbers, shapes, written, written_bytes};
use bantam_kernels::conv2d::{Activation, Padding};
use bantam_kernels::max_pool2d::{self, Geometry, Windows};
use bantam_kernels::{Error, Isa, reference};
use proptest::prelude::*;

type Shape = ([usize; 4], Windows);

const fn plain(input: [usize; 4], size: [usize; 2], stride: [usize; 2], padding: Padding) -> Shape {
    (input, Windows { stride, padding, ..Windows::new(size) })
}

const UNEVEN: Padding = Padding::Explicit { top: 1, bottom: 0, left: 0, right: 1 };

const AROUND: Padding = Padding::Explicit { top: 1, bottom: 1, left: 1, right: 1 };

const LISTED: &[Shape] = &[
    plain([1, 1, 1, 1], [1, 1], [1, 1], Padding::Valid),
    plain([2, 6, 6, 32], [2, 2], [2, 2], Padding::Valid),
    plain([1, 11, 11, 64], [2, 2], [2, 2], Padding::Valid),
    plain([1, 4, 6, 7], [2, 2], [2, 2], Padding::Valid),
    plain([1, 5, 7, 9], [2, 2], [2, 2], Padding::Same),
    plain([3, 5, 5, 8], [3, 3], [1, 1], Padding::Same),
    plain([2, 7, 40, 71], [3, 3], [2, 2], Padding::Same),
    plain([1, 5, 39, 121], [3, 3], [1, 1], Padding::Same),
    plain([1, 7, 8, 17], [3, 2], [2, 3], Padding::Same),
    plain([1, 9, 9, 3], [2, 2], [4, 3], Padding::Valid),
    plain([1, 2, 2, 5], [3, 3], [5, 5], Padding::Same),
    plain([1, 6, 4, 16], [3, 2], [2, 2], UNEVEN),
    plain([1, 16, 16, 4], [16, 16], [1, 1], Padding::Valid),
    plain([1, 1, 256, 1], [1, 256], [1, 1], Padding::Same),
    ([1, 9, 8, 17], Windows { dilation: [2, 3], stride: [1, 1], ..Windows::new([3, 2]) }),
    ([2, 6, 7, 33], Windows { dilation: [2, 2], padding: Padding::Same, ..Windows::new([2, 2]) }),
    ([1, 9, 9, 64], Windows { dilation: [2, 2], stride: [2, 2], ..Windows::new([2, 2]) }),
    ([1, 9, 9, 17], Windows { dilation: [1, 2], stride: [2, 2], ..Windows::new([3, 3]) }),
    ([2, 6, 5, 9], Windows { ceil: true, stride: [2, 3], padding: UNEVEN, ..Windows::new([3, 2]) }),
    ([2, 7, 5, 32], Windows { ceil: true, ..Windows::new([2, 2]) }),
    ([1, 6, 6, 5], Windows { ceil: true, padding: AROUND, ..Windows::new([3, 3]) }),
];

fn geometry((input, windows): Shape) -> Option<Geometry> {
    Geometry::of(input, &windows).ok()
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let padding = prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0..3usize, 0..3usize, 0..3usize, 0..3usize)
            .prop_map(|(top, bottom, left, right)| { Padding::Explicit { top, bottom, left, right } }),
    ];
    let input = (1..4usize, 1..10usize, 1..10usize, 1..36usize).prop_map(<[usize; 4]>::from);
    let pair = || (1..5usize, 1..5usize).prop_map(<[usize; 2]>::from);
    let dilation = prop_oneof![2 => Just([1, 1]), 1 => (1..4usize, 1..4usize).prop_map(<[usize; 2]>::from)];
    (input, pair(), pair(), dilation, padding, prop::bool::ANY)
        .prop_map(|(input, size, stride, dilation, padding, ceil)| {
            (input, Windows { size, stride, dilation, padding, ceil, count_padding: false })
        })
        .prop_filter("the window does not fit", |&shape| geometry(shape).is_some())
}

fn for_each_geometry(check: impl Fn(&Geometry)) {
    for_each_windows(|input, windows| check(&Geometry::of(input, windows).unwrap()));
}

pub fn for_each_windows(check: impl Fn([usize; 4], &Windows)) {
    shapes(LISTED.iter().copied(), any_shape(), |(input, windows)| check(input, &windows));
}

/// Integers repeat, so that many windows have more than one maximum; every tenth place is NaN
/// or minus infinity the second time.
fn for_each_input(check: impl Fn(&Geometry, &[f32])) {
    for_each_geometry(|g| {
        let mut input = Numbers::Integers.take(1, g.input().iter().product());
        check(g, &input);
        input.iter_mut().step_by(10).for_each(|x| *x = f32::NAN);
        input.iter_mut().skip(3).step_by(10).for_each(|x| *x = f32::NEG_INFINITY);
        check(g, &input);
    });
}

fn assert_same(got: &[f32], want: impl Iterator<Item = f32>, what: &str) {
    for (i, (&got, want)) in got.iter().zip(want).enumerate() {
        assert!(got == want || (got.is_nan() && want.is_nan()), "{what} [{i}]: {got}, expected {want}");
    }
}

pub fn forward(isa: Isa) {
    for_each_input(|g, input| {
        let got = written(g.output().iter().product(), |output| {
            max_pool2d::forward(isa, g, Activation::None, input, output).unwrap();
        });
        let want = || reference::max_pool2d::forward_argmax(g, input).map(|(value, _)| value);
        assert_same(&got, want(), &format!("{isa} {g:?}"));
        let got = written(g.output().iter().product(), |output| {
            max_pool2d::forward(isa, g, Activation::Relu, input, output).unwrap();
        });
        let relu = |x: f32| if x < 0.0 { 0.0 } else { x };
        assert_same(&got, want().map(relu), &format!("{isa} {g:?}, ReLU"));
    });
}

pub fn argmax_len(_: Isa) {
    let len = |window| {
        let g = Geometry::new([1, 300, 300, 2], window, [1, 1], Padding::Valid).unwrap();
        max_pool2d::argmax_len(&g)
    };
    let cells = |got| Err(Error::OutOfRange { what: "window cells", max: 256, got });
    assert_eq!(len([16, 16]), Ok(285 * 285 * 2));
    assert_eq!(len([1, 257]), cells(257));
    assert_eq!(len([257, 257]), cells(257 * 257));
}

fn forward_with_argmax(isa: Isa, g: &Geometry, input: &[f32]) -> (Vec<f32>, Vec<u8>) {
    let len = g.output().iter().product();
    let mut output = Vec::new();
    let argmax = written_bytes(len, |argmax| {
        output = written(len, |output| {
            max_pool2d::forward_argmax(isa, g, Activation::None, input, output, argmax).unwrap();
        });
    });
    (output, argmax)
}

pub fn forward_argmax(isa: Isa) {
    for_each_input(|g, input| {
        let (output, argmax) = forward_with_argmax(isa, g, input);
        let want: (Vec<f32>, Vec<u8>) = reference::max_pool2d::forward_argmax(g, input).unzip();
        assert_same(&output, want.0.into_iter(), &format!("{isa} {g:?}"));
        assert_eq!(argmax, want.1, "{isa} {g:?}");
        let mut kept = vec![0; argmax.len()];
        let got = written(argmax.len(), |output| {
            max_pool2d::forward_argmax(isa, g, Activation::Relu, input, output, &mut kept).unwrap();
        });
        let relu = |&x: &f32| if x < 0.0 { 0.0 } else { x };
        assert_same(&got, output.iter().map(relu), &format!("{isa} {g:?}, ReLU"));
        assert_eq!(kept, argmax, "{isa} {g:?}");
    });
}

pub fn grad_input(isa: Isa) {
    for_each_input(|g, input| {
        let (_, argmax) = forward_with_argmax(isa, g, input);
        for numbers in Numbers::ALL {
            let d_output = numbers.take(2, argmax.len());
            let got = written(input.len(), |d_input| {
                max_pool2d::grad_input(isa, g, &d_output, &argmax, d_input).unwrap();
            });
            let want = reference::max_pool2d::grad_input(g, &d_output, &argmax);
            numbers.compare(&format!("{isa} {g:?}"), &got, want);
        }
    });
}

/// Argmax bytes are input too: any of them is safe, and those outside the window add nothing.
#[test]
fn gradient_ignores_foreign_indices() {
    for isa in crate::support::isas() {
        let g = Geometry::new([1, 3, 3, 9], [2, 2], [1, 1], Padding::Same).unwrap();
        let argmax: Vec<u8> = (0..81).map(|i| if i % 2 == 0 { 200 } else { 4 }).collect();
        let got = written(81, |d_input| {
            max_pool2d::grad_input(isa, &g, &[1.0; 81], &argmax, d_input).unwrap();
        });
        assert_eq!(got, [0.0; 81], "{isa}");
    }
}
