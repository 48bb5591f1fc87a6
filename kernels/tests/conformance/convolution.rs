//! The handles of a convolution's passes: they run what they chose, and parts of it have the whole's bits.

use crate::support::{Numbers, bits, isas, written};
use bantam_kernels::conv2d::winograd::{RowPairs, RowTiles, Tile, Winograd};
use bantam_kernels::conv2d::{
    self, Activation, Algorithm, Convolution, Geometry, InputGradient, Padding, Parts, WeightGradient,
};
use bantam_kernels::{Error, Isa};

fn geometries() -> Vec<Geometry> {
    let new = |input, kernel, features, stride, padding| {
        Geometry::new(input, kernel, features, stride, padding).unwrap()
    };
    vec![
        new([3, 14, 13, 16], [3, 3], 24, [1, 1], Padding::Same),
        new([2, 16, 18, 3], [3, 3], 32, [1, 1], Padding::Valid),
        new([1, 21, 22, 3], [7, 7], 16, [2, 2], Padding::Same),
        new([2, 9, 9, 8], [1, 1], 8, [1, 1], Padding::Valid),
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

const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::Direct,
    Algorithm::RowPairs,
    Algorithm::RowTiles,
    Algorithm::Winograd(Tile::F2),
    Algorithm::Winograd(Tile::F3),
    Algorithm::Winograd(Tile::F4),
    Algorithm::Winograd(Tile::F5),
    Algorithm::Winograd(Tile::F6),
];

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
            // Scalar code has no squares by itself.
            let Ok(convolution) = Convolution::with_algorithm(isa, &g, algorithm) else {
                assert!(
                    isa == Isa::SCALAR || directly(isa, &g, algorithm, x).is_err(),
                    "{isa} {algorithm:?}"
                );
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
            let run = |gradient: InputGradient, images: usize| {
                let mut scratch = vec![f32::NAN; gradient.scratch_len()];
                let d_output = &d_output[..len(g.first(images).output())];
                written(len(g.first(images).input()), |d_input| {
                    gradient.run(d_output, &packed, d_input, &mut scratch).unwrap();
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
