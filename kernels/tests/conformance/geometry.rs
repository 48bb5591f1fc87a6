//! Shapes, and where padding goes: what the reference takes for granted.

use crate::support::{isas, shapes, written};
use bantam_kernels::conv2d::{self, Activation, Geometry, Padding};
use bantam_kernels::max_pool2d::Windows;
use bantam_kernels::{Error, Isa, avg_pool2d, max_pool2d};
use proptest::prop_oneof;

/// Convolution of the row 1, 2, 3, … with weights 1, 10, 100, …, so that digits tell what each
/// output saw.
fn digits(
    isa: Isa,
    width: usize,
    kernel: usize,
    stride: usize,
    padding: Padding,
    vertical: bool,
) -> Vec<f32> {
    let turn = |[a, b]: [usize; 2]| if vertical { [b, a] } else { [a, b] };
    let [height, width_or_one] = turn([1, width]);
    let input = [1, height, width_or_one, 1];
    let g = Geometry::new(input, turn([1, kernel]), 1, turn([1, stride]), padding).unwrap();
    let row: Vec<f32> = (1..=width).map(|i| i as f32).collect();
    let weights: Vec<f32> = (0..kernel).map(|i| 10f32.powi(i as i32)).collect();
    let mut packed = vec![0.0; conv2d::packed_len(isa, &g)];
    conv2d::pack(isa, &g, &weights, &mut packed).unwrap();
    written(g.output().iter().product(), |output| {
        conv2d::forward(isa, &g, &row, &packed, None, Activation::None, output).unwrap();
    })
}

#[test]
fn padding_goes_where_keras_puts_it() {
    for isa in isas() {
        for vertical in [false, true] {
            let same = |width, kernel, stride| digits(isa, width, kernel, stride, Padding::Same, vertical);
            assert_eq!(same(4, 2, 1), [21.0, 32.0, 43.0, 4.0]);
            assert_eq!(same(4, 3, 1), [210.0, 321.0, 432.0, 43.0]);
            assert_eq!(same(4, 3, 2), [321.0, 43.0]);
            assert_eq!(same(5, 3, 2), [210.0, 432.0, 54.0]);
            assert_eq!(same(3, 5, 1), [32100.0, 3210.0, 321.0]);
            assert_eq!(same(5, 1, 3), [1.0, 4.0]);
            let valid = |width, kernel, stride| digits(isa, width, kernel, stride, Padding::Valid, vertical);
            assert_eq!(valid(6, 3, 2), [321.0, 543.0]);
            let (top, bottom) = if vertical { (2, 1) } else { (0, 0) };
            let (left, right) = if vertical { (0, 0) } else { (2, 1) };
            let padding = Padding::Explicit { top, bottom, left, right };
            assert_eq!(digits(isa, 2, 2, 1, padding, vertical), [0.0, 10.0, 21.0, 2.0]);
        }
    }
}

#[test]
fn max_pool_pads_as_keras_does() {
    for isa in isas() {
        let pool = |window, stride| {
            let g = max_pool2d::Geometry::new([1, 1, 5, 1], [1, window], [1, stride], Padding::Same).unwrap();
            written(g.output().iter().product(), |output| {
                max_pool2d::forward(isa, &g, Activation::None, &[-5.0, -4.0, -3.0, -2.0, -1.0], output)
                    .unwrap();
            })
        };
        assert_eq!(pool(2, 2), [-4.0, -2.0, -1.0]);
        assert_eq!(pool(3, 2), [-4.0, -2.0, -1.0]);
        assert_eq!(pool(2, 1), [-4.0, -3.0, -2.0, -1.0, -1.0]);
        assert_eq!(pool(4, 1), [-3.0, -2.0, -1.0, -1.0, -1.0]);
    }
}

/// Values of onnxruntime 1.32 and PyTorch 2.15, for 1, 2, 3, …
#[test]
fn ceil_mode_drops_windows_that_would_begin_in_the_padding_behind() {
    let pool = |width: usize, size: usize, stride: usize, pad: usize, average: bool| {
        let padding = Padding::Explicit { top: 0, bottom: 0, left: pad, right: pad };
        let windows = Windows { stride: [1, stride], padding, ceil: true, ..Windows::new([1, size]) };
        let windows = Windows { count_padding: true, ..windows };
        let g = max_pool2d::Geometry::of([1, 1, width, 1], &windows).unwrap();
        let row: Vec<f32> = (1..=width).map(|i| i as f32).collect();
        let isas = isas().into_iter().map(|isa| {
            written(g.output().iter().product(), |output| {
                if average {
                    avg_pool2d::forward(isa, &g, &row, output).unwrap();
                } else {
                    max_pool2d::forward(isa, &g, Activation::None, &row, output).unwrap();
                }
            })
        });
        let results: Vec<_> = isas.collect();
        assert!(results.iter().all(|result| *result == results[0]));
        results[0].clone()
    };
    assert_eq!(pool(5, 2, 3, 0, false), [2.0, 5.0]);
    assert_eq!(pool(5, 2, 3, 1, false), [1.0, 4.0]);
    assert_eq!(pool(6, 3, 2, 0, true), [2.0, 4.0, 5.5]);
    assert_eq!(pool(6, 3, 2, 1, true), [1.0, 3.0, 5.0, 3.0]);
}

#[test]
fn windows_that_could_see_nothing_are_refused() {
    let pool = |width, windows| max_pool2d::Geometry::of([1, 1, width, 1], &windows).map(|g| g.output());
    let dilated = |padding| Windows { dilation: [1, 3], padding, ..Windows::new([1, 2]) };
    let dilation = Error::OutOfRange { what: "dilation", max: 2, got: 3 };
    assert_eq!(pool(2, dilated(Padding::Same)), Err(dilation));
    assert_eq!(pool(3, dilated(Padding::Same)), Ok([1, 1, 2, 1]));
    let around = |pad| Padding::Explicit { top: 0, bottom: 0, left: pad, right: 0 };
    assert_eq!(pool(3, dilated(around(3))), Ok([1, 1, 2, 1]));
    assert_eq!(pool(3, dilated(around(4))), Err(Error::OutOfRange { what: "padding", max: 3, got: 4 }));
}

/// As many outputs as there are places for the window, and multiply-adds as there are pairs of a
/// place and a tap inside the input.
#[test]
fn outputs_are_the_places_of_the_window() {
    let any = (1..30usize, 1..8usize, 1..6usize, 1..6usize, 0..9usize, 0..9usize);
    shapes([], any, |(width, kernel, stride, dilation, left, right)| {
        let padding = Padding::Explicit { top: 0, bottom: 0, left, right };
        let shape = ([1, 1, width, 1], [1, kernel], 1, [1, stride], padding, [1, dilation], 1);
        let geometry = Geometry::with_groups(shape.0, shape.1, shape.2, shape.3, shape.4, shape.5, shape.6);
        let (padded, extent) = (left + width + right, (kernel - 1) * dilation + 1);
        let places = (0..).step_by(stride).take_while(|place| place + extent <= padded);
        let inside = |place: usize| {
            let taps = (place..place + extent).step_by(dilation);
            taps.filter(|at| (left..left + width).contains(at)).count() as u64
        };
        match geometry {
            Ok(g) => {
                assert_eq!(g.output(), [1, 1, places.clone().count(), 1]);
                assert_eq!(g.multiply_adds(), places.map(inside).sum::<u64>());
            }
            Err(error) => {
                assert_eq!(places.count(), 0);
                assert_eq!(error, Error::WindowExceedsInput { window: extent, padded });
            }
        }
    });
}

/// The same for odd and for large sizes, and for what is left of an output that is cut.
#[test]
fn multiply_adds_of_any_axis_are_counted_in_no_time() {
    let size = |most: usize| prop_oneof![1..40usize, 1..most];
    let any =
        (size(3000), size(500), size(700), size(90), 0..3usize, 0..2500usize, 0..2500usize, 1..3000usize);
    shapes([], any, |(width, kernel, stride, dilation, padding, left, right, cut)| {
        let padding = match padding {
            0 => Padding::Valid,
            1 => Padding::Same,
            _ => Padding::Explicit { top: 0, bottom: 0, left, right },
        };
        let shape = ([1, 1, width, 1], [1, kernel], [1, stride], [1, dilation]);
        let geometry = Geometry::with_groups(shape.0, shape.1, 1, shape.2, padding, shape.3, 1);
        let Ok(g) = geometry.map(|g| g.cropped([1, cut])) else { return };
        let before = match padding {
            Padding::Valid => 0,
            Padding::Same => {
                let reach = (width.div_ceil(stride) - 1) * stride + (kernel - 1) * dilation + 1;
                reach.saturating_sub(width) / 2
            }
            Padding::Explicit { left, .. } => left,
        };
        let inside = |place: usize| {
            let first = before.saturating_sub(place * stride).div_ceil(dilation);
            let end = (before + width).saturating_sub(place * stride).div_ceil(dilation).min(kernel);
            end.saturating_sub(first) as u64
        };
        assert_eq!(g.multiply_adds(), (0..g.output()[2]).map(inside).sum::<u64>(), "{g:?}");
    });

    // Five taps of as many positions as there can be, less those that see two and two of padding.
    let n = 1 << (usize::BITS - 4);
    let g = Geometry::new([1, n, 1, 1], [5, 1], 1, [1, 1], Padding::Same).unwrap();
    assert_eq!(g.multiply_adds(), 5 * n as u64 - 6);
}
