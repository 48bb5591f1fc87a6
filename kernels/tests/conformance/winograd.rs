//! Winograd's algorithm rounds differently from the definition, so that even integers do not agree
//! to the bit. It must stay within its stated bound, and within the mean error that follows from
//! the length of the sum.

use crate::support::{Numbers, bits, isas, shapes, written};
use bantam_kernels::conv2d::winograd::{RowPairs, RowTiles, Tile, Winograd};
use bantam_kernels::conv2d::{self, Activation, Algorithm, Geometry, Padding};
use bantam_kernels::reference::Expected;
use bantam_kernels::{Error, Isa, max_pool2d, reference};
use proptest::prelude::*;

const TILES: [Tile; 5] = [Tile::F2, Tile::F3, Tile::F4, Tile::F5, Tile::F6];
const UNEVEN: Padding = Padding::Explicit { top: 1, bottom: 3, left: 4, right: 0 };

/// Input `[N, H, W, Cin]`, output channels and padding.
type Shape = ([usize; 4], usize, Padding);

const LISTED: &[Shape] = &[
    ([1, 3, 3, 1], 1, Padding::Valid),
    ([1, 1, 1, 1], 1, Padding::Same),
    ([2, 5, 4, 7], 9, Padding::Same),
    ([1, 6, 9, 8], 16, Padding::Same),
    ([3, 7, 5, 17], 15, UNEVEN),
    ([1, 13, 13, 32], 64, Padding::Valid),
    ([5, 5, 5, 64], 64, Padding::Valid),
    // More tiles than a block takes.
    ([2, 30, 31, 16], 24, Padding::Same),
];

fn any_shape() -> impl Strategy<Value = Shape> {
    let input = (1..4usize, 1..14usize, 1..14usize, 1..40usize).prop_map(<[usize; 4]>::from);
    let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same), Just(UNEVEN)];
    (input, 1..40usize, padding).prop_filter("the kernel exceeds the input", |&shape| geometry(shape).is_ok())
}

fn geometry((input, features, padding): Shape) -> Result<Geometry, Error> {
    Geometry::new(input, [3, 3], features, [1, 1], padding)
}

fn len(shape: [usize; 4]) -> usize {
    shape.iter().product()
}

/// Root of the mean square error that a product of one term may have, for the square root of the
/// number of terms.
fn mean_error(tile: Tile) -> f64 {
    match tile {
        Tile::F2 => 4e-8,
        Tile::F3 => 6e-8,
        Tile::F4 => 8e-8,
        Tile::F5 => 1.6e-7,
        Tile::F6 => 3.5e-7,
    }
}

/// `terms` and `scale` are those of [`Winograd::error_bound`].
fn compare(g: &Geometry, (isa, tile): (Isa, Tile), got: &[f32], want: &[Expected], terms: usize, scale: f64) {
    let bounds = (Winograd::error_bound(tile, terms) * scale, mean_error(tile));
    within(bounds, g, &format!("{isa} {g:?} {tile:?}"), got, want);
}

/// `bound` is in units of 2⁻²⁴, `mean` that of [`mean_error`].
fn within((bound, mean): (f64, f64), g: &Geometry, what: &str, got: &[f32], want: &[Expected]) {
    let bound = bound * f64::from(f32::EPSILON) / 2.0;
    let (mut errors, mut squares) = (0.0, 0.0);
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (&got, want)) in got.iter().zip(want).enumerate() {
        let error = f64::from(got) - want.value;
        assert!(error.abs() <= bound, "{what}[{i}]: got {got}, expected {want:?} ± {bound}");
        errors += error * error;
        squares += want.value * want.value;
    }
    // Of few sums the mean says nothing, and in short ones the transforms round more than the sum.
    let products = g.multiply_adds() as usize / got.len();
    if got.len() > 1000 && products >= 9 * 32 {
        let relative = (errors / squares).sqrt();
        let bound = mean * (products as f64).sqrt();
        assert!(relative <= bound, "{what}: mean error {relative}, expected at most {bound}");
    }
}

/// Checks the passes with an activation against the one without, `got`.
fn activations(got: &[f32], mut run: impl FnMut(Activation) -> Vec<f32>, what: &str) {
    let relu: Vec<_> = got.iter().map(|&x| if x < 0.0 { 0.0 } else { x }).collect();
    assert_eq!(run(Activation::Relu), relu, "{what}");
    let relu6: Vec<_> = relu.iter().map(|&x| if x > 6.0 { 6.0 } else { x }).collect();
    assert_eq!(run(Activation::Relu6), relu6, "{what}");
}

/// The largest magnitude.
fn largest(numbers: &[f32]) -> f64 {
    numbers.iter().map(|&x| f64::from(x.abs())).fold(0.0, f64::max)
}

/// The largest sum of magnitudes over all axes but the one of `len`, which is `stride` apart.
fn largest_sum(numbers: &[f32], len: usize, stride: usize) -> f64 {
    let sum = |i| {
        let one = numbers.iter().enumerate().filter(move |(at, _)| at / stride % len == i);
        one.map(|(_, &x)| f64::from(x.abs())).sum()
    };
    (0..len).map(sum).fold(0.0, f64::max)
}

fn for_each_shape(check: impl Fn(&Geometry, Numbers)) {
    shapes(LISTED.iter().copied(), any_shape(), |shape| {
        for numbers in Numbers::ALL {
            check(&geometry(shape).unwrap(), numbers);
        }
    });
}

/// Every way to compute a convolution.
fn for_each_way(g: &Geometry, check: impl Fn(Winograd, Isa, Tile)) {
    for isa in isas() {
        for tile in TILES {
            check(Winograd::new(isa, g, tile).unwrap(), isa, tile);
        }
    }
}

#[test]
fn forward() {
    for_each_shape(|g, numbers| {
        let input = numbers.take(1, len(g.input()));
        let weights = numbers.take(2, len(g.weights()));
        let bias = numbers.take(3, g.output()[3]);
        let want: Vec<_> = reference::conv2d::forward(g, &input, &weights, Some(&bias)).collect();
        let [_, _, cin, cout] = g.weights();
        let scale = largest(&input) * largest_sum(&weights, cout, 1) + largest(&bias);
        for_each_way(g, |winograd, isa, tile| {
            let packed = written(winograd.packed_len(), |packed| winograd.pack(&weights, packed).unwrap());
            let mut scratch = vec![f32::NAN; winograd.forward_scratch_len()];
            let mut run = |activation| {
                written(len(g.output()), |output| {
                    winograd.forward(&input, &packed, Some(&bias), activation, output, &mut scratch).unwrap();
                })
            };
            let got = run(Activation::None);
            compare(g, (isa, tile), &got, &want, cin, scale);
            activations(&got, run, &format!("{isa} {g:?} {tile:?}"));
        });
    });
}

fn row_pairs(g: &Geometry) -> impl Iterator<Item = (Isa, RowPairs)> {
    isas().into_iter().filter_map(|isa| Some((isa, RowPairs::new(isa, g).ok()?)))
}

#[test]
fn forward_in_row_pairs() {
    for_each_shape(|g, numbers| {
        let input = numbers.take(1, len(g.input()));
        let weights = numbers.take(2, len(g.weights()));
        let bias = numbers.take(3, g.output()[3]);
        let want: Vec<_> = reference::conv2d::forward(g, &input, &weights, Some(&bias)).collect();
        let [_, _, cin, cout] = g.weights();
        let scale = largest(&input) * largest_sum(&weights, cout, 1) + largest(&bias);
        for (isa, pairs) in row_pairs(g) {
            let what = format!("{isa} {g:?}");
            let mut scratch = vec![f32::NAN; pairs.scratch_len()];
            let mut run = |activation| {
                written(len(g.output()), |output| {
                    pairs.forward(&input, &weights, Some(&bias), activation, output, &mut scratch).unwrap();
                })
            };
            let got = run(Activation::None);
            within((RowPairs::error_bound(cin) * scale, mean_error(Tile::F2)), g, &what, &got, &want);
            activations(&got, run, &what);
            if numbers == Numbers::Integers {
                // Halves of small integers are exact.
                assert!(got.iter().zip(&want).all(|(&got, want)| f64::from(got) == want.value), "{what}");
            }
        }
    });
}

/// The same bits if the image is parted between pairs of rows.
#[test]
fn parts_in_row_pairs() {
    for padding in [Padding::Same, Padding::Valid, UNEVEN] {
        let g = geometry(([1, 9, 7, 19], 21, padding)).unwrap();
        let (input, weights) =
            (Numbers::Reals.take(1, len(g.input())), Numbers::Reals.take(2, len(g.weights())));
        for (isa, _) in row_pairs(&g) {
            let run = |g: &Geometry, input: &[f32]| {
                let pairs = RowPairs::new(isa, g).unwrap();
                let mut scratch = vec![f32::NAN; pairs.scratch_len()];
                written(len(g.output()), |output| {
                    pairs.forward(input, &weights, None, Activation::None, output, &mut scratch).unwrap();
                })
            };
            let height = g.output()[1];
            let part = |rows| {
                let (part, seen) = g.rows(rows).unwrap();
                run(&part, &input[seen.start * 7 * 19..seen.end * 7 * 19])
            };
            let parts = [part(0..4), part(4..6), part(6..height)].concat();
            assert_eq!(bits(&run(&g, &input)), bits(&parts), "{isa} {padding:?}");
        }
    }
}

#[test]
fn refusals_of_row_pairs() {
    let g = geometry(([1, 9, 9, 2], 3, Padding::Valid)).unwrap();
    for isa in isas().into_iter().filter(|&isa| !conv2d::takes_plain_weights(isa)) {
        assert_eq!(RowPairs::new(isa, &g), Err(Error::NotWinograd));
    }
    let strided = Geometry::new([1, 9, 9, 2], [3, 3], 3, [2, 2], Padding::Valid).unwrap();
    assert_eq!(RowPairs::new(Isa::SCALAR, &strided), Err(Error::NotWinograd));
    let pairs = RowPairs::new(Isa::SCALAR, &g).unwrap();
    let right = [162, 54, 3, 147, pairs.scratch_len()];
    for wrong in 0..6 {
        let [input, weights, bias, output, scratch] =
            std::array::from_fn(|i| vec![0.0; right[i] + usize::from(i == wrong)]);
        let (mut output, mut scratch) = (output, scratch);
        let got = pairs.forward(&input, &weights, Some(&bias), Activation::None, &mut output, &mut scratch);
        assert_eq!(got.is_ok(), wrong == 5, "{wrong}");
    }
}

/// A window along one axis of [`RowTiles`]: extent and stride.
const ROW_WINDOWS: [[usize; 2]; 3] = [[3, 1], [7, 2], [3, 2]];

/// Input, rows of the window and their stride, columns and their stride, output channels and padding.
type RowShape = ([usize; 4], [usize; 2], [usize; 2], usize, Padding);

fn row_geometry((input, [kh, down], [kw, across], features, padding): RowShape) -> Result<Geometry, Error> {
    Geometry::new(input, [kh, kw], features, [down, across], padding)
}

fn for_each_row_shape(check: impl Fn(&Geometry, Numbers)) {
    let input = (1..3usize, 1..20usize, 1..30usize, 1..20usize).prop_map(<[usize; 4]>::from);
    let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same), Just(UNEVEN)];
    let rows = (1..8usize, 1..4usize).prop_map(<[usize; 2]>::from);
    let columns = prop::sample::select(&ROW_WINDOWS[..]);
    let any = (input, rows, columns, 1..40usize, padding)
        .prop_filter("the kernel exceeds the input", |&shape| row_geometry(shape).is_ok());
    let listed = [
        ([2, 28, 28, 1], [3, 1], [3, 1], 32, Padding::Valid),
        ([1, 60, 140, 4], [3, 1], [3, 1], 17, Padding::Same),
        ([1, 16, 12, 3], [7, 2], [7, 2], 8, Padding::Same),
        ([1, 4, 4, 3], [3, 1], [3, 1], 20, Padding::Valid),
        ([1, 3, 3, 1], [3, 1], [3, 1], 1, Padding::Valid),
        ([1, 1, 1, 1], [3, 1], [3, 1], 1, Padding::Same),
        ([1, 1, 1, 2], [7, 2], [7, 2], 17, Padding::Same),
        ([2, 15, 17, 3], [7, 2], [7, 2], 16, Padding::Same),
        ([1, 9, 33, 3], [3, 2], [3, 2], 15, UNEVEN),
        // A window larger than the input, which two sides of padding hold.
        ([1, 2, 3, 5], [7, 2], [7, 2], 3, Padding::Explicit { top: 3, bottom: 3, left: 3, right: 3 }),
        // Columns that nothing but padding is seen by.
        ([1, 4, 1, 3], [1, 3], [3, 2], 20, Padding::Explicit { top: 0, bottom: 2, left: 17, right: 19 }),
        // More rows than a block takes, and more tiles than are listed at a time.
        ([1, 60, 60, 64], [3, 2], [3, 2], 8, Padding::Same),
    ];
    shapes(listed, any, |shape| {
        for numbers in Numbers::ALL {
            check(&row_geometry(shape).unwrap(), numbers);
        }
    });
}

fn row_tiles(g: &Geometry) -> impl Iterator<Item = (Isa, RowTiles)> {
    isas().into_iter().filter_map(|isa| Some((isa, RowTiles::new(isa, g).ok()?)))
}

#[test]
fn forward_in_row_tiles() {
    for_each_row_shape(|g, numbers| {
        let input = numbers.take(1, len(g.input()));
        let weights = numbers.take(2, len(g.weights()));
        let bias = numbers.take(3, g.output()[3]);
        let want: Vec<_> = reference::conv2d::forward(g, &input, &weights, Some(&bias)).collect();
        let [_, _, _, cout] = g.weights();
        let scale = largest(&input) * largest_sum(&weights, cout, 1) + largest(&bias);
        for (isa, tiles) in row_tiles(g) {
            let what = format!("{isa} {g:?}");
            let packed = written(tiles.packed_len(), |packed| tiles.pack(&weights, packed).unwrap());
            let mut scratch = vec![f32::NAN; tiles.scratch_len()];
            let mut run = |activation| {
                written(len(g.output()), |output| {
                    tiles.forward(&input, &packed, Some(&bias), activation, output, &mut scratch).unwrap();
                })
            };
            let got = run(Activation::None);
            within((tiles.error_bound() * scale, mean_error(Tile::F4)), g, &what, &got, &want);
            activations(&got, run, &what);
        }
    });
}

/// Pooled in registers or behind each other: the same numbers.
#[test]
fn pooled_row_tiles() {
    for_each_row_shape(|g, numbers| {
        let input = numbers.take(1, len(g.input()));
        let weights = numbers.take(2, len(g.weights()));
        let bias = numbers.take(3, g.output()[3]);
        for (isa, tiles) in row_tiles(g) {
            let [_, height, width, _] = g.output();
            let Some(pooled) = tiles.pooled() else { continue };
            assert_eq!([height % 2, width % 2], [0, 0]);
            let packed = written(tiles.packed_len(), |packed| tiles.pack(&weights, packed).unwrap());
            let run = |tiles: RowTiles, len: usize, activation| {
                let mut scratch = vec![f32::NAN; tiles.scratch_len()];
                written(len, |output| {
                    tiles.forward(&input, &packed, Some(&bias), activation, output, &mut scratch).unwrap();
                })
            };
            let map = run(tiles, len(g.output()), Activation::None);
            let pool = max_pool2d::Geometry::new(g.output(), [2, 2], [2, 2], Padding::Valid).unwrap();
            for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
                let got = run(pooled, len(pool.output()), activation);
                let want = written(len(pool.output()), |output| {
                    max_pool2d::forward(isa, &pool, activation, &map, output).unwrap();
                });
                assert_eq!(got, want, "{isa} {g:?} {activation:?}");
            }
        }
    });
}

/// The same bits if the images are parted between any rows.
#[test]
fn parts_in_row_tiles() {
    for [columns, stride] in ROW_WINDOWS {
        for padding in [Padding::Same, Padding::Valid, UNEVEN] {
            let g = row_geometry(([1, 21, 19, 5], [3, 2], [columns, stride], 21, padding)).unwrap();
            let (input, weights) =
                (Numbers::Reals.take(1, len(g.input())), Numbers::Reals.take(2, len(g.weights())));
            for (isa, tiles) in row_tiles(&g) {
                let packed = written(tiles.packed_len(), |packed| tiles.pack(&weights, packed).unwrap());
                let run = |g: &Geometry, input: &[f32]| {
                    let tiles = RowTiles::new(isa, g).unwrap();
                    let mut scratch = vec![f32::NAN; tiles.scratch_len()];
                    written(len(g.output()), |output| {
                        tiles.forward(input, &packed, None, Activation::None, output, &mut scratch).unwrap();
                    })
                };
                let height = g.output()[1];
                let part = |rows| {
                    let (part, seen) = g.rows(rows).unwrap();
                    run(&part, &input[seen.start * 19 * 5..seen.end * 19 * 5])
                };
                let parts = [part(0..4), part(4..5), part(5..height)].concat();
                assert_eq!(bits(&run(&g, &input)), bits(&parts), "{isa} {g:?}");
            }
        }
    }
}

#[test]
fn refusals_of_row_tiles() {
    let fitting = row_geometry(([1, 9, 9, 2], [3, 1], [3, 1], 3, Padding::Valid)).unwrap();
    for isa in isas() {
        assert_eq!(RowTiles::new(isa, &fitting).is_ok(), isa.name() == "avx512", "{isa}");
        for columns in [[3, 3], [5, 1], [7, 1], [1, 1]] {
            let g = row_geometry(([1, 9, 9, 2], [3, 1], columns, 3, Padding::Valid)).unwrap();
            assert_eq!(RowTiles::new(isa, &g), Err(Error::NotWinograd));
        }
        let of = |dilation, groups| {
            Geometry::with_groups([1, 9, 9, 2], [3, 3], 4, [1, 1], Padding::Valid, dilation, groups).unwrap()
        };
        for g in [of([2, 1], 1), of([1, 2], 1), of([1, 1], 2)] {
            assert_eq!(RowTiles::new(isa, &g), Err(Error::NotWinograd));
        }
    }
    let pooled = |input: [usize; 4], columns| {
        let g = row_geometry((input, [3, 1], columns, 3, Padding::Valid)).unwrap();
        row_tiles(&g).all(|(_, tiles)| tiles.pooled().is_some())
    };
    if !row_tiles(&fitting).collect::<Vec<_>>().is_empty() {
        assert!(pooled([1, 10, 10, 2], [3, 1]) && pooled([1, 10, 9, 2], [7, 2]));
        assert!(!pooled([1, 9, 10, 2], [3, 1]) && !pooled([1, 10, 9, 2], [3, 1]));
        assert!(!pooled([1, 10, 9, 2], [3, 2]));
    }
    for (isa, tiles) in row_tiles(&fitting) {
        let len = tiles.packed_len();
        let refused = |weights: usize, packed: usize| {
            matches!(tiles.pack(&vec![0.0; weights], &mut vec![0.0; packed]), Err(Error::Length { .. }))
        };
        assert!(!refused(54, len) && refused(53, len) && refused(54, len - 1), "{isa}");
        let right = [162, len, 3, 147, tiles.scratch_len()];
        for wrong in 0..6 {
            let [input, packed, bias, output, scratch] =
                std::array::from_fn(|i| vec![0.0; right[i] + usize::from(i == wrong)]);
            let (mut output, mut scratch) = (output, scratch);
            let activation = Activation::None;
            let got = tiles.forward(&input, &packed, Some(&bias), activation, &mut output, &mut scratch);
            assert_eq!(got.is_ok(), wrong == 5, "{isa} {wrong}");
        }
    }
}

#[test]
fn grad_input() {
    for_each_shape(|g, numbers| {
        let d_output = numbers.take(1, len(g.output()));
        let weights = numbers.take(2, len(g.weights()));
        let want: Vec<_> = reference::conv2d::grad_input(g, &d_output, &weights).collect();
        let [_, _, cin, cout] = g.weights();
        let scale = largest(&d_output) * largest_sum(&weights, cin, cout);
        for_each_way(g, |winograd, isa, tile| {
            let packed = written(winograd.packed_transposed_len(), |packed| {
                winograd.pack_transposed(&weights, packed).unwrap();
            });
            let mut scratch = vec![f32::NAN; winograd.grad_input_scratch_len()];
            let got = written(len(g.input()), |d_input| {
                winograd.grad_input(&d_output, &packed, d_input, &mut scratch).unwrap();
            });
            compare(g, (isa, tile), &got, &want, cout, scale);
        });
    });
}

/// The same bits however the images are parted.
#[test]
fn parts() {
    for isa in isas() {
        for tile in TILES {
            let g = geometry(([5, 7, 9, 19], 21, Padding::Same)).unwrap();
            let numbers = Numbers::Reals;
            let (input, weights) = (numbers.take(1, len(g.input())), numbers.take(2, len(g.weights())));
            let run = |images: usize, input: &[f32]| {
                let winograd = Winograd::new(isa, &g, tile).unwrap().first(images);
                let packed =
                    written(winograd.packed_len(), |packed| winograd.pack(&weights, packed).unwrap());
                let mut scratch = vec![f32::NAN; winograd.forward_scratch_len()];
                written(images * len(g.output()) / 5, |output| {
                    winograd.forward(input, &packed, None, Activation::None, output, &mut scratch).unwrap();
                })
            };
            let whole = run(5, &input);
            let (first, last) = input.split_at(2 * input.len() / 5);
            let parts = [run(2, first), run(3, last)].concat();
            assert_eq!(bits(&whole), bits(&parts), "{isa} {tile:?}");
        }
    }
}

/// Of input, weights as they lie, and bias.
type Run = Box<dyn Fn(&[f32], &[f32], &[f32], Activation) -> Result<Vec<f32>, Error>>;

/// A way to compute a forward pass.
struct Way {
    what: String,
    run: Run,
    /// As [`Winograd::error_bound`].
    bound: f64,
    /// Whether a max-pool of 2×2 follows.
    pooled: bool,
}

/// Every way by tiles.
fn tiled_ways(g: Geometry) -> Vec<Way> {
    let mut ways = Vec::new();
    for (isa, tiles) in row_tiles(&g) {
        for (tiles, pooled) in [(Some(tiles), false), (tiles.pooled(), true)] {
            let Some(tiles) = tiles else { continue };
            let run: Run = Box::new(move |input, weights, bias, activation| {
                let packed = written(tiles.packed_len(), |packed| tiles.pack(weights, packed).unwrap());
                let mut scratch = vec![f32::NAN; tiles.scratch_len()];
                let mut output = vec![f32::NAN; len(g.output()) / if pooled { 4 } else { 1 }];
                tiles.forward(input, &packed, Some(bias), activation, &mut output, &mut scratch)?;
                Ok(output)
            });
            let what = format!("{isa} {g:?} rows, pooled: {pooled}");
            ways.push(Way { what, run, bound: tiles.error_bound(), pooled });
        }
    }
    for isa in isas().into_iter().filter(|_| Winograd::fits(&g)) {
        for tile in TILES {
            let winograd = Winograd::new(isa, &g, tile).unwrap();
            let run: Run = Box::new(move |input, weights, bias, activation| {
                let packed = written(winograd.packed_len(), |packed| winograd.pack(weights, packed).unwrap());
                let mut scratch = vec![f32::NAN; winograd.forward_scratch_len()];
                let mut output = vec![f32::NAN; len(g.output())];
                winograd.forward(input, &packed, Some(bias), activation, &mut output, &mut scratch)?;
                Ok(output)
            });
            let bound = Winograd::error_bound(tile, g.input()[3]);
            ways.push(Way { what: format!("{isa} {g:?} {tile:?}"), run, bound, pooled: false });
        }
    }
    ways
}

const ACTIVATIONS: [Activation; 3] = [Activation::None, Activation::Relu, Activation::Relu6];

/// Refused wherever it comes from, and whatever is done to the outputs.
#[test]
fn what_is_not_finite_is_refused() {
    for columns in ROW_WINDOWS {
        let g = row_geometry(([1, 10, 16, 8], [3, 1], columns, 9, Padding::Same)).unwrap();
        let arrays = [len(g.input()), len(g.weights()), 9].map(|len| Numbers::Reals.take(1, len).into_vec());
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
    for columns in ROW_WINDOWS {
        let g = row_geometry(([1, 10, 16, 8], [3, 1], columns, 9, Padding::Same)).unwrap();
        let weights: Vec<_> = (0..len(g.weights())).map(|i| [1e-3, -1e-3][i % 2]).collect();
        for pattern in [Pattern::Same, Pattern::Alternating] {
            let input: Vec<_> = pattern.take(1, 127, g.input()).iter().map(|x| 1.9 * x).collect();
            let want: Vec<_> = reference::conv2d::forward(&g, &input, &weights, None).collect();
            assert!(want.iter().all(|y| y.value.abs() < 1e38));
            for Way { what, run, .. } in tiled_ways(g) {
                for activation in ACTIVATIONS {
                    let got = run(&input, &weights, &[0.0; 9], activation);
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
        for (columns, (shape, features)) in
            ROW_WINDOWS.into_iter().flat_map(|c| MAGNITUDE_SHAPES.map(|s| (c, s)))
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

#[test]
fn refusals() {
    let winograd = |kernel, stride| Winograd::new(Isa::SCALAR, &other(kernel, stride), Tile::F2).map(|_| ());
    fn other(kernel: usize, stride: usize) -> Geometry {
        Geometry::new([1, 9, 9, 2], [kernel; 2], 3, [stride; 2], Padding::Valid).unwrap()
    }
    assert_eq!(winograd(3, 1), Ok(()));
    assert_eq!(winograd(3, 2), Err(Error::NotWinograd));
    assert_eq!(winograd(5, 1), Err(Error::NotWinograd));

    let winograd = Winograd::new(Isa::SCALAR, &other(3, 1), Tile::F4).unwrap();
    let refused = |weights: usize, packed: usize| {
        matches!(winograd.pack(&vec![0.0; weights], &mut vec![0.0; packed]), Err(Error::Length { .. }))
    };
    let len = winograd.packed_len();
    assert!(!refused(54, len) && refused(53, len) && refused(54, len - 1));
    let forward = |input: usize, packed: usize, bias: usize, output: usize, scratch: usize| {
        let [input, packed, bias] = [input, packed, bias].map(|len| vec![0.0; len]);
        let [mut output, mut scratch] = [output, scratch].map(|len| vec![0.0; len]);
        winograd.forward(&input, &packed, Some(&bias), Activation::None, &mut output, &mut scratch)
    };
    let right = [162, len, 3, 147, winograd.forward_scratch_len()];
    for wrong in 0..6 {
        let [input, packed, bias, output, scratch] =
            std::array::from_fn(|i| right[i] + usize::from(i == wrong));
        assert_eq!(forward(input, packed, bias, output, scratch).is_ok(), wrong == 5, "{wrong}");
    }
}

/// The choice is one that can be made, and direct where Winograd's is not.
#[test]
fn choice() {
    let geometry = |input, kernel, features, stride, padding| {
        Geometry::new(input, [kernel; 2], features, [stride; 2], padding).unwrap()
    };
    for isa in isas() {
        let choose = |g: Geometry| Algorithm::choose(isa, &g);
        let direct = [
            geometry([1, 28, 28, 1], 5, 32, 1, Padding::Valid),
            geometry([1, 3, 3, 64], 3, 64, 1, Padding::Valid),
            geometry([1, 56, 56, 8], 3, 16, 2, Padding::Same),
            geometry([1, 14, 14, 512], 3, 512, 2, Padding::Same),
            geometry([1, 56, 56, 64], 5, 64, 1, Padding::Same),
            geometry([1, 1, 1, 64], 1, 64, 1, Padding::Same),
        ];
        for g in direct {
            assert_eq!(choose(g), Algorithm::Direct, "{isa} {g:?}");
        }
        let asked = geometry([1, 56, 56, 64], 3, 64, 1, Padding::Same).direct_only();
        for choose in [Algorithm::choose, Algorithm::choose_grad_input, Algorithm::choose_grad_weights] {
            assert_eq!(choose(isa, &asked), Algorithm::Direct, "{isa}");
        }
        let stem = geometry([1, 224, 224, 3], 7, 64, 2, Padding::Same);
        let few = geometry([1, 224, 224, 3], 3, 64, 1, Padding::Same);
        let strided = geometry([1, 56, 56, 128], 3, 128, 2, Padding::Same);
        for g in [stem, few, strided] {
            let fits = RowTiles::new(isa, &g).is_ok();
            assert_eq!(choose(g), if fits { Algorithm::RowTiles } else { Algorithm::Direct }, "{isa} {g:?}");
        }
        let large = choose(geometry([1, 56, 56, 64], 3, 64, 1, Padding::Same));
        let exact = choose(geometry([64, 5, 5, 64], 3, 64, 1, Padding::Valid));
        let two_by_two = choose(geometry([64, 12, 12, 32], 3, 64, 1, Padding::Valid));
        if isa == Isa::SCALAR {
            assert_eq!(
                [large, exact, two_by_two],
                [Algorithm::RowPairs, Algorithm::Direct, Algorithm::RowPairs]
            );
        } else {
            let tiles = [Tile::F4, Tile::F3, Tile::F5].map(Algorithm::Winograd);
            assert_eq!([large, exact, two_by_two], tiles, "{isa}");
        }
    }
    for name in [
        "direct",
        "winograd2x1",
        "winograd1x4",
        "winograd2",
        "winograd3",
        "winograd4",
        "winograd5",
        "winograd6",
    ] {
        assert_eq!(conv2d::Algorithm::named(name).map(Algorithm::name), Some(name));
    }
    assert_eq!(Algorithm::named("fft"), None);
}

#[test]
fn grad_weights() {
    for_each_shape(|g, numbers| {
        let input = numbers.take(1, len(g.input()));
        let d_output = numbers.take(2, len(g.output()));
        let want: Vec<_> = reference::conv2d::grad_weights(g, &input, &d_output).collect();
        let [_, _, cin, cout] = g.weights();
        let scale = largest(&input) * largest_sum(&d_output, cout, 1);
        let [batch, height, width, _] = g.output();
        for_each_way(g, |winograd, isa, tile| {
            let part = |channels: std::ops::Range<usize>| {
                let mut scratch = vec![f32::NAN; winograd.grad_weights_scratch_len(channels.len())];
                written(9 * channels.len() * cout, |d_weights| {
                    winograd.grad_weights(&input, &d_output, channels, d_weights, &mut scratch).unwrap();
                })
            };
            let whole = part(0..cin);
            let tiles = batch * height.div_ceil(tile.side()) * width.div_ceil(tile.side());
            compare(g, (isa, tile), &whole, &want, tiles, scale);
            // However the channels are parted, the bits are the same.
            let parts = [part(0..cin / 2), part(cin / 2..cin)];
            let taps = |part: &[f32], tap: usize| part[tap * part.len() / 9..][..part.len() / 9].to_vec();
            let joined: Vec<_> =
                (0..9).flat_map(|tap| [taps(&parts[0], tap), taps(&parts[1], tap)]).collect();
            assert_eq!(bits(&whole), bits(&joined.concat()), "{isa} {g:?} {tile:?}");
        });
    });
}
