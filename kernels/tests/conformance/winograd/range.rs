//! The range of the error bounds: numbers of any magnitude, and what is beyond.

use super::*;

/// Those of [`ROW_WINDOWS`], and others that tiles lie along.
const WINDOWS: [[usize; 2]; 5] = [[3, 1], [7, 2], [3, 2], [5, 1], [7, 1]];

/// Refused wherever it comes from, and whatever is done to the outputs.
#[test]
fn what_is_not_finite_is_refused() {
    for columns in WINDOWS {
        let g = row_geometry(([1, 10, 16, 16], [3, 1], columns, 17, Padding::Same)).unwrap();
        let arrays = [len(g.input()), len(g.weights()), 17].map(|len| Numbers::Reals.take(1, len).into_vec());
        for Way { what, run, .. } in tiled_ways(g) {
            for activation in ACTIVATIONS {
                assert!(run(&arrays[0], &arrays[1], &arrays[2], activation).is_ok(), "{what}");
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    for at in 0..3 {
                        let mut arrays = arrays.clone();
                        let middle = arrays[at].len() / 2;
                        arrays[at][middle] = bad;
                        let got = run(&arrays[0], &arrays[1], &arrays[2], activation);
                        assert_eq!(got, Err(Error::NotFinite), "{what} {activation:?} {bad} {at}");
                    }
                }
            }
        }
    }
}

/// Sums overflow between input and outputs that are small, and may be hidden behind an activation or a pool.
#[test]
fn overflow_is_refused() {
    for columns in WINDOWS {
        let g = row_geometry(([1, 10, 16, 16], [3, 1], columns, 17, Padding::Same)).unwrap();
        let weights: Vec<_> = (0..len(g.weights())).map(|i| [1e-3, -1e-3][i % 2]).collect();
        for pattern in [Pattern::Same, Pattern::Alternating] {
            let input: Vec<_> = pattern.take(1, 127, g.input()).iter().map(|x| 1.9 * x).collect();
            let want: Vec<_> = reference::conv2d::forward(&g, &input, &weights, None).collect();
            assert!(want.iter().all(|y| y.value.abs() < 1e38));
            for Way { what, run, .. } in tiled_ways(g) {
                for activation in ACTIVATIONS {
                    let got = run(&input, &weights, &[0.0; 17], activation);
                    assert_eq!(got, Err(Error::NotFinite), "{what} {activation:?} {pattern:?}");
                }
            }
        }
    }
}

/// Numbers that meet in a tile.
#[derive(Clone, Copy, Debug)]
enum Pattern {
    Random,
    Same,
    /// With signs that take turns from column to column and from two rows to the next two.
    Alternating,
    /// Random with one far larger.
    OneHuge,
}

impl Pattern {
    const ALL: [Pattern; 4] = [Pattern::Random, Pattern::Same, Pattern::Alternating, Pattern::OneHuge];

    /// Up to 2 to that power.
    fn take(self, seed: u64, exponent: i32, shape: [usize; 4]) -> Vec<f32> {
        let len = len(shape);
        let [_, _, width, channels] = shape;
        let at = |i: usize, x: f32| match self {
            Pattern::Same => (1.0, exponent),
            Pattern::Alternating if (i / channels + i / (2 * width * channels)).is_multiple_of(2) => {
                (1.0, exponent)
            }
            Pattern::Alternating => (-1.0, exponent),
            Pattern::OneHuge if i == len / 5 => (1.0, 127.min(exponent + 60)),
            Pattern::Random | Pattern::OneHuge => (x, exponent),
        };
        let random = Numbers::Reals.take(seed, len);
        let number = |(i, &x)| {
            let (x, exponent) = at(i, x);
            (f64::from(x) * 2f64.powi(exponent)) as f32
        };
        random.iter().enumerate().map(number).collect()
    }
}

/// What the bounds are relative to.
struct Scale {
    /// The largest sample, and the largest sum of magnitudes of a filter, of so many.
    x: f64,
    w: f64,
    count: usize,
    bias: f64,
}

impl Scale {
    fn unit(&self) -> f64 {
        let (tiny, n) = (2f64.powi(-120), self.count as f64);
        2f64.powi(-24) * ((self.x + tiny) * (self.w + n * tiny) + n * tiny + self.bias)
    }

    /// Within the bound, or refused outside the range.
    fn check(&self, what: &str, bound: f64, got: &Result<Vec<f32>, Error>, want: &[f64]) {
        let Ok(got) = got else {
            let inside = [self.x, self.w, self.x * self.w, self.bias].iter().all(|&x| x <= 2f64.powi(100));
            assert_eq!(*got, Err(Error::NotFinite), "{what}");
            assert!(!inside, "{what}: refused inside the range");
            return;
        };
        self.check_values(what, bound, got, want);
    }

    /// The same for pairs of rows, whose range is that of samples and weights alone.
    fn check_row_pairs(&self, what: &str, bound: f64, got: &Result<Vec<f32>, Error>, want: &[f64]) {
        let Ok(got) = got else {
            assert_eq!(*got, Err(Error::NotFinite), "{what}");
            assert!(self.x.max(self.w) > 2f64.powi(50), "{what}: refused inside the range");
            return;
        };
        self.check_values(what, bound, got, want);
    }

    fn check_values(&self, what: &str, bound: f64, got: &[f32], want: &[f64]) {
        let error = bound * self.unit();
        assert_eq!(got.len(), want.len(), "{what}: length");
        for (i, (&got, want)) in got.iter().zip(want).enumerate() {
            assert!(
                (f64::from(got) - want).abs() <= error,
                "{what}[{i}]: got {got}, expected {want} ± {error}"
            );
        }
    }
}

/// Maxima of windows of 2×2.
fn pool(map: &[f64], [_, _, width, channels]: [usize; 4]) -> Vec<f64> {
    let max = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a.max(*b)).collect::<Vec<_>>();
    let columns = |row: &[f64]| {
        let pairs = row.chunks_exact(2 * channels);
        pairs.flat_map(|pair| max(&pair[..channels], &pair[channels..])).collect::<Vec<_>>()
    };
    let pairs = map.chunks_exact(2 * width * channels).map(|rows| rows.split_at(width * channels));
    pairs.flat_map(|(upper, lower)| max(&columns(upper), &columns(lower))).collect()
}

/// The pattern and the powers of two of samples, weights or output's gradient, and bias.
type Magnitudes = (Pattern, Pattern, [i32; 3]);

/// Samples, weights and bias of all magnitudes that there are, those too at which sums overflow or vanish.
fn for_each_magnitude(check: impl Fn(Magnitudes)) {
    use Pattern::{Alternating, OneHuge, Random, Same};
    let any = || -149..=127i32;
    let pattern = || prop::sample::select(&Pattern::ALL[..]);
    let exponents = (any(), any(), any()).prop_map(<[i32; 3]>::from);
    let listed = [
        (Same, Random, [127, -10, 0]),
        (Alternating, Same, [127, -10, 0]),
        (Alternating, Alternating, [127, -12, 127]),
        (Same, Same, [0, 127, 0]),
        (Random, Random, [126, 0, 0]),
        (Random, Random, [100, -1, 100]),
        (Alternating, Random, [66, 66, 0]),
        (Random, Random, [-133, 0, -149]),
        (Random, Random, [-133, 10, -149]),
        (Random, Random, [0, -133, -149]),
        (Random, Alternating, [-100, -100, -149]),
        (Same, Same, [-75, -75, -149]),
        (Random, Random, [-149, 127, -149]),
        (OneHuge, Random, [-10, 0, 0]),
        (OneHuge, Random, [70, 0, 0]),
    ];
    shapes(listed, (pattern(), pattern(), exponents), check);
}

const MAGNITUDE_SHAPES: [([usize; 4], usize); 2] = [([1, 6, 8, 3], 5), ([1, 8, 12, 17], 18)];

#[test]
fn forward_of_any_magnitude() {
    for_each_magnitude(|(samples, filters, [input, weights, bias])| {
        for (columns, (shape, features)) in WINDOWS.into_iter().flat_map(|c| MAGNITUDE_SHAPES.map(|s| (c, s)))
        {
            let g = row_geometry((shape, [3, 1], columns, features, Padding::Same)).unwrap();
            let what = format!("{samples:?} {filters:?} 2^{input} 2^{weights} 2^{bias}");
            let bias = Pattern::Random.take(3, bias, [1, 1, 1, features]);
            let (input, weights) = (samples.take(1, input, shape), filters.take(2, weights, g.weights()));
            let want: Vec<_> =
                reference::conv2d::forward(&g, &input, &weights, Some(&bias)).map(|y| y.value).collect();
            let (x, w, count) =
                (largest(&input), largest_sum(&weights, features, 1), weights.len() / features);
            let scale = Scale { x, w, count, bias: largest(&bias) };
            for Way { what: way, run, bound, pooled } in tiled_ways(g) {
                let what = format!("{way} {what}");
                let got = run(&input, &weights, &bias, Activation::None);
                let want = if pooled { pool(&want, g.output()) } else { want.clone() };
                scale.check(&what, bound, &got, &want);
                let relu = got.map(|got| got.iter().map(|x| x.max(0.0)).collect::<Vec<_>>());
                assert_eq!(run(&input, &weights, &bias, Activation::Relu), relu, "{what}");
            }
            for (isa, pairs) in row_pairs(&g) {
                let got = run_row_pairs(&pairs, &g, &input, &weights, Some(&bias), Activation::None);
                let bound = RowPairs::error_bound(shape[3]);
                scale.check_row_pairs(&format!("{isa} {g:?} {what}"), bound, &got, &want);
                let relu = got.map(|got| got.iter().map(|x| x.max(0.0)).collect::<Vec<_>>());
                let got = run_row_pairs(&pairs, &g, &input, &weights, Some(&bias), Activation::Relu);
                assert_eq!(got, relu, "{what}");
            }
        }
    });
}

#[test]
fn gradients_of_any_magnitude() {
    for_each_magnitude(|(samples, others, [input, other, _])| {
        for (shape, features) in MAGNITUDE_SHAPES {
            let g = geometry((shape, features, Padding::Same)).unwrap();
            let what = format!("{samples:?} {others:?} 2^{input} 2^{other}");
            let d_output = samples.take(1, input, g.output());
            let weights = others.take(2, other, g.weights());
            let wanted_input: Vec<_> =
                reference::conv2d::grad_input(&g, &d_output, &weights).map(|y| y.value).collect();
            let (x, w) = (largest(&d_output), largest_sum(&weights, shape[3], features));
            let to_input = Scale { x, w, count: 9 * features, bias: 0.0 };
            let input = samples.take(1, input, shape);
            let d_other = others.take(2, other, g.output());
            let wanted_weights: Vec<_> =
                reference::conv2d::grad_weights(&g, &input, &d_other).map(|y| y.value).collect();
            let (x, w) = (largest(&input), largest_sum(&d_other, features, 1));
            let to_weights = Scale { x, w, count: d_other.len() / features, bias: 0.0 };
            for_each_way(&g, |winograd, isa, tile| {
                let what = format!("{isa} {g:?} {tile:?} {what}");
                let packed = written(winograd.packed_transposed_len(), |packed| {
                    winograd.pack_transposed(&weights, packed).unwrap();
                });
                let mut scratch = vec![f32::NAN; winograd.grad_input_scratch_len()];
                let mut d_input = vec![f32::NAN; len(shape)];
                let got = winograd.grad_input(&d_output, &packed, &mut d_input, &mut scratch);
                let bound = Winograd::error_bound(tile, features);
                to_input.check(&format!("{what} input"), bound, &got.map(|()| d_input), &wanted_input);

                let mut scratch = vec![f32::NAN; winograd.grad_weights_scratch_len(shape[3])];
                let mut d_weights = vec![f32::NAN; weights.len()];
                let got = winograd.grad_weights(&input, &d_other, 0..shape[3], &mut d_weights, &mut scratch);
                let tiles = g.output()[1].div_ceil(tile.side()) * g.output()[2].div_ceil(tile.side());
                let bound = Winograd::error_bound(tile, shape[0] * tiles);
                to_weights.check(
                    &format!("{what} weights"),
                    bound,
                    &got.map(|()| d_weights),
                    &wanted_weights,
                );
            });
        }
    });
}

/// Checks the weights, and runs.
fn run_row_pairs(
    pairs: &RowPairs,
    g: &Geometry,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
) -> Result<Vec<f32>, Error> {
    pairs.check_weights(weights)?;
    let (mut output, mut scratch) = (vec![f32::NAN; len(g.output())], vec![f32::NAN; pairs.scratch_len()]);
    pairs.forward(input, weights, bias, activation, &mut output, &mut scratch)?;
    Ok(output)
}

/// Numbers that would overflow at the points, or in the sums, and NaN: never outputs that mean nothing.
#[test]
fn row_pairs_refuse_what_is_beyond_their_range() {
    let g = geometry(([1, 9, 9, 8], 8, Padding::Valid)).unwrap();
    let image = Numbers::Reals.take(1, len(g.input()));
    let filters = Numbers::Reals.take(2, len(g.weights()));
    for (isa, pairs) in row_pairs(&g) {
        for activation in ACTIVATIONS {
            let run = |input: &[f32], weights: &[f32]| {
                run_row_pairs(&pairs, &g, input, weights, None, activation).map(|_| ())
            };
            assert_eq!(run(&image, &filters), Ok(()), "{isa}");
            for bad in [f32::NAN, f32::NEG_INFINITY, 3e38, -1e20] {
                let (mut input, mut weights) = (image.clone(), filters.clone());
                input[(4 * 9 + 4) * 8] = bad;
                weights[100] = bad;
                assert_eq!(run(&input, &filters), Err(Error::NotFinite), "{isa} {bad}");
                assert_eq!(run(&image, &weights), Err(Error::NotFinite), "{isa} {bad}");
            }
            let large = |x: &[f32]| x.iter().map(|x| x * 2f32.powi(50)).collect::<Vec<_>>();
            assert_eq!(run(&large(&image), &large(&filters)), Ok(()), "{isa}");
        }
    }
}
