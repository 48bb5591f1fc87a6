use crate::support::{Numbers, bits, isas, shapes, written};
use bantam_kernels::conv2d::{Activation, Padding};
use bantam_kernels::depthwise_conv2d::{self, Depthwise, Geometry};
use bantam_kernels::{Isa, reference};
use proptest::prelude::*;

/// Input, kernel, multiplier, stride, padding and dilation.
type Shape = ([usize; 4], [usize; 2], usize, [usize; 2], Padding, [usize; 2]);

/// All sides, all different.
const UNEVEN: Padding = Padding::Explicit { top: 1, bottom: 3, left: 2, right: 0 };
/// Windows that see nothing at all.
const WIDE: Padding = Padding::Explicit { top: 5, bottom: 4, left: 3, right: 6 };

const LISTED: &[Shape] = &[
    ([1, 1, 1, 1], [1, 1], 1, [1, 1], Padding::Valid, [1, 1]),
    ([1, 3, 3, 1], [3, 3], 1, [1, 1], Padding::Valid, [1, 1]),
    // Around a vector's channels, and rows of one tile and more.
    ([2, 7, 5, 3], [3, 3], 1, [1, 1], Padding::Same, [1, 1]),
    ([1, 6, 13, 8], [3, 3], 1, [1, 1], Padding::Same, [1, 1]),
    ([1, 5, 14, 15], [3, 3], 1, [1, 1], Padding::Same, [1, 1]),
    ([1, 4, 21, 16], [3, 3], 1, [2, 2], Padding::Same, [1, 1]),
    ([2, 5, 10, 17], [5, 5], 1, [1, 1], Padding::Same, [1, 1]),
    ([1, 9, 27, 33], [5, 5], 1, [2, 2], Padding::Same, [1, 1]),
    ([1, 3, 75, 20], [3, 3], 1, [1, 1], Padding::Same, [1, 1]),
    ([1, 4, 6, 44], [1, 3], 1, [3, 1], Padding::Valid, [1, 1]),
    ([1, 9, 9, 31], [7, 7], 1, [1, 1], Padding::Same, [1, 1]),
    ([1, 9, 8, 7], [2, 1], 1, [3, 4], Padding::Valid, [1, 1]),
    ([3, 4, 3, 19], [7, 5], 1, [1, 1], Padding::Same, [1, 1]),
    ([1, 5, 6, 4], [3, 2], 1, [2, 1], UNEVEN, [1, 1]),
    ([1, 3, 2, 18], [2, 3], 1, [1, 2], WIDE, [1, 1]),
    ([1, 2, 2, 3], [1, 1], 1, [5, 5], Padding::Valid, [1, 1]),
    // More taps than are listed at a time.
    ([1, 9, 11, 5], [9, 8], 1, [1, 1], Padding::Same, [1, 1]),
    ([1, 6, 7, 5], [3, 3], 2, [1, 1], Padding::Same, [1, 1]),
    ([2, 5, 6, 17], [3, 3], 4, [2, 2], UNEVEN, [1, 1]),
    ([1, 3, 2, 2], [2, 3], 3, [1, 2], WIDE, [1, 1]),
    // Dilated: within vectors, with strides that have a divisor in common or none, and past the edges.
    ([2, 7, 6, 4], [3, 3], 1, [1, 1], Padding::Valid, [2, 2]),
    ([1, 12, 17, 18], [3, 3], 1, [1, 1], Padding::Same, [2, 3]),
    ([1, 13, 12, 20], [5, 3], 1, [2, 2], Padding::Same, [2, 3]),
    ([1, 9, 11, 17], [3, 3], 1, [2, 2], UNEVEN, [4, 2]),
    ([1, 4, 5, 3], [3, 2], 2, [1, 2], WIDE, [3, 5]),
];

fn geometry((input, kernel, multiplier, stride, padding, dilation): Shape) -> Option<Geometry> {
    Geometry::with_dilation(input, kernel, multiplier, stride, padding, dilation).ok()
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let padding = prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0..5usize, 0..5usize, 0..5usize, 0..5usize)
            .prop_map(|(top, bottom, left, right)| { Padding::Explicit { top, bottom, left, right } }),
    ];
    let input = (1..4usize, 1..10usize, 1..24usize, 1..40usize).prop_map(<[usize; 4]>::from);
    let pair = |most: usize| (1..=most, 1..=most).prop_map(<[usize; 2]>::from);
    let multiplier = prop_oneof![3 => Just(1), 1 => 1..4usize];
    let dilation = prop_oneof![2 => Just([1, 1]), 1 => pair(3)];
    (input, pair(5), multiplier, pair(4), padding, dilation)
        .prop_filter("the kernel exceeds the input", |&shape| geometry(shape).is_some())
}

fn for_each_geometry(check: impl Fn(&Geometry)) {
    shapes(LISTED.iter().copied(), any_shape(), |shape| check(&geometry(shape).unwrap()));
}

fn len(shape: [usize; 4]) -> usize {
    shape.iter().product()
}

pub fn forward(isa: Isa) {
    for_each_geometry(|g| {
        for numbers in Numbers::ALL {
            let input = numbers.take(1, len(g.input()));
            let weights = numbers.take(2, len(g.weights()));
            let bias = numbers.take(3, g.output()[3]);
            for bias in [None, Some(&*bias)] {
                let want: Vec<_> = reference::depthwise_conv2d::forward(g, &input, &weights, bias).collect();
                for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
                    let got = written(len(g.output()), |output| {
                        depthwise_conv2d::forward(isa, g, &input, &weights, bias, activation, output)
                            .unwrap();
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
            let got = written(len(g.input()), |d_input| {
                depthwise_conv2d::grad_input(isa, g, &d_output, &weights, d_input).unwrap();
            });
            let want = reference::depthwise_conv2d::grad_input(g, &d_output, &weights);
            numbers.compare(&format!("{isa} {g:?}"), &got, want);
        }
    });
}

pub fn grad_weights(isa: Isa) {
    for_each_geometry(|g| {
        for numbers in Numbers::ALL {
            let input = numbers.take(1, len(g.input()));
            let d_output = numbers.take(2, len(g.output()));
            let [kh, kw, channels, multiplier] = g.weights();
            let part = |part: std::ops::Range<usize>| {
                written(kh * kw * part.len() * multiplier, |d_weights| {
                    depthwise_conv2d::grad_weights(isa, g, &input, &d_output, part, d_weights).unwrap();
                })
            };
            let whole = part(0..channels);
            let want = reference::depthwise_conv2d::grad_weights(g, &input, &d_output);
            numbers.compare(&format!("{isa} {g:?}"), &whole, want);
            // However the channels are parted, the bits are the same.
            for in_part in [channels.div_ceil(2), 5] {
                for start in (0..channels).step_by(in_part) {
                    let end = channels.min(start + in_part);
                    let part = part(start..end);
                    let row = (end - start) * multiplier;
                    for (tap, got) in part.chunks_exact(row).enumerate() {
                        let want = &whole[(tap * channels + start) * multiplier..][..row];
                        assert_eq!(bits(got), bits(want), "{isa} {g:?} {in_part}");
                    }
                }
            }
        }
    });
}

/// A [`Depthwise`] gives what the functions do.
#[test]
fn passes() {
    for isa in isas() {
        let g = geometry(([3, 7, 9, 19], [3, 3], 1, [2, 1], Padding::Same, [1, 1])).unwrap();
        let (passes, g) = (Depthwise::new(isa, &g).first(2), g.first(2));
        assert_eq!(passes.geometry(), &g);
        let numbers = Numbers::Reals;
        let [input, d_output, weights] =
            [g.input(), g.output(), g.weights()].map(|s| numbers.take(1, len(s)));
        let activation = Activation::Relu;
        let got =
            written(len(g.output()), |y| passes.forward(&input, &weights, None, activation, y).unwrap());
        let want = written(len(g.output()), |y| {
            depthwise_conv2d::forward(isa, &g, &input, &weights, None, activation, y).unwrap();
        });
        assert_eq!(bits(&got), bits(&want), "{isa}");
        let got = written(len(g.input()), |d| passes.grad_input(&d_output, &weights, d).unwrap());
        let want = written(len(g.input()), |d| {
            depthwise_conv2d::grad_input(isa, &g, &d_output, &weights, d).unwrap();
        });
        assert_eq!(bits(&got), bits(&want), "{isa}");
        let got = written(3 * 3 * 5, |d| passes.grad_weights(&input, &d_output, 4..9, d).unwrap());
        let want = written(3 * 3 * 5, |d| {
            depthwise_conv2d::grad_weights(isa, &g, &input, &d_output, 4..9, d).unwrap();
        });
        assert_eq!(bits(&got), bits(&want), "{isa}");
    }
}

/// The same bits however the images are parted.
#[test]
fn parts() {
    for isa in isas() {
        let g = geometry(([3, 7, 9, 19], [3, 3], 1, [2, 1], Padding::Same, [1, 1])).unwrap();
        let numbers = Numbers::Reals;
        let (input, weights) = (numbers.take(1, len(g.input())), numbers.take(2, len(g.weights())));
        let run = |images: usize, input: &[f32]| {
            let g = g.first(images);
            written(len(g.output()), |output| {
                depthwise_conv2d::forward(isa, &g, input, &weights, None, Activation::None, output).unwrap();
            })
        };
        let (first, last) = input.split_at(input.len() / 3);
        let whole = run(3, &input);
        assert_eq!(bits(&whole), bits(&[run(1, first), run(2, last)].concat()), "{isa}");

        let [_, _, columns, channels] = g.input();
        let [_, rows, output_columns, output_channels] = g.output();
        for part in [0..rows, 1..3, rows - 1..rows] {
            let (some, seen) = Depthwise::new(isa, &g).rows(part.clone()).unwrap();
            let input = &input[seen.start * columns * channels..seen.end * columns * channels];
            let got = written(len(some.geometry().output()), |output| {
                some.forward(input, &weights, None, Activation::None, output).unwrap();
            });
            let row = output_columns * output_channels;
            assert_eq!(bits(&got), bits(&whole[part.start * row..part.end * row]), "{isa} {part:?}");
        }
        assert!(Depthwise::new(isa, &g).rows(1..rows + 1).is_none());
    }
}

/// What is not a number stays so, with every activation.
#[test]
fn nan() {
    for isa in isas() {
        let g = geometry(([1, 5, 16, 18], [3, 3], 1, [1, 1], Padding::Same, [1, 1])).unwrap();
        let mut input = Numbers::Reals.take(1, len(g.input()));
        input[(2 * 16 + 7) * 18 + 17] = f32::NAN;
        let weights = Numbers::Reals.take(2, len(g.weights()));
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            let got = written(len(g.output()), |output| {
                depthwise_conv2d::forward(isa, &g, &input, &weights, None, activation, output).unwrap();
            });
            for (i, x) in got.iter().enumerate() {
                let [y, x_at, channel] = [i / 18 / 16, i / 18 % 16, i % 18];
                let sees = (1..4).contains(&y) && (6..9).contains(&x_at) && channel == 17;
                assert_eq!(x.is_nan(), sees, "{isa} {activation:?} {y} {x_at} {channel}");
            }
        }
    }
}
