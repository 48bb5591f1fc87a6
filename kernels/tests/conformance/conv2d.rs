use crate::support::{Numbers, bits, isas, shapes, written};
use bantam_kernels::conv2d::{self, Activation, Algorithm, Convolution, Geometry, Padding};
use bantam_kernels::{Isa, max_pool2d, reference};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
struct Shape {
    input: [usize; 4],
    kernel: [usize; 2],
    features: usize,
    stride: [usize; 2],
    padding: Padding,
    dilation: [usize; 2],
    groups: usize,
}

impl Shape {
    fn geometry(self) -> Option<Geometry> {
        let Shape { input, kernel, features, stride, padding, dilation, groups } = self;
        Geometry::with_groups(input, kernel, features, stride, padding, dilation, groups).ok()
    }

    const fn dilated(self, dilation: [usize; 2]) -> Shape {
        Shape { dilation, ..self }
    }

    const fn grouped(self, groups: usize) -> Shape {
        Shape { groups, ..self }
    }
}

const fn shape(
    input: [usize; 4],
    kernel: [usize; 2],
    features: usize,
    stride: [usize; 2],
    padding: Padding,
) -> Shape {
    Shape { input, kernel, features, stride, padding, dilation: [1, 1], groups: 1 }
}

/// All sides, all different.
const UNEVEN: Padding = Padding::Explicit { top: 1, bottom: 3, left: 2, right: 0 };
/// Windows that see nothing at all.
const WIDE: Padding = Padding::Explicit { top: 5, bottom: 4, left: 3, right: 6 };

const LISTED: &[Shape] = &[
    shape([1, 1, 1, 1], [1, 1], 1, [1, 1], Padding::Valid),
    shape([1, 3, 3, 1], [3, 3], 1, [1, 1], Padding::Valid),
    shape([2, 7, 5, 3], [3, 3], 7, [1, 1], Padding::Same),
    shape([1, 6, 6, 8], [3, 3], 16, [1, 1], Padding::Same),
    shape([1, 5, 5, 7], [3, 3], 15, [1, 1], Padding::Valid),
    shape([1, 5, 5, 9], [3, 3], 17, [1, 1], Padding::Valid),
    shape([3, 4, 6, 2], [2, 2], 24, [2, 2], Padding::Same),
    shape([1, 9, 9, 3], [5, 3], 5, [2, 3], Padding::Same),
    shape([1, 9, 8, 2], [2, 1], 3, [3, 4], Padding::Valid),
    shape([2, 4, 3, 2], [7, 5], 3, [1, 1], Padding::Same),
    shape([1, 5, 6, 4], [3, 2], 33, [2, 1], UNEVEN),
    shape([1, 3, 2, 5], [2, 3], 9, [1, 2], WIDE),
    shape([1, 2, 2, 3], [1, 1], 4, [5, 5], Padding::Valid),
    shape([1, 28, 28, 1], [3, 3], 32, [1, 1], Padding::Valid),
    shape([1, 5, 5, 64], [3, 3], 64, [1, 1], Padding::Valid),
    shape([2, 8, 12, 1], [5, 5], 49, [1, 1], Padding::Same),
    shape([1, 9, 8, 3], [4, 3], 26, [2, 1], UNEVEN),
    shape([2, 2, 2, 1], [5, 5], 8, [1, 1], Padding::Same),
    shape([2, 3, 4, 2], [3, 2], 41, [1, 1], WIDE),
    // Dense layers.
    shape([64, 1, 1, 37], [1, 1], 10, [1, 1], Padding::Valid),
    shape([1, 1, 1, 131], [1, 1], 67, [1, 1], Padding::Valid),
    // Summed tap by tap, forward and backward.
    shape([2, 3, 4, 257], [3, 3], 33, [1, 1], Padding::Same),
    shape([2, 2, 3, 65], [3, 3], 258, [1, 1], Padding::Same),
    shape([1, 4, 5, 256], [2, 3], 9, [2, 1], UNEVEN),
    shape([2, 9, 8, 3], [3, 3], 17, [1, 1], Padding::Same).dilated([2, 3]),
    shape([1, 11, 7, 5], [2, 3], 4, [1, 1], UNEVEN).dilated([4, 1]),
    shape([1, 5, 5, 2], [3, 3], 3, [1, 1], Padding::Same).dilated([6, 7]),
    shape([2, 6, 7, 8], [3, 3], 12, [2, 1], Padding::Same).grouped(4),
    shape([1, 5, 5, 34], [3, 3], 34, [1, 1], Padding::Same).grouped(2),
    shape([1, 7, 6, 6], [3, 2], 9, [1, 1], WIDE).grouped(3).dilated([2, 2]),
    // Strides and dilations with a common divisor and without; pixels that no tap sees.
    shape([2, 13, 12, 3], [3, 4], 5, [2, 3], Padding::Same).dilated([2, 2]),
    shape([1, 12, 14, 9], [3, 3], 17, [2, 2], UNEVEN).dilated([3, 4]),
    shape([1, 14, 13, 4], [4, 3], 6, [3, 3], WIDE).dilated([4, 3]).grouped(2),
    shape([1, 15, 17, 2], [2, 3], 35, [3, 2], Padding::Valid).dilated([2, 3]),
    shape([2, 11, 9, 6], [5, 2], 9, [6, 4], Padding::Same).dilated([4, 6]).grouped(3),
    shape([1, 3, 2, 3], [3, 3], 4, [4, 6], WIDE).dilated([2, 3]),
    // Weights past the size that a gradient keeps in cache.
    shape([1, 4, 4, 65], [3, 3], 129, [1, 1], Padding::Same),
];

fn any_padding() -> impl Strategy<Value = Padding> {
    prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0..5usize, 0..5usize, 0..5usize, 0..5usize)
            .prop_map(|(top, bottom, left, right)| { Padding::Explicit { top, bottom, left, right } }),
    ]
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let input = (1..4usize, 1..10usize, 1..10usize, 1..20usize).prop_map(<[usize; 4]>::from);
    let pair = |most: usize| (1..=most, 1..=most).prop_map(<[usize; 2]>::from);
    let any = (input, pair(5), 1..36usize, pair(4), any_padding(), pair(4), 1..4usize, 0..4usize);
    any.prop_map(|(mut input, kernel, features, stride, padding, dilation, groups, kind)| {
        let any = shape(input, kernel, features, stride, padding);
        input[3] = input[3].div_ceil(groups) * groups;
        let grouped = Shape { input, features: features.div_ceil(groups) * groups, groups, ..any };
        match kind {
            0 => Shape { dilation, ..any },
            1 => grouped,
            2 => Shape { dilation, ..grouped },
            _ => any,
        }
    })
    .prop_filter("the kernel exceeds the input", |shape| shape.geometry().is_some())
}

fn for_each_shape(check: impl Fn(Shape, &Geometry)) {
    shapes(LISTED.iter().copied(), any_shape(), |shape| check(shape, &shape.geometry().unwrap()));
}

fn for_each_geometry(check: impl Fn(&Geometry)) {
    for_each_shape(|_, geometry| check(geometry));
}

fn len(shape: [usize; 4]) -> usize {
    shape.iter().product()
}

fn packed(isa: Isa, g: &Geometry, weights: &[f32]) -> Vec<f32> {
    written(conv2d::packed_len(isa, g), |packed| conv2d::pack(isa, g, weights, packed).unwrap())
}

fn packed_for_grad(isa: Isa, g: &Geometry, weights: &[f32]) -> Vec<f32> {
    let len = conv2d::packed_transposed_len(isa, g);
    written(len, |packed| conv2d::pack_transposed(isa, g, weights, packed).unwrap())
}

pub fn forward(isa: Isa) {
    for_each_geometry(|g| {
        for numbers in Numbers::ALL {
            let input = numbers.take(1, len(g.input()));
            let weights = numbers.take(2, len(g.weights()));
            let bias = numbers.take(3, g.output()[3]);
            let packed = packed(isa, g, &weights);
            for bias in [None, Some(&*bias)] {
                let want: Vec<_> = reference::conv2d::forward(g, &input, &weights, bias).collect();
                for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
                    let got = written(len(g.output()), |output| {
                        conv2d::forward(isa, g, &input, &packed, bias, activation, output).unwrap();
                    });
                    let want = want.iter().map(|want| want.activated(activation));
                    numbers.compare(&format!("{isa} {g:?}"), &got, want);
                }
            }
        }
    });
}

pub fn grad_input(isa: Isa) {
    for_each_geometry(|g| {
        for numbers in Numbers::ALL {
            let d_output = numbers.take(1, len(g.output()));
            let weights = numbers.take(2, len(g.weights()));
            let packed = packed_for_grad(isa, g, &weights);
            let got = written(len(g.input()), |d_input| {
                conv2d::grad_input(isa, g, &d_output, &packed, d_input).unwrap();
            });
            let want = reference::conv2d::grad_input(g, &d_output, &weights);
            numbers.compare(&format!("{isa} {g:?}"), &got, want);
        }
    });
}

pub fn grad_weights(isa: Isa) {
    for_each_geometry(|g| {
        for numbers in Numbers::ALL {
            let input = numbers.take(1, len(g.input()));
            let d_output = numbers.take(2, len(g.output()));
            let [kh, kw, cin, cout] = g.weights();
            let rows = kh * kw * cin;
            let part = |rows: std::ops::Range<usize>| {
                written(rows.len() * cout, |d_weights| {
                    conv2d::grad_weights(isa, g, &input, &d_output, rows, d_weights).unwrap();
                })
            };
            let whole = part(0..rows);
            let want = reference::conv2d::grad_weights(g, &input, &d_output);
            numbers.compare(&format!("{isa} {g:?}"), &whole, want);
            // However the rows are parted, the bits are the same.
            for rows_in_part in [rows.div_ceil(2), 5] {
                let starts = (0..rows).step_by(rows_in_part);
                let parts = starts.flat_map(|start| part(start..rows.min(start + rows_in_part)));
                assert_eq!(bits(&whole), bits(&parts.collect::<Vec<_>>()), "{isa} {g:?} {rows_in_part}");
            }
        }
    });
}

/// The weights 1, 2, 3, …
fn numbered(g: &Geometry) -> Vec<f32> {
    (1..=len(g.weights())).map(|i| i as f32).collect()
}

/// What was packed but zeros for filling up and places that no window reads.
fn weights_in(packed: Vec<f32>) -> Vec<f32> {
    let mut weights: Vec<_> =
        packed.into_iter().filter(|&weight| weight != 0.0 && !weight.is_nan()).collect();
    weights.sort_by(f32::total_cmp);
    weights
}

/// Every weight is there once.
pub fn pack(isa: Isa) {
    for_each_geometry(|g| {
        let weights = numbered(g);
        assert_eq!(weights_in(packed(isa, g, &weights)), weights, "{isa} {g:?}");
    });
}

/// No weight is there twice, and all of them unless a stride is larger than the input.
pub fn pack_transposed(isa: Isa) {
    for_each_shape(|shape, g| {
        let weights = numbered(g);
        let packed = weights_in(packed_for_grad(isa, g, &weights));
        assert!(packed.is_sorted_by(|a, b| a < b), "{isa} {g:?}");
        let [_, height, width, _] = shape.input;
        if shape.stride[0] <= height && shape.stride[1] <= width {
            assert_eq!(packed, weights, "{isa} {g:?}");
        }
    });
}

/// Packing changes nothing there.
pub fn takes_plain_weights(isa: Isa) {
    assert_eq!(conv2d::takes_plain_weights(isa), isa == Isa::SCALAR, "{isa}");
    if isa == Isa::SCALAR {
        for_each_geometry(|g| assert_eq!(packed(isa, g, &numbered(g)), numbered(g), "{g:?}"));
    }
}

/// Output channels fill whole vectors, and no more than that.
pub fn packed_len(isa: Isa) {
    let len = |features| {
        conv2d::packed_len(
            isa,
            &Geometry::new([1, 4, 5, 3], [2, 3], features, [1, 1], Padding::Same).unwrap(),
        )
    };
    let lanes = len(1) / (2 * 3 * 3);
    assert!([1, 4, 8, 16].contains(&lanes), "{isa}: {lanes} lanes");
    for features in 1..50 {
        assert_eq!(len(features), 2 * 3 * 3 * features.next_multiple_of(lanes), "{isa} {features}");
    }
}

/// Input channels fill whole vectors, and no more than that.
pub fn packed_transposed_len(isa: Isa) {
    let len = |channels| {
        let g = Geometry::new([1, 4, 5, channels], [2, 3], 3, [1, 1], Padding::Same).unwrap();
        conv2d::packed_transposed_len(isa, &g)
    };
    let lanes = len(1) / (2 * 3 * 3);
    for channels in 1..50 {
        assert_eq!(len(channels), 2 * 3 * 3 * channels.next_multiple_of(lanes), "{isa} {channels}");
    }
}

/// Pooled in registers or behind each other: the same numbers, and the same NaNs.
#[test]
fn pooled() {
    for_each_geometry(|g| {
        let [_, height, width, _] = g.output();
        let mut input = Numbers::Reals.take(1, len(g.input()));
        let (weights, bias) =
            (Numbers::Reals.take(2, len(g.weights())), Numbers::Reals.take(3, g.output()[3]));
        for isa in isas() {
            let direct = Convolution::with_algorithm(isa, g, Algorithm::Direct).unwrap();
            let Some(pooled) = direct.pooled() else { continue };
            assert_eq!([height % 2, width % 2, pooled.scratch_len()], [0; 3]);
            let packed = written(direct.packed_len(), |packed| direct.pack(&weights, packed).unwrap());
            assert_eq!(pooled.packed_len(), packed.len());
            let pool = max_pool2d::Geometry::new(g.output(), [2, 2], [2, 2], Padding::Valid).unwrap();
            for sample in [0.5, f32::NAN] {
                input[0] = sample;
                for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
                    let run = |convolution: Convolution, len, bias, activation| {
                        written(len, |output| {
                            convolution.forward(&input, &packed, bias, activation, output, &mut []).unwrap();
                        })
                    };
                    for bias in [Some(&bias[..]), None] {
                        let map = run(direct, len(g.output()), bias, Activation::None);
                        let got = run(pooled, len(pool.output()), bias, activation);
                        let want = written(len(pool.output()), |output| {
                            max_pool2d::forward(isa, &pool, activation, &map, output).unwrap();
                        });
                        let same = |(got, want): (&f32, &f32)| got == want || got.is_nan() && want.is_nan();
                        assert!(got.iter().zip(&want).all(same), "{isa} {g:?} {activation:?}");
                    }
                }
            }
        }
    });
}

/// Parts of the map have the bits of the whole.
#[test]
fn rows() {
    for isa in isas() {
        for_each_geometry(|g| {
            let (input, weights) =
                (Numbers::Reals.take(1, len(g.input())), Numbers::Reals.take(2, len(g.weights())));
            let packed = packed(isa, g, &weights);
            let run = |g: &Geometry, input: &[f32]| {
                written(len(g.output()), |output| {
                    conv2d::forward(isa, g, input, &packed, None, Activation::Relu, output).unwrap();
                })
            };
            let whole = run(g, &input);
            let [_, height, width, channels] = g.input();
            let [batch, rows, ..] = g.output();
            let Some(parts) = [0..rows / 2, rows / 2..rows]
                .into_iter()
                .filter(|rows| !rows.is_empty())
                .map(|rows| g.rows(rows))
                .collect::<Option<Vec<_>>>()
            else {
                return;
            };
            let mut joined = Vec::new();
            for image in 0..batch {
                for (part, seen) in &parts {
                    let row = width * channels;
                    let first = image * height * row;
                    joined.extend(run(part, &input[first + seen.start * row..first + seen.end * row]));
                }
            }
            assert_eq!(bits(&whole), bits(&joined), "{isa} {g:?}");
        });
        let g = Geometry::new([1, 3, 3, 1], [2, 2], 1, [1, 1], WIDE).unwrap();
        // Rows 4 to 7 see the input.
        assert!(g.rows(0..11).is_some() && g.rows(0..5).is_some() && g.rows(7..11).is_some());
        assert!(g.rows(0..4).is_none() && g.rows(8..11).is_none());
        assert!(g.rows(5..5).is_none() && g.rows(7..12).is_none());
    }
}
