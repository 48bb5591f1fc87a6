//! Pairs of rows, F(2, 3) along the columns.

use super::*;

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
