//! Winograd's algorithm along rows or columns.

use super::{UNEVEN, activations, largest, largest_sum, len, mean_error, within};
use crate::support::{Numbers, bits, isas, shapes, written};
use bantam_kernels::conv2d::winograd::{Along, Lines, Tile};
use bantam_kernels::conv2d::{Activation, Geometry, Padding};
use bantam_kernels::{Error, Isa, reference};
use proptest::prelude::*;

/// Input; window, stride and dilation across the lines; window along them; output channels and padding.
type Shape = ([usize; 4], [usize; 3], usize, usize, Padding);

fn geometry(
    (input, [window, stride, dilation], taps, features, padding): Shape,
    along: Along,
) -> Result<Geometry, Error> {
    let turned = |[across, line]: [usize; 2]| match along {
        Along::Rows => [across, line],
        Along::Columns => [line, across],
    };
    let [kernel, strides, dilations] = [[window, taps], [stride, 1], [dilation, 1]].map(turned);
    Geometry::with_groups(input, kernel, features, strides, padding, dilations, 1)
}

/// All that is listed and some others, along rows and along columns, where there is such code.
fn for_each_shape(check: impl Fn(&Geometry, Along, Numbers)) {
    let input = (1..3usize, 1..20usize, 1..20usize, 1..40usize).prop_map(<[usize; 4]>::from);
    let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same), Just(UNEVEN)];
    let across = (1..5usize, 1..4usize, 1..3usize).prop_map(<[usize; 3]>::from);
    let fit =
        |&shape: &Shape| [Along::Rows, Along::Columns].iter().all(|&along| geometry(shape, along).is_ok());
    let any =
        (input, across, 3..14usize, 1..40usize, padding).prop_filter("the kernel exceeds the input", fit);
    let listed = [
        ([1, 17, 17, 16], [1, 1, 1], 7, 24, Padding::Same),
        ([2, 9, 8, 33], [5, 1, 1], 5, 17, Padding::Same),
        ([1, 3, 3, 1], [1, 1, 1], 3, 1, Padding::Valid),
        ([1, 1, 1, 3], [1, 1, 1], 7, 5, Padding::Same),
        ([1, 8, 8, 48], [1, 1, 1], 3, 64, UNEVEN),
        ([1, 12, 13, 8], [3, 2, 2], 4, 8, Padding::Same),
        // A window larger than the input, which two sides of padding hold.
        ([1, 2, 3, 5], [1, 1, 1], 7, 3, Padding::Explicit { top: 3, bottom: 3, left: 3, right: 3 }),
        // More lines than a block takes.
        ([1, 40, 40, 64], [3, 1, 1], 5, 40, Padding::Same),
    ];
    shapes(listed, any, |shape| {
        for along in [Along::Rows, Along::Columns] {
            let g = geometry(shape, along).unwrap();
            // The reference takes its time, where nothing is compared with it too.
            if lines(&g, along).next().is_none() {
                continue;
            }
            Numbers::ALL.into_iter().for_each(|numbers| check(&g, along, numbers));
        }
    });
}

fn lines(g: &Geometry, along: Along) -> impl Iterator<Item = (Isa, Lines)> {
    isas().into_iter().filter_map(move |isa| Some((isa, Lines::new(isa, g, along).ok()?)))
}

/// Whether an instruction set has lines, and how many channels and features they take at the least.
pub fn fewest(isa: Isa) -> Option<usize> {
    match isa.name() {
        "avx512" => Some(16),
        "avx2" => Some(8),
        "neon" | "simd128" if cfg!(feature = "std") => Some(4),
        _ => None,
    }
}

#[test]
fn forward() {
    for_each_shape(|g, along, numbers| {
        let input = numbers.take(1, len(g.input()));
        let weights = numbers.take(2, len(g.weights()));
        let bias = numbers.take(3, g.output()[3]);
        let want: Vec<_> = reference::conv2d::forward(g, &input, &weights, Some(&bias)).collect();
        let [_, _, _, cout] = g.weights();
        let scale = largest(&input) * largest_sum(&weights, cout, 1) + largest(&bias);
        for (isa, lines) in lines(g, along) {
            let what = format!("{isa} {along:?} {g:?}");
            let packed = written(lines.packed_len(), |packed| lines.pack(&weights, packed).unwrap());
            let mut scratch = vec![f32::NAN; lines.scratch_len()];
            let mut run = |activation| {
                written(len(g.output()), |output| {
                    lines.forward(&input, &packed, Some(&bias), activation, output, &mut scratch).unwrap();
                })
            };
            let got = run(Activation::None);
            within((lines.error_bound() * scale, mean_error(Tile::F4)), g, &what, &got, &want);
            activations(&got, run, &what);
        }
    });
}

/// The same bits if the images are parted between rows of tiles.
#[test]
fn parts() {
    for along in [Along::Rows, Along::Columns] {
        for (taps, padding) in [3, 5, 7].into_iter().zip([Padding::Same, Padding::Valid, UNEVEN]) {
            let g = geometry(([1, 21, 19, 17], [3, 1, 1], taps, 21, padding), along).unwrap();
            let (input, weights) =
                (Numbers::Reals.take(1, len(g.input())), Numbers::Reals.take(2, len(g.weights())));
            for (isa, whole) in lines(&g, along) {
                let packed = written(whole.packed_len(), |packed| whole.pack(&weights, packed).unwrap());
                let run = |g: &Geometry, input: &[f32]| {
                    let lines = Lines::new(isa, g, along).unwrap();
                    let mut scratch = vec![f32::NAN; lines.scratch_len()];
                    written(len(g.output()), |output| {
                        lines.forward(input, &packed, None, Activation::None, output, &mut scratch).unwrap();
                    })
                };
                let height = g.output()[1];
                let part = |rows| {
                    let (part, seen) = g.rows(rows).unwrap();
                    run(&part, &input[seen.start * 19 * 17..seen.end * 19 * 17])
                };
                let parts = [part(0..4), part(4..12), part(12..height)].concat();
                assert_eq!(bits(&run(&g, &input)), bits(&parts), "{isa} {along:?} {g:?}");
            }
        }
    }
}

#[test]
fn refusals() {
    let fitting = ([1, 9, 9, 16], [3, 2, 2], 3, 16, Padding::Valid);
    for along in [Along::Rows, Along::Columns] {
        let g = geometry(fitting, along).unwrap();
        for isa in isas() {
            assert_eq!(Lines::new(isa, &g, along).is_ok(), fewest(isa).is_some(), "{isa}");
            let other = if along == Along::Rows { Along::Columns } else { Along::Rows };
            // Strides and dilation along the line.
            assert_eq!(Lines::new(isa, &g, other), Err(Error::NotWinograd));
            let of = |kernel: [usize; 2], groups| {
                Geometry::with_groups([1, 9, 9, 2], kernel, 4, [1, 1], Padding::Valid, [1, 1], groups)
                    .unwrap()
            };
            for g in [of([2, 2], 1), of([3, 3], 2)] {
                assert_eq!(Lines::new(isa, &g, along), Err(Error::NotWinograd));
            }
        }
        for (isa, lines) in lines(&g, along) {
            let len = lines.packed_len();
            let [weights, features] = [g.weights().iter().product(), 16];
            let refused = |weights: usize, packed: usize| {
                matches!(lines.pack(&vec![0.0; weights], &mut vec![0.0; packed]), Err(Error::Length { .. }))
            };
            assert!(
                !refused(weights, len) && refused(weights - 1, len) && refused(weights, len - 1),
                "{isa}"
            );
            let right = [9 * 9 * 16, len, features, g.output().iter().product(), lines.scratch_len()];
            for wrong in 0..6 {
                let [input, packed, bias, output, scratch] =
                    std::array::from_fn(|i| vec![0.0; right[i] + usize::from(i == wrong)]);
                let (mut output, mut scratch) = (output, scratch);
                let activation = Activation::None;
                let got = lines.forward(&input, &packed, Some(&bias), activation, &mut output, &mut scratch);
                assert_eq!(got.is_ok(), wrong == 5, "{isa} {wrong}");
            }
        }
    }
}
