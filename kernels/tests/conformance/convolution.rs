//! The handles of a convolution's passes: they run what they chose, and parts of it have the whole's bits.

use crate::support::{Numbers, bits, isas, shapes, updated, written};
use bantam_kernels::conv2d::winograd::{Along, Lines, RowPairs, RowTiles, Tile, Winograd};
use bantam_kernels::conv2d::{
    self, Activation, Algorithm, Convolution, Geometry, InputGradient, Padding, Parts, PlainDense,
    WeightGradient,
};
use bantam_kernels::{Columns, Error, Isa, elementwise};
use proptest::prelude::*;

fn geometries() -> Vec<Geometry> {
    let new = |input, kernel, features, stride, padding| {
        Geometry::new(input, kernel, features, stride, padding).unwrap()
    };
    vec![
        new([3, 14, 13, 16], [3, 3], 24, [1, 1], Padding::Same),
        new([2, 16, 18, 3], [3, 3], 32, [1, 1], Padding::Valid),
        new([1, 21, 22, 3], [7, 7], 16, [2, 2], Padding::Same),
        new([2, 9, 9, 8], [1, 1], 8, [1, 1], Padding::Valid),
        new([1, 17, 11, 24], [1, 7], 40, [1, 1], Padding::Same),
        new([1, 17, 11, 24], [7, 1], 40, [1, 1], Padding::Same),
        Geometry::dense(5, 40, 12).unwrap(),
        Geometry::with_groups([1, 9, 8, 6], [3, 3], 4, [1, 1], Padding::Same, [2, 1], 2).unwrap(),
    ]
}

fn len(shape: [usize; 4]) -> usize {
    shape.iter().product()
}

fn forward(convolution: &Convolution, input: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    let packed = written(convolution.packed_len(), |packed| convolution.pack(weights, packed).unwrap());
    let packed = if packed.is_empty() { weights } else { &packed };
    let mut scratch = vec![f32::NAN; convolution.scratch_len()];
    written(len(convolution.geometry().output()), |output| {
        convolution.forward(input, packed, Some(bias), Activation::Relu, output, &mut scratch).unwrap();
    })
}

/// What the algorithm's own kernel gives, if it has a form for the shape.
fn directly(isa: Isa, g: &Geometry, algorithm: Algorithm, x: [&[f32]; 3]) -> Result<Vec<f32>, Error> {
    let ([input, weights, bias], relu) = (x, Activation::Relu);
    let mut output = vec![f32::NAN; len(g.output())];
    match algorithm {
        Algorithm::Direct => {
            let mut packed = vec![f32::NAN; conv2d::packed_len(isa, g)];
            conv2d::pack(isa, g, weights, &mut packed)?;
            conv2d::forward(isa, g, input, &packed, Some(bias), relu, &mut output)?;
        }
        Algorithm::Winograd(tile) => {
            let winograd = Winograd::new(isa, g, tile)?;
            let mut packed = vec![f32::NAN; winograd.packed_len()];
            winograd.pack(weights, &mut packed)?;
            let mut scratch = vec![f32::NAN; winograd.forward_scratch_len()];
            winograd.forward(input, &packed, Some(bias), relu, &mut output, &mut scratch)?;
        }
        Algorithm::RowPairs => {
            let pairs = RowPairs::new(isa, g)?;
            let mut scratch = vec![f32::NAN; pairs.scratch_len()];
            pairs.forward(input, weights, Some(bias), relu, &mut output, &mut scratch)?;
        }
        Algorithm::Lines(along) => {
            let lines = Lines::new(isa, g, along)?;
            let mut packed = vec![f32::NAN; lines.packed_len()];
            lines.pack(weights, &mut packed)?;
            let mut scratch = vec![f32::NAN; lines.scratch_len()];
            lines.forward(input, &packed, Some(bias), relu, &mut output, &mut scratch)?;
        }
        Algorithm::RowTiles => {
            let tiles = RowTiles::new(isa, g)?;
            let mut packed = vec![f32::NAN; tiles.packed_len()];
            tiles.pack(weights, &mut packed)?;
            let mut scratch = vec![f32::NAN; tiles.scratch_len()];
            tiles.forward(input, &packed, Some(bias), relu, &mut output, &mut scratch)?;
        }
    }
    Ok(output)
}

const ALGORITHMS: [Algorithm; 10] = [
    Algorithm::Direct,
    Algorithm::RowPairs,
    Algorithm::RowTiles,
    Algorithm::Lines(Along::Rows),
    Algorithm::Lines(Along::Columns),
    Algorithm::Winograd(Tile::F2),
    Algorithm::Winograd(Tile::F3),
    Algorithm::Winograd(Tile::F4),
    Algorithm::Winograd(Tile::F5),
    Algorithm::Winograd(Tile::F6),
];

/// Its bits are those of packed weights, as a whole and in parts.
#[test]
fn a_large_dense_layer_of_one_sample_reads_weights_where_they_lie() {
    for (isa, [channels, features]) in
        isas().into_iter().flat_map(|isa| [[4099, 257], [1024, 1024]].map(|g| (isa, g)))
    {
        let g = Geometry::dense(1, channels, features).unwrap();
        let input = Numbers::Reals.take(1, channels);
        let (weights, bias) = (Numbers::Reals.take(2, channels * features), Numbers::Reals.take(3, features));
        let (dense, activation) = (Convolution::new(isa, &g), Activation::Relu);
        assert_eq!((dense.packed_len(), dense.scratch_len()), (0, 0), "{isa}");
        let want = directly(isa, &g, Algorithm::Direct, [&input, &weights, &bias]).unwrap();
        let got = forward(&dense, &input, &weights, &bias);
        assert!(bits(&got) == bits(&want), "{isa} {channels} {features}");
        for parts in [1, 2, 3, 7] {
            let got = by_features(&dense, parts, features, &input, &weights, &bias);
            assert_eq!(got.is_some(), isa != Isa::SCALAR);
            assert!(got.is_none_or(|got| bits(&got) == bits(&want)), "{isa} {parts} parts");
        }
        let Some(all) = dense.features(0, 1) else { continue };
        let arrays = [&*input, &*weights, &*bias];
        for (i, what) in ["input", "weights", "bias"].into_iter().enumerate() {
            let (mut short, expected) = (arrays, arrays[i].len());
            short[i] = &short[i][1..];
            let [input, weights, bias] = short;
            let output = &mut *vec![0.0; features];
            let columns = Columns::new(output, 1, features).unwrap();
            let error = Error::Length { what, expected, got: expected - 1 };
            assert_eq!(all.forward(input, weights, Some(bias), activation, columns, &mut []), Err(error));
        }
    }
}

/// All features in so many parts, between pixels of that pitch; `None` where there is no such code.
fn by_features(
    convolution: &Convolution,
    parts: usize,
    pitch: usize,
    input: &[f32],
    packed: &[f32],
    bias: &[f32],
) -> Option<Vec<f32>> {
    let [batch, height, width, features] = convolution.geometry().output();
    let pixels = batch * height * width;
    let mut output = vec![f32::NAN; (pixels - 1) * pitch + features];
    let mut columns = Columns::of_wider(&mut output, pixels, pitch, features).unwrap();
    let mut next = 0;
    for part in 0..parts {
        let some = convolution.features(part, parts)?;
        assert_eq!(some.range().start, next);
        next = some.range().end;
        let (these, others) = columns.split_at(some.range().len());
        let mut scratch = vec![f32::NAN; some.scratch_len()];
        some.forward(input, packed, Some(bias), Activation::Relu, these, &mut scratch).unwrap();
        columns = others;
    }
    assert_eq!(next, features);
    assert!(convolution.features(parts, parts).is_none());
    Some(output)
}

/// By features the bits are the whole's, and nothing is written between the pixels.
#[test]
fn parts_of_the_features_have_the_bits_of_the_whole() {
    let shapes = [
        ([1, 7, 7, 40], [1, 1], 200, [1, 1]),
        ([2, 5, 6, 19], [3, 3], 145, [1, 1]),
        ([1, 9, 8, 16], [3, 3], 64, [2, 2]),
        ([3, 1, 1, 70], [1, 1], 129, [1, 1]),
    ];
    let mut seen = 0;
    for (isa, (input, window, features, stride)) in
        isas().into_iter().flat_map(|isa| shapes.map(|s| (isa, s)))
    {
        let g = Geometry::new(input, window, features, stride, Padding::Same).unwrap();
        let [x, weights] =
            [g.input(), g.weights()].map(|shape| Numbers::Reals.take(5, shape.iter().product()));
        let bias = Numbers::Reals.take(6, features);
        for algorithm in ALGORITHMS {
            let Ok(mut convolution) = Convolution::with_algorithm(isa, &g, algorithm) else { continue };
            let mut packed = vec![f32::NAN; convolution.packed_len()];
            convolution.pack(&weights, &mut packed).unwrap();
            let packed = if packed.is_empty() { &*weights } else { &*packed };
            for pitch in [features, features + 3] {
                if !convolution.slice([input[3], pitch]) {
                    continue;
                }
                let [batch, height, width, _] = g.output();
                let mut want = vec![f32::NAN; (batch * height * width - 1) * pitch + features];
                let mut scratch = vec![f32::NAN; convolution.scratch_len()];
                convolution
                    .forward(&x, packed, Some(&bias), Activation::Relu, &mut want, &mut scratch)
                    .unwrap();
                for parts in [1, 2, 3] {
                    let Some(got) = by_features(&convolution, parts, pitch, &x, packed, &bias) else {
                        continue;
                    };
                    assert!(
                        bits(&got) == bits(&want),
                        "{isa} {algorithm:?} {input:?} {features} in {parts} parts"
                    );
                    seen += 1;
                }
            }
        }
        let Ok(convolution) = Convolution::with_algorithm(isa, &g, Algorithm::Direct) else { continue };
        let many = features.div_ceil(4) + 1;
        assert!(convolution.features(0, many).is_none() && convolution.features(0, 0).is_none());
    }
    assert!(seen > 0 || isas() == [Isa::SCALAR]);
}

#[test]
fn a_small_dense_layer_and_one_of_several_samples_are_packed() {
    for isa in isas().into_iter().filter(|&isa| isa != Isa::SCALAR) {
        for g in [Geometry::dense(1, 576, 64), Geometry::dense(2, 1024, 1024)] {
            let dense = Convolution::new(isa, &g.unwrap());
            assert!(dense.packed_len() > 0, "{isa}");
        }
    }
}

/// Samples, inputs and outputs of dense layers, on both sides of what is computed together.
const DENSE: [[usize; 3]; 9] = [
    [1, 1, 1],
    [2, 3, 16],
    [5, 97, 7],
    [3, 4100, 32],
    [20, 200, 512],
    [7, 40, 2064],
    [64, 96, 64],
    [65, 193, 10],
    [130, 33, 48],
];

/// Its bits are those of packed weights.
#[test]
fn a_dense_layer_learns_on_weights_where_they_lie() {
    for (isa, [samples, inputs, outputs]) in isas().into_iter().flat_map(|isa| DENSE.map(|g| (isa, g))) {
        let g = Geometry::dense(samples, inputs, outputs).unwrap();
        let (input, weights) =
            (Numbers::Reals.take(1, len(g.input())), Numbers::Reals.take(2, inputs * outputs));
        let (bias, d_output) = (Numbers::Reals.take(3, outputs), Numbers::Reals.take(4, len(g.output())));
        if let Some(dense) = PlainDense::new(isa, &g) {
            let want = directly(isa, &g, Algorithm::Direct, [&input, &weights, &bias]).unwrap();
            for samples in [samples, 1] {
                let dense = dense.first(samples);
                let mut scratch = vec![f32::NAN; dense.scratch_len()];
                let got = written(samples * outputs, |output| {
                    let (input, bias) = (&input[..samples * inputs], Some(&*bias));
                    dense.forward(input, &weights, bias, Activation::Relu, output, &mut scratch).unwrap();
                });
                assert!(bits(&got) == bits(&want[..got.len()]), "{isa} {g:?}");
            }
        } else {
            assert_eq!(Convolution::new(isa, &g).packed_len(), 0, "{isa} {g:?}");
        }

        let packed = written(conv2d::packed_transposed_len(isa, &g), |packed| {
            conv2d::pack_transposed(isa, &g, &weights, packed).unwrap();
        });
        let want = written(input.len(), |d_input| {
            conv2d::grad_input(isa, &g, &d_output, &packed, d_input).unwrap();
        });
        let gradient = InputGradient::new(isa, &g);
        assert_eq!(gradient.packed_len(), 0);
        let got = written(input.len(), |d_input| {
            let mut scratch = vec![f32::NAN; gradient.scratch_len()];
            gradient.run(&d_output, &weights, d_input, &mut scratch).unwrap();
        });
        assert!(bits(&got) == bits(&want), "{isa} {g:?}");
    }
}

#[test]
fn a_convolution_runs_what_it_chose() {
    for (isa, g) in isas().into_iter().flat_map(|isa| geometries().into_iter().map(move |g| (isa, g))) {
        let input = Numbers::Reals.take(1, len(g.input()));
        let (weights, bias) =
            (Numbers::Reals.take(2, len(g.weights())), Numbers::Reals.take(3, g.output()[3]));
        let x = [&*input, &*weights, &*bias];
        let chosen = Convolution::new(isa, &g);
        assert_eq!(chosen.algorithm(), Algorithm::choose(isa, &g));
        let mut seen = 0;
        for algorithm in ALGORITHMS {
            let Ok(convolution) = Convolution::with_algorithm(isa, &g, algorithm) else {
                assert!(directly(isa, &g, algorithm, x).is_err(), "{isa} {algorithm:?}");
                continue;
            };
            let got = forward(&convolution, &input, &weights, &bias);
            let want = directly(isa, &g, algorithm, x).unwrap();
            assert!(bits(&got) == bits(&want), "{isa} {g:?} {algorithm:?}");
            seen += usize::from(convolution == chosen);

            let [_, height, width, _] = g.output();
            let first = forward(&convolution.first(1), &input[..len(g.first(1).input())], &weights, &bias);
            assert!(bits(&first) == bits(&want[..first.len()]), "{isa} {g:?} {algorithm:?}");
            let together = algorithm.rows();
            let Some((part, rows)) = convolution.rows(together..height) else { continue };
            let [_, _, columns, channels] = g.input();
            let seen_rows = &input[rows.start * columns * channels..rows.end * columns * channels];
            let lower = forward(&part, seen_rows, &weights, &bias);
            let start = together * width * g.output()[3];
            assert!(bits(&lower) == bits(&want[start..][..lower.len()]), "{isa} {g:?} {algorithm:?}");
        }
        assert_eq!(seen, 1, "{isa} {g:?}");
    }
}

#[test]
fn gradients_run_what_they_chose_and_parts_have_the_bits_of_the_whole() {
    for (isa, g) in isas().into_iter().flat_map(|isa| geometries().into_iter().map(move |g| (isa, g))) {
        let input = Numbers::Reals.take(1, len(g.input()));
        let weights = Numbers::Reals.take(2, len(g.weights()));
        let d_output = Numbers::Reals.take(3, len(g.output()));
        for algorithm in ALGORITHMS {
            let Ok(gradient) = InputGradient::with_algorithm(isa, &g, algorithm) else { continue };
            let packed = written(gradient.packed_len(), |packed| gradient.pack(&weights, packed).unwrap());
            let packed = if packed.is_empty() { &weights[..] } else { &packed[..] };
            let run = |gradient: InputGradient, images: usize| {
                let mut scratch = vec![f32::NAN; gradient.scratch_len()];
                let d_output = &d_output[..len(g.first(images).output())];
                written(len(g.first(images).input()), |d_input| {
                    gradient.run(d_output, packed, d_input, &mut scratch).unwrap();
                })
            };
            let whole = run(gradient, g.input()[0]);
            let first = run(gradient.first(1), 1);
            assert!(bits(&first) == bits(&whole[..first.len()]), "{isa} {g:?} {algorithm:?}");
            if algorithm == Algorithm::choose_grad_input(isa, &g) {
                assert_eq!(gradient, InputGradient::new(isa, &g));
            }

            let gradient = WeightGradient::with_algorithm(isa, &g, algorithm).unwrap();
            let [kh, kw, channels, features] = g.weights();
            let run = |parts: std::ops::Range<usize>, len: usize| {
                let mut scratch = vec![f32::NAN; gradient.scratch_len(parts.len())];
                written(len, |d_weights| {
                    gradient.run(&input, &d_output, parts, d_weights, &mut scratch).unwrap();
                })
            };
            let whole = run(0..gradient.parts().count(), weights.len());
            match gradient.parts() {
                Parts::Rows(rows) => {
                    let part = run(rows / 2..rows, (rows - rows / 2) * features);
                    assert!(bits(&part) == bits(&whole[rows / 2 * features..]), "{isa} {g:?}");
                }
                Parts::Channels(count) => {
                    assert_eq!(count, channels);
                    let part = run(1..3, kh * kw * 2 * features);
                    for (tap, part) in part.chunks_exact(2 * features).enumerate() {
                        let start = (tap * channels + 1) * features;
                        assert!(bits(part) == bits(&whole[start..][..part.len()]), "{isa} {g:?}");
                    }
                }
            }
            if algorithm == Algorithm::choose_grad_weights(isa, &g) {
                assert_eq!(gradient, WeightGradient::new(isa, &g));
            }
        }
    }
}

/// Input, kernel, features, stride, groups, padding.
type Shape = ([usize; 4], [usize; 2], usize, [usize; 2], usize, Padding);

fn grouped((input, kernel, features, stride, groups, padding): Shape) -> Result<Geometry, Error> {
    Geometry::with_groups(input, kernel, features, stride, padding, [1, 1], groups)
}

/// Pixels of so many channels as some of a map of `width` channels, with `between` from one pixel to the next.
fn spread(pixels: &[f32], channels: usize, width: usize, between: f32) -> Vec<f32> {
    let gap = vec![between; width - channels];
    pixels.chunks(channels).collect::<Vec<_>>().join(&gap[..])
}

fn sliced(mut convolution: Convolution, widths: [usize; 2]) -> Option<Convolution> {
    convolution.slice(widths).then_some(convolution)
}

/// The same bits from and to slices of wider maps, and nothing written between them.
fn compare_slices(
    convolution: Convolution,
    widths: [usize; 2],
    input: &[f32],
    output: &[f32],
    x: [&[f32]; 2],
) {
    const KEPT: f32 = 54321.25;
    let ([packed, bias], g) = (x, convolution.geometry());
    let [channels, features] = [g.input()[3], g.output()[3]];
    let sliced = sliced(convolution, widths).unwrap();
    let map = spread(input, channels, widths[0], f32::NAN);
    let want = spread(output, features, widths[1], KEPT);
    let mut scratch = vec![f32::NAN; convolution.scratch_len()];
    let got = updated(&vec![KEPT; want.len()], |output| {
        sliced.forward(&map, packed, Some(bias), Activation::Relu, output, &mut scratch).unwrap();
    });
    assert!(bits(&got) == bits(&want), "{convolution:?} {widths:?}");
}

/// What is added to the output has the bits of a sum afterwards, in slices and by features too.
fn compare_sums(isa: Isa, convolution: Convolution, widths: [usize; 2], input: &[f32], x: [&[f32]; 2]) {
    const KEPT: f32 = 54321.25;
    let ([packed, bias], g, relu) = (x, convolution.geometry(), Activation::Relu);
    let [channels, features] = [g.input()[3], g.output()[3]];
    let is_winograd = matches!(convolution.algorithm(), Algorithm::Winograd(_));
    let Some(adding) = convolution.adding() else {
        let has_code = ["avx2", "avx512"].contains(&isa.name());
        let expected = if is_winograd { features % 16 == 0 } else { g.weights()[..2] == [1, 1] };
        return assert!(!has_code || !expected, "{convolution:?}");
    };
    let mut scratch = vec![f32::NAN; convolution.scratch_len()];
    let output = written(len(g.output()), |output| {
        let none = Activation::None;
        convolution.forward(input, packed, Some(bias), none, output, &mut scratch).unwrap();
    });
    let held = Numbers::Reals.take(9, output.len());
    let sums = written(output.len(), |sums| elementwise::add(isa, relu, &held, &output, sums).unwrap());
    let (map, want) =
        (spread(input, channels, widths[0], f32::NAN), spread(&sums, features, widths[1], KEPT));
    let held = spread(&held, features, widths[1], KEPT);
    let Some(adding) = sliced(adding, widths) else { panic!("{convolution:?} {widths:?}") };
    let got = updated(&held, |output| {
        adding.forward(&map, packed, Some(bias), relu, output, &mut scratch).unwrap();
    });
    assert!(bits(&got) == bits(&want), "{convolution:?} {widths:?}");
    let Some(all) = adding.features(0, 1) else { return };
    let got = updated(&held, |output| {
        let pixels = len(g.output()) / features;
        let columns = Columns::of_wider(output, pixels, widths[1], features).unwrap();
        let mut scratch = vec![f32::NAN; all.scratch_len()];
        all.forward(&map, packed, Some(bias), relu, columns, &mut scratch).unwrap();
    });
    assert!(bits(&got) == bits(&want), "{convolution:?} {widths:?} by features");
}

#[test]
fn slices_of_wider_maps_and_sums_have_the_bits_of_whole_ones() {
    let valid = |input, kernel, features, groups| (input, kernel, features, [1, 1], groups, Padding::Valid);
    let listed = [
        (valid([1, 1, 1, 1], [1, 1], 1, 1), [0, 0]),
        (valid([2, 5, 7, 33], [1, 1], 65, 1), [1, 7]),
        (valid([3, 1, 1, 40], [1, 1], 12, 1), [3, 5]),
        (valid([1, 8, 9, 6], [1, 1], 9, 3), [2, 1]),
        (([1, 6, 5, 257], [3, 3], 7, [1, 1], 1, Padding::Same), [3, 9]),
        (([2, 11, 13, 17], [3, 3], 31, [1, 1], 1, Padding::Same), [17, 31]),
        (([3, 13, 10, 3], [3, 3], 5, [2, 2], 1, Padding::Same), [0, 64]),
        (([2, 12, 16, 3], [7, 7], 33, [2, 2], 1, Padding::Same), [5, 0]),
        // Maps of more than 8 MiB, fetched ahead.
        (([1, 437, 439, 3], [3, 3], 8, [1, 1], 1, Padding::Same), [1, 3]),
    ];
    let input = (1..3usize, 1..14usize, 1..14usize, 1..20usize).prop_map(<[usize; 4]>::from);
    let window = prop_oneof![
        Just(([1, 1], [1, 1])),
        Just(([1, 1], [2, 3])),
        Just(([2, 5], [3, 1])),
        Just(([3, 3], [1, 1])),
        Just(([3, 3], [2, 2])),
        Just(([7, 7], [2, 2])),
        Just(([3, 1], [1, 1])),
    ];
    let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same)];
    let wider = (0..40usize, 0..40usize).prop_map(<[usize; 2]>::from);
    let any = (input, window, 1..40usize, 1..3usize, padding, wider)
        .prop_map(|(mut input, (kernel, stride), features, groups, padding, wider)| {
            input[3] *= groups;
            ((input, kernel, features * groups, stride, groups, padding), wider)
        })
        .prop_filter("the kernel exceeds the input", |(shape, _)| grouped(*shape).is_ok());
    shapes(listed, any, |(shape, wider)| {
        let g = grouped(shape).unwrap();
        let input = Numbers::Reals.take(1, len(g.input()));
        let (weights, bias) =
            (Numbers::Reals.take(2, len(g.weights())), Numbers::Reals.take(3, g.output()[3]));
        let widths = [g.input()[3] + wider[0], g.output()[3] + wider[1]];
        for (isa, algorithm) in
            isas().into_iter().flat_map(|isa| ALGORITHMS.map(|algorithm| (isa, algorithm)))
        {
            let Ok(convolution) = Convolution::with_algorithm(isa, &g, algorithm) else { continue };
            // There is no code to read rows of windows that are no runs in a wider map.
            let [_, columns] = shape.1;
            let widths = match algorithm {
                Algorithm::RowPairs => {
                    assert_eq!(sliced(convolution, widths).is_some(), wider == [0, 0]);
                    continue;
                }
                Algorithm::Direct if columns > 1 && shape.4 == 1 => {
                    assert_eq!(sliced(convolution, widths).is_some(), wider[0] == 0);
                    [g.input()[3], widths[1]]
                }
                _ => widths,
            };
            let packed =
                written(convolution.packed_len(), |packed| convolution.pack(&weights, packed).unwrap());
            let x = [if packed.is_empty() { &weights } else { &*packed }, &bias];
            let output = forward(&convolution, &input, &weights, &bias);
            compare_slices(convolution, widths, &input, &output, x);
            compare_sums(isa, convolution, widths, &input, x);
            // Few products that are pooled in registers have no slices.
            let pooled = convolution.pooled().filter(|_| algorithm != Algorithm::Direct);
            if let Some(pooled) = pooled {
                let [batch, height, width, features] = g.output();
                let mut scratch = vec![f32::NAN; pooled.scratch_len()];
                let output = written(batch * height / 2 * (width / 2) * features, |output| {
                    pooled
                        .forward(&input, x[0], Some(&bias), Activation::Relu, output, &mut scratch)
                        .unwrap();
                });
                compare_slices(pooled, widths, &input, &output, x);
            }
        }
    });
}

#[test]
fn refusals_of_slices() {
    for isa in isas() {
        let g = Geometry::new([2, 4, 4, 3], [3, 1], 5, [1, 1], Padding::Valid).unwrap();
        let convolution = Convolution::with_algorithm(isa, &g, Algorithm::Direct).unwrap();
        let [most_read, most_write] = [2 * 4 * 4, 2 * 2 * 4].map(|pixels| isize::MAX as usize / 4 / pixels);
        for widths in [[2, 5], [3, 4], [0, 0], [usize::MAX, 5], [3, usize::MAX], [most_read + 1, 5]] {
            assert_eq!(sliced(convolution, widths), None);
        }
        assert!(sliced(convolution, [most_read, most_write]).is_some());

        let weights = Numbers::Reals.take(1, len(g.weights()));
        let packed = written(convolution.packed_len(), |packed| convolution.pack(&weights, packed).unwrap());
        let packed = if packed.is_empty() { &weights } else { &*packed };
        let sliced = sliced(convolution, [4, 8]).unwrap();
        let (read, write) = (31 * 4 + 3, 15 * 8 + 5);
        let refused = |[input, output]: [usize; 2], what, expected, got| {
            let after = written(output, |output| {
                let ran = sliced.forward(&vec![0.0; input], packed, None, Activation::None, output, &mut []);
                assert_eq!(ran, Err(Error::Length { what, expected, got }));
            });
            assert!(after.iter().all(|x| x.is_nan()));
        };
        for output in [write - 1, write + 1, 16 * 8, 16 * 5] {
            refused([read, output], "output", write, output);
        }
        for input in [read - 1, read + 1, 32 * 4, 32 * 3] {
            refused([input, write], "input", read, input);
        }
    }
}
