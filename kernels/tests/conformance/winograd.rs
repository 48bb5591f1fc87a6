//! Winograd's algorithm rounds differently from the definition, so that even integers do not agree
//! to the bit. It must stay within its stated bound, and within the mean error that follows from
//! the length of the sum.

mod lines;
mod range;
mod row_pairs;

use crate::support::{Numbers, bits, isas, shapes, written};
use bantam_kernels::conv2d::winograd::{Along, Lines, RowPairs, RowTiles, Tile, Winograd};
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
    ([2, 30, 31, 3], 37, Padding::Same),
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

/// The instruction sets that there are tiles of squares for.
fn with_vectors() -> impl Iterator<Item = Isa> {
    isas().into_iter().filter(|&isa| isa != Isa::SCALAR)
}

/// Every way to compute a convolution.
fn for_each_way(g: &Geometry, check: impl Fn(Winograd, Isa, Tile)) {
    for isa in with_vectors() {
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
        let g = row_geometry(shape).unwrap();
        // The reference takes its time, where nothing is compared with it too.
        if row_tiles(&g).next().is_some() {
            Numbers::ALL.into_iter().for_each(|numbers| check(&g, numbers));
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
    for isa in with_vectors() {
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
    for (isa, along) in with_vectors().flat_map(|isa| [Along::Rows, Along::Columns].map(|along| (isa, along)))
    {
        let Ok(lines) = Lines::new(isa, &g, along) else { continue };
        let run: Run = Box::new(move |input, weights, bias, activation| {
            let packed = written(lines.packed_len(), |packed| lines.pack(weights, packed).unwrap());
            let mut scratch = vec![f32::NAN; lines.scratch_len()];
            let mut output = vec![f32::NAN; len(g.output())];
            lines.forward(input, &packed, Some(bias), activation, &mut output, &mut scratch)?;
            Ok(output)
        });
        ways.push(Way {
            what: format!("{isa} {g:?} {along:?}"),
            run,
            bound: lines.error_bound(),
            pooled: false,
        });
    }
    for isa in with_vectors().filter(|_| Winograd::fits(&g)) {
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

#[test]
fn refusals() {
    let new = |isa, kernel, stride| Winograd::new(isa, &other(kernel, stride), Tile::F2).map(|_| ());
    fn other(kernel: usize, stride: usize) -> Geometry {
        Geometry::new([1, 9, 9, 2], [kernel; 2], 3, [stride; 2], Padding::Valid).unwrap()
    }
    assert_eq!(new(Isa::SCALAR, 3, 1), Err(Error::NotWinograd));
    let Some(isa) = with_vectors().next() else { return };
    assert_eq!(new(isa, 3, 1), Ok(()));
    assert_eq!(new(isa, 3, 2), Err(Error::NotWinograd));
    assert_eq!(new(isa, 5, 1), Err(Error::NotWinograd));

    let winograd = Winograd::new(isa, &other(3, 1), Tile::F4).unwrap();
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
        let five = choose(geometry([1, 56, 56, 64], 5, 64, 1, Padding::Same));
        let seven =
            |kernel| choose(Geometry::new([1, 17, 17, 192], kernel, 192, [1, 1], Padding::Same).unwrap());
        let by_lines = [Along::Rows, Along::Rows, Along::Columns].map(Algorithm::Lines);
        let has_lines = lines::fewest(isa).is_some();
        let expected = if has_lines { by_lines } else { [Algorithm::Direct; 3] };
        assert_eq!([five, seven([1, 7]), seven([7, 1])], expected, "{isa}");
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
        "winograd-rows",
        "winograd-columns",
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
