//! Arguments that do not fit are refused with an error that says what was expected and what came,
//! and nothing is written.

use crate::support::{isas, updated};
use bantam_kernels::conv2d::winograd::{Tile, Winograd};
use bantam_kernels::conv2d::{self, Activation, Geometry, Padding};
use bantam_kernels::loss::{CrossEntropy, MeanSquaredError, Rows};
use bantam_kernels::normalization::Groups;
use bantam_kernels::warp::{self, Affine, Fill, Interpolation};
use bantam_kernels::{
    Error, Isa, avg_pool2d, channels, depthwise_conv2d, elementwise, global_max_pool2d, loss, max_pool2d,
    normalization, optimizer, recurrent, reduce, softmax, upsample2d,
};

const HUGE: usize = usize::MAX / 2;
/// More than the root of what memory can hold.
const WIDE: usize = 1 << (usize::BITS * 5 / 8);

fn convolution(
    input: [usize; 4],
    kernel: [usize; 2],
    features: usize,
    stride: [usize; 2],
) -> Result<Geometry, Error> {
    Geometry::new(input, kernel, features, stride, Padding::Valid)
}

#[test]
fn shapes_of_a_convolution() {
    let zero = |what| Err(Error::ZeroSize { what });
    assert_eq!(convolution([0, 5, 5, 1], [3, 3], 1, [1, 1]), zero("batch"));
    assert_eq!(convolution([1, 0, 5, 1], [3, 3], 1, [1, 1]), zero("input extent"));
    assert_eq!(convolution([1, 5, 5, 0], [3, 3], 1, [1, 1]), zero("input channels"));
    assert_eq!(convolution([1, 5, 5, 1], [3, 0], 1, [1, 1]), zero("window"));
    assert_eq!(convolution([1, 5, 5, 1], [3, 3], 0, [1, 1]), zero("output channels"));
    assert_eq!(convolution([1, 5, 5, 1], [3, 3], 1, [0, 1]), zero("stride"));
    let wide = convolution([1, 5, 5, 1], [3, 6], 1, [1, 1]);
    assert_eq!(wide, Err(Error::WindowExceedsInput { window: 6, padded: 5 }));
    assert_eq!(convolution([HUGE, 5, 5, 1], [3, 3], 1, [1, 1]), Err(Error::TooLarge { what: "input" }));
    assert_eq!(convolution([1, 5, 5, 1], [3, 3], HUGE, [1, 1]), Err(Error::TooLarge { what: "output" }));
    assert_eq!(convolution([1, 1, 1, WIDE], [1, 1], WIDE, [1, 1]), Err(Error::TooLarge { what: "weights" }));
    for far in [usize::MAX, HUGE + 1] {
        let padding = Padding::Explicit { top: far, bottom: 0, left: 0, right: 0 };
        let padded = Geometry::new([1, 5, 5, 1], [3, 3], 1, [1, 1], padding);
        assert_eq!(padded, Err(Error::TooLarge { what: "padded input" }));
        let same = Geometry::new([1, 5, 5, 1], [far, 3], 1, [1, 1], Padding::Same);
        assert_eq!(same, Err(Error::TooLarge { what: "padded input" }));
    }
    let g = convolution([4, 5, 5, 1], [3, 3], 1, [1, 1]).unwrap();
    assert_eq!([0, 3, HUGE].map(|images| g.first(images).input()[0]), [1, 3, 4]);
}

#[test]
fn groups_and_dilation() {
    let geometry = |cin, cout, stride, dilation, groups| {
        let shape = ([1, 9, 9, cin], [3, 3], cout, [1, stride], Padding::Valid);
        Geometry::with_groups(shape.0, shape.1, shape.2, shape.3, shape.4, [1, dilation], groups)
    };
    assert!(geometry(6, 4, 1, 4, 2).is_ok() && geometry(6, 4, 2, 1, 2).is_ok());
    assert_eq!(geometry(6, 4, 1, 1, 3), Err(Error::Groups { groups: 3, channels: 4 }));
    assert_eq!(geometry(6, 4, 1, 1, 4), Err(Error::Groups { groups: 4, channels: 6 }));
    assert_eq!(geometry(6, 4, 1, 1, 0), Err(Error::ZeroSize { what: "groups" }));
    assert_eq!(geometry(6, 4, 1, 0, 1), Err(Error::ZeroSize { what: "dilation" }));
    assert_eq!(geometry(6, 4, 1, 5, 1), Err(Error::WindowExceedsInput { window: 11, padded: 9 }));
    assert_eq!(geometry(6, 4, 1, usize::MAX, 1), Err(Error::TooLarge { what: "window" }));
    assert!(geometry(6, 4, 2, 2, 1).is_ok());
    for (dilation, groups) in [(2, 1), (1, 2)] {
        let g = geometry(6, 4, 1, dilation, groups).unwrap();
        assert_eq!(Winograd::new(Isa::detect(), &g, Tile::F2), Err(Error::NotWinograd));
    }
}

#[test]
fn shapes_of_a_depthwise_convolution() {
    let new = |input, kernel, multiplier, stride| {
        depthwise_conv2d::Geometry::new(input, kernel, multiplier, stride, Padding::Valid)
    };
    let zero = |what| Err(Error::ZeroSize { what });
    assert_eq!(new([0, 5, 5, 1], [3, 3], 1, [1, 1]), zero("batch"));
    assert_eq!(new([1, 5, 5, 0], [3, 3], 1, [1, 1]), zero("channels"));
    assert_eq!(new([1, 5, 5, 1], [3, 3], 0, [1, 1]), zero("multiplier"));
    assert_eq!(new([1, 5, 5, 1], [3, 0], 1, [1, 1]), zero("window"));
    assert_eq!(new([1, 5, 5, 1], [3, 3], 1, [0, 1]), zero("stride"));
    let wide = new([1, 5, 5, 1], [3, 6], 1, [1, 1]);
    assert_eq!(wide, Err(Error::WindowExceedsInput { window: 6, padded: 5 }));
    let large = |what| Err(Error::TooLarge { what });
    assert_eq!(new([HUGE, 5, 5, 1], [3, 3], 1, [1, 1]), large("input"));
    assert_eq!(new([1, 5, 5, 4], [3, 3], HUGE, [1, 1]), large("output"));
    let half = usize::BITS / 2;
    assert_eq!(new([1, 5, 5, 1 << (half - 2)], [5, 5], 1 << (half - 3), [1, 1]), large("weights"));
    let g = new([4, 5, 5, 1], [3, 3], 1, [1, 1]).unwrap();
    assert_eq!([0, 3, HUGE].map(|images| g.first(images).input()[0]), [1, 3, 4]);
    assert_eq!(g.first(1).multiply_adds(), 81);
}

#[test]
fn shapes_of_a_max_pool() {
    let pool = |window, padding| max_pool2d::Geometry::new([4, 300, 300, 2], window, [1, 1], padding);
    assert_eq!(pool([301, 1], Padding::Valid), Err(Error::WindowExceedsInput { window: 301, padded: 300 }));
    assert_eq!(pool([0, 1], Padding::Valid), Err(Error::ZeroSize { what: "window" }));
    // Such a window would see nothing.
    let padding = Padding::Explicit { top: 1, bottom: 2, left: 0, right: 0 };
    assert_eq!(pool([2, 2], padding), Err(Error::OutOfRange { what: "padding", max: 1, got: 2 }));
    let g = pool([2, 2], Padding::Valid).unwrap();
    assert_eq!([0, 3, HUGE].map(|images| g.first(images).input()[0]), [1, 3, 4]);
}

/// `kernel` gets an output that does not fit.
fn refuses(error: Error, output: usize, kernel: impl FnOnce(&mut [f32]) -> Result<(), Error>) {
    let mut result = Ok(());
    let output = updated(&vec![7.0; output], |output| result = kernel(output));
    assert_eq!(result, Err(error));
    assert!(output.iter().all(|&x| x == 7.0), "{error}: something was written");
}

fn length(what: &'static str, expected: usize, got: usize) -> Error {
    Error::Length { what, expected, got }
}

#[test]
fn lengths_of_a_convolution() {
    for isa in isas() {
        let g = convolution([1, 4, 4, 2], [3, 3], 3, [1, 1]).unwrap();
        let (input, output, weights) = ([1.0; 32], [1.0; 12], [1.0; 54]);
        let (len, turned) = (conv2d::packed_len(isa, &g), conv2d::packed_transposed_len(isa, &g));
        let (packed, packed_turned) = (vec![1.0; len], vec![1.0; turned]);
        let forward = |input: &[f32], packed: &[f32], bias: Option<&[f32]>, output: &mut [f32]| {
            conv2d::forward(isa, &g, input, packed, bias, Activation::None, output)
        };
        refuses(length("input", 32, 31), 12, |y| forward(&input[1..], &packed, None, y));
        refuses(length("packed weights", len, len - 1), 12, |y| forward(&input, &packed[1..], None, y));
        refuses(length("bias", 3, 2), 12, |y| forward(&input, &packed, Some(&[0.0; 2]), y));
        refuses(length("output", 12, 13), 13, |y| forward(&input, &packed, None, y));

        let grad = |d: &[f32], packed: &[f32], y: &mut [f32]| conv2d::grad_input(isa, &g, d, packed, y);
        refuses(length("output gradient", 12, 11), 32, |y| grad(&output[1..], &packed_turned, y));
        refuses(length("packed weights", turned, 0), 32, |y| grad(&output, &[], y));
        refuses(length("input gradient", 32, 31), 31, |y| grad(&output, &packed_turned, y));

        let grad = |x: &[f32], d: &[f32], rows, y: &mut [f32]| conv2d::grad_weights(isa, &g, x, d, rows, y);
        refuses(length("input", 32, 31), 54, |y| grad(&input[1..], &output, 0..18, y));
        refuses(length("output gradient", 12, 11), 54, |y| grad(&input, &output[1..], 0..18, y));
        refuses(length("weight gradient", 27, 54), 54, |y| grad(&input, &output, 3..12, y));
        let rows = Error::OutOfRange { what: "rows", max: 18, got: 19 };
        refuses(rows, 54, |y| grad(&input, &output, 1..19, y));

        refuses(length("weights", 54, 53), len, |y| conv2d::pack(isa, &g, &weights[1..], y));
        refuses(length("packed weights", len, 1), 1, |y| conv2d::pack(isa, &g, &weights, y));
        refuses(length("weights", 54, 53), turned, |y| conv2d::pack_transposed(isa, &g, &weights[1..], y));
        refuses(length("packed weights", turned, 1), 1, |y| conv2d::pack_transposed(isa, &g, &weights, y));
    }
}

#[test]
fn lengths_of_a_depthwise_convolution() {
    for isa in isas() {
        let g = depthwise_conv2d::Geometry::new([1, 4, 4, 2], [3, 3], 3, [1, 1], Padding::Valid).unwrap();
        let (input, output, weights) = ([1.0; 32], [1.0; 24], [1.0; 54]);
        let forward = |input: &[f32], weights: &[f32], bias: Option<&[f32]>, output: &mut [f32]| {
            depthwise_conv2d::forward(isa, &g, input, weights, bias, Activation::None, output)
        };
        refuses(length("input", 32, 31), 24, |y| forward(&input[1..], &weights, None, y));
        refuses(length("weights", 54, 53), 24, |y| forward(&input, &weights[1..], None, y));
        refuses(length("bias", 6, 2), 24, |y| forward(&input, &weights, Some(&[0.0; 2]), y));
        refuses(length("output", 24, 23), 23, |y| forward(&input, &weights, None, y));

        let grad = |d: &[f32], w: &[f32], y: &mut [f32]| depthwise_conv2d::grad_input(isa, &g, d, w, y);
        refuses(length("output gradient", 24, 23), 32, |y| grad(&output[1..], &weights, y));
        refuses(length("weights", 54, 53), 32, |y| grad(&output, &weights[1..], y));
        refuses(length("input gradient", 32, 33), 33, |y| grad(&output, &weights, y));

        let grad = |x: &[f32], d: &[f32], channels, y: &mut [f32]| {
            depthwise_conv2d::grad_weights(isa, &g, x, d, channels, y)
        };
        refuses(length("input", 32, 31), 54, |y| grad(&input[1..], &output, 0..2, y));
        refuses(length("output gradient", 24, 23), 54, |y| grad(&input, &output[1..], 0..2, y));
        refuses(length("weight gradient", 27, 54), 54, |y| grad(&input, &output, 1..2, y));
        let channels = Error::OutOfRange { what: "channels", max: 2, got: 3 };
        refuses(channels, 54, |y| grad(&input, &output, 1..3, y));
    }
}

#[test]
fn lengths_of_a_max_pool() {
    for isa in isas() {
        let g = max_pool2d::Geometry::new([1, 4, 4, 2], [2, 2], [2, 2], Padding::Valid).unwrap();
        let (input, output) = ([1.0; 32], [1.0; 8]);
        refuses(length("input", 32, 31), 8, |y| {
            max_pool2d::forward(isa, &g, Activation::None, &input[1..], y)
        });
        refuses(length("output", 8, 9), 9, |y| max_pool2d::forward(isa, &g, Activation::None, &input, y));
        let with_argmax = |input: &[f32], y: &mut [f32], argmax: usize| {
            let mut bytes = vec![9; argmax];
            let result = max_pool2d::forward_argmax(isa, &g, Activation::None, input, y, &mut bytes);
            assert!(bytes.iter().all(|&byte| byte == 9));
            result
        };
        refuses(length("input", 32, 31), 8, |y| with_argmax(&input[1..], y, 8));
        refuses(length("output", 8, 7), 7, |y| with_argmax(&input, y, 8));
        refuses(length("argmax", 8, 7), 8, |y| with_argmax(&input, y, 7));
        let grad = |d: &[f32], argmax, y: &mut [f32]| max_pool2d::grad_input(isa, &g, d, argmax, y);
        refuses(length("output gradient", 8, 7), 32, |y| grad(&output[1..], &[0; 8], y));
        refuses(length("argmax", 8, 9), 32, |y| grad(&output, &[0; 9], y));
        refuses(length("input gradient", 32, 31), 31, |y| grad(&output, &[0; 8], y));
    }
}

#[test]
fn lengths_of_an_average_pool() {
    for isa in isas() {
        let g = avg_pool2d::Geometry::new([1, 4, 4, 2], [2, 2], [2, 2], Padding::Valid).unwrap();
        let (input, output) = ([1.0; 32], [1.0; 8]);
        refuses(length("input", 32, 31), 8, |y| avg_pool2d::forward(isa, &g, &input[1..], y));
        refuses(length("output", 8, 9), 9, |y| avg_pool2d::forward(isa, &g, &input, y));
        refuses(length("output gradient", 8, 7), 32, |y| avg_pool2d::grad_input(isa, &g, &output[1..], y));
        refuses(length("input gradient", 32, 31), 31, |y| avg_pool2d::grad_input(isa, &g, &output, y));
    }
}

#[test]
fn lengths_of_an_up_sampling() {
    let (four, three, two) = (&[1.0; 4], &[1.0; 3], &[1.0; 2]);
    for isa in isas() {
        let up = |input, factors, y: &mut [f32]| upsample2d::bilinear(isa, input, factors, two, y);
        refuses(length("input", 3, 2), 6, |y| up([1, 1, 3, 1], [1, 2], y));
        refuses(length("output", 4, 3), 3, |y| up([1, 1, 2, 1], [1, 2], y));
        refuses(Error::ZeroSize { what: "factor" }, 2, |y| up([1, 1, 2, 1], [1, 0], y));
        refuses(Error::ZeroSize { what: "channels" }, 2, |y| up([1, 1, 2, 0], [1, 1], y));
        refuses(Error::TooLarge { what: "output" }, 2, |y| up([1, 1, 2, 1], [HUGE, 2], y));
        let grad = |d: &[f32], d_x: &mut [f32]| upsample2d::grad_bilinear(isa, [1, 1, 2, 1], [1, 2], d, d_x);
        refuses(length("output gradient", 4, 3), 2, |d_x| grad(three, d_x));
        refuses(length("input gradient", 2, 3), 3, |d_x| grad(four, d_x));
    }
}

#[test]
fn lengths_of_channels() {
    let (four, three, two) = (&[1.0; 4], &[1.0; 3], &[1.0; 2]);
    for isa in isas() {
        let scale_shift = |x: &[f32], stride, scale: &[f32], shift: &[f32], y: &mut [f32]| {
            channels::scale_shift(isa, Activation::None, 2, 2, x, stride, scale, shift, y)
        };
        refuses(length("input", 5, 4), 4, |y| scale_shift(four, 3, two, two, y));
        refuses(length("scale", 2, 3), 4, |y| scale_shift(four, 2, three, two, y));
        refuses(length("shift", 2, 3), 4, |y| scale_shift(four, 2, two, three, y));
        refuses(length("output", 4, 5), 5, |y| scale_shift(four, 2, two, two, y));
        let narrow = Error::OutOfRange { what: "columns", max: 1, got: 2 };
        refuses(narrow, 4, |y| scale_shift(four, 1, two, two, y));
        let in_place = |scale: &[f32], shift: &[f32], y: &mut [f32]| {
            channels::scale_shift_in_place(isa, Activation::None, 2, 2, scale, shift, y)
        };
        refuses(length("scale", 2, 3), 4, |y| in_place(three, two, y));
        refuses(length("shift", 2, 3), 4, |y| in_place(two, three, y));
        refuses(length("output", 4, 5), 5, |y| in_place(two, two, y));

        let shift =
            |shift: &[f32], y: &mut [f32]| channels::shift_in_place(isa, Activation::None, 2, 2, shift, y);
        refuses(length("shift", 2, 3), 4, |y| shift(three, y));
        refuses(length("output", 4, 3), 3, |y| shift(two, y));

        let mul = |x: &[f32], scale: &[f32], y: &mut [f32]| channels::mul(isa, 1, 2, 2, x, scale, y);
        refuses(length("input", 4, 3), 4, |y| mul(three, two, y));
        refuses(length("scale", 2, 3), 4, |y| mul(four, three, y));
        refuses(length("output", 4, 3), 3, |y| mul(four, two, y));
        refuses(length("output", 4, 3), 3, |y| channels::mul_assign(isa, 1, 2, 2, y, two));
        refuses(length("scale", 2, 3), 4, |y| channels::mul_assign(isa, 1, 2, 2, y, three));
        refuses(Error::TooLarge { what: "output" }, 4, |y| channels::mul_assign(isa, HUGE, 2, 2, y, two));

        let normalize = |x: &[f32], mean: &[f32], scale: &[f32], y: &mut [f32]| {
            channels::normalize(isa, 2, 2, x, mean, scale, y)
        };
        refuses(length("input", 4, 3), 4, |y| normalize(three, two, two, y));
        refuses(length("mean", 2, 3), 4, |y| normalize(four, three, two, y));
        refuses(length("scale", 2, 3), 4, |y| normalize(four, two, three, y));
        refuses(length("output", 4, 3), 3, |y| normalize(four, two, two, y));
        for prelu in [channels::prelu, channels::prelu_slopes] {
            refuses(length("input", 4, 3), 4, |y| prelu(isa, 2, 2, three, two, y));
            refuses(length("alpha", 2, 3), 4, |y| prelu(isa, 2, 2, four, three, y));
            refuses(length("output", 4, 3), 3, |y| prelu(isa, 2, 2, four, two, y));
        }
        refuses(length("alpha", 2, 3), 4, |y| channels::prelu_in_place(isa, 2, 2, three, y));
        refuses(length("output", 4, 3), 3, |y| channels::prelu_in_place(isa, 2, 2, two, y));
        let grad_alpha = |d: &[f32], x: &[f32], y: &mut [f32]| channels::grad_alpha(isa, 2, 2, d, x, y);
        refuses(length("output gradient", 4, 3), 2, |y| grad_alpha(three, four, y));
        refuses(length("input", 4, 3), 2, |y| grad_alpha(four, three, y));
        refuses(length("alpha gradient", 2, 3), 3, |y| grad_alpha(four, four, y));

        let grad =
            |d: &[f32], x: &[f32], stride, y: &mut [f32]| channels::grad_scale(isa, 1, 2, 2, d, x, stride, y);
        refuses(length("output gradient", 4, 3), 2, |y| grad(three, four, 2, y));
        refuses(length("input", 5, 4), 2, |y| grad(four, four, 3, y));
        refuses(length("scale gradient", 2, 3), 3, |y| grad(four, four, 2, y));
        refuses(narrow, 2, |y| grad(four, four, 1, y));

        let pool = |pixels, x: &[f32], y: &mut [f32]| global_max_pool2d::forward(isa, 1, pixels, 2, x, y);
        refuses(Error::ZeroSize { what: "pixels" }, 2, |y| pool(0, &[], y));
        refuses(length("input", 4, 3), 2, |y| pool(2, three, y));
        refuses(length("output", 2, 3), 3, |y| pool(2, four, y));
        let grad = |x: &[f32], y: &[f32], d: &[f32], d_x: &mut [f32]| {
            global_max_pool2d::grad_input(isa, 1, 2, 2, x, y, d, d_x)
        };
        refuses(length("input", 4, 3), 4, |d_x| grad(three, two, two, d_x));
        refuses(length("output", 2, 3), 4, |d_x| grad(four, three, two, d_x));
        refuses(length("output gradient", 2, 3), 4, |d_x| grad(four, two, three, d_x));
        refuses(length("input gradient", 4, 3), 3, |d_x| grad(four, two, two, d_x));
    }
    refuses(length("input", 3, 4), 3, |y| channels::copy(2, 1, four, 2, y, 2));
    refuses(length("output", 3, 4), 4, |y| channels::copy(2, 1, three, 2, y, 2));
    refuses(Error::OutOfRange { what: "columns", max: 1, got: 2 }, 4, |y| {
        channels::copy(2, 2, four, 2, y, 1)
    });
}

#[test]
fn lengths_of_the_rest() {
    let (four, three) = (&[1.0; 4], &[1.0; 3]);
    for isa in isas() {
        let add = |a: &[f32], b: &[f32], y: &mut [f32]| elementwise::add(isa, Activation::None, a, b, y);
        let mul = |a: &[f32], b: &[f32], y: &mut [f32]| elementwise::mul(isa, a, b, y);
        refuses(length("first operand", 4, 3), 4, |y| add(three, four, y));
        refuses(length("second operand", 4, 3), 4, |y| add(four, three, y));
        refuses(length("first operand", 4, 3), 4, |y| mul(three, four, y));
        refuses(length("second operand", 4, 3), 4, |y| mul(four, three, y));
        let sub = |a: &[f32], b: &[f32], y: &mut [f32]| elementwise::sub(isa, a, b, y);
        refuses(length("first operand", 4, 3), 4, |y| sub(three, four, y));
        refuses(length("second operand", 4, 3), 4, |y| sub(four, three, y));
        refuses(length("operand", 4, 3), 4, |y| elementwise::sub_assign(isa, y, three));
        let which = elementwise::Extreme::Maximum;
        let extreme = |a: &[f32], b: &[f32], y: &mut [f32]| elementwise::extreme(isa, which, a, b, y);
        refuses(length("first operand", 4, 3), 4, |y| extreme(three, four, y));
        refuses(length("second operand", 4, 3), 4, |y| extreme(four, three, y));
        refuses(length("operand", 4, 3), 4, |y| elementwise::extreme_assign(isa, which, y, three));
        for keep in [elementwise::keep_equal, elementwise::keep_unequal] {
            refuses(length("first operand", 4, 3), 4, |d| keep(isa, three, four, d));
            refuses(length("second operand", 4, 3), 4, |d| keep(isa, four, three, d));
        }
        refuses(length("operand", 4, 3), 4, |d| elementwise::add_penalty_grad(isa, [1.0; 2], three, d));
        refuses(length("operand", 4, 3), 4, |y| elementwise::add_assign(isa, Activation::Relu, y, three));
        refuses(length("operand", 4, 3), 4, |y| elementwise::mul_assign(isa, y, three));
        refuses(length("operand", 4, 3), 4, |y| elementwise::map(isa, elementwise::Tanh, three, y));
        refuses(length("operand", 4, 3), 4, |y| elementwise::map_grad(isa, elementwise::Tanh, three, y));
        refuses(length("matrix", 6, 4), 3, |y| reduce::sum_rows(isa, 2, 3, four, y));
        refuses(length("column sums", 2, 3), 3, |y| reduce::sum_rows(isa, 2, 2, four, y));
        refuses(Error::TooLarge { what: "matrix" }, 3, |y| reduce::sum_rows(isa, HUGE, 3, four, y));
        updates(isa);
    }

    let no_columns = Error::ZeroSize { what: "columns" };
    refuses(no_columns, 0, |y| softmax::forward(2, 0, &[], y));
    refuses(length("input", 4, 3), 4, |y| softmax::forward(2, 2, three, y));
    refuses(length("output", 4, 5), 5, |y| softmax::forward(2, 2, four, y));
    refuses(Error::TooLarge { what: "input" }, 4, |y| softmax::forward(HUGE, 2, four, y));
    refuses(length("output", 4, 3), 4, |y| softmax::grad(2, 2, three, four, y));
    refuses(length("output gradient", 4, 3), 4, |y| softmax::grad(2, 2, four, three, y));
    refuses(length("input gradient", 4, 3), 3, |y| softmax::grad(2, 2, four, four, y));
}

#[test]
fn lengths_of_normalization() {
    assert_eq!(Groups::new(1, 0, 4, 2), Err(Error::ZeroSize { what: "pixels" }));
    assert_eq!(Groups::new(1, 1, 0, 2), Err(Error::ZeroSize { what: "channels" }));
    assert_eq!(Groups::new(1, 1, 4, 0), Err(Error::ZeroSize { what: "groups" }));
    assert_eq!(Groups::new(1, 1, 4, 3), Err(Error::Groups { groups: 3, channels: 4 }));
    assert_eq!(Groups::new(HUGE, 1, 4, 2), Err(Error::TooLarge { what: "input" }));
    let groups = Groups::new(1, 1, 4, 2).unwrap();
    let (four, three, scratch) = (&[1.0; 4], &[1.0; 3], &mut [0.0; 16]);
    for isa in isas() {
        let none = [None; 2];
        let mut forward = |x: &[f32], parameters, y: &mut [f32]| {
            normalization::forward(isa, groups, 1e-3, x, parameters, y, scratch)
        };
        refuses(length("input", 4, 3), 4, |y| forward(three, none, y));
        refuses(length("gamma", 4, 3), 4, |y| forward(four, [Some(three), None], y));
        refuses(length("beta", 4, 3), 4, |y| forward(four, [None, Some(three)], y));
        refuses(length("output", 4, 3), 3, |y| forward(four, none, y));
        let short = &mut [0.0; 3];
        refuses(length("scratch", 16, 3), 4, |y| {
            normalization::forward_in_place(isa, groups, 1e-3, none, y, short)
        });
        refuses(length("inverse deviations", 2, 3), 3, |inverse| {
            normalization::normalize(isa, groups, 1e-3, four, &mut [0.0; 4], inverse, &mut [0.0; 16])
        });
        refuses(length("inverse deviations", 2, 3), 4, |y| {
            normalization::grad_input(isa, groups, four, None, three, y, &mut [0.0; 16])
        });
        refuses(length("output gradient", 4, 3), 4, |y| {
            normalization::grad_input(isa, groups, three, None, &[1.0; 2], y, &mut [0.0; 16])
        });
        refuses(Error::ZeroSize { what: "length" }, 0, |y| softmax::forward_along(isa, [1, 0, 2], &[], y));
        refuses(length("input", 4, 3), 4, |y| softmax::forward_along(isa, [1, 2, 2], three, y));
        refuses(length("output", 4, 3), 3, |y| softmax::forward_along(isa, [1, 2, 2], four, y));
        refuses(length("output", 4, 3), 4, |d| softmax::grad_along(isa, [1, 2, 2], three, four, d));
        refuses(length("output gradient", 4, 3), 4, |d| softmax::grad_along(isa, [1, 2, 2], four, three, d));
        refuses(length("input gradient", 4, 3), 3, |d| softmax::grad_along(isa, [1, 2, 2], four, four, d));
    }
}

fn updates(isa: Isa) {
    let g = &[1.0; 4];
    let short = length("gradients", 3, 4);
    refuses(short, 3, |w| optimizer::sgd(isa, 0.1, w, g));
    refuses(short, 3, |w| optimizer::sgd_momentum(isa, 0.1, 0.9, false, w, &mut [0.0; 3], g));
    refuses(length("velocity", 4, 5), 4, |w| {
        optimizer::sgd_momentum(isa, 0.1, 0.9, false, w, &mut [0.0; 5], g)
    });
    refuses(short, 3, |w| optimizer::rmsprop(isa, 0.1, 0.9, 1e-7, w, &mut [0.0; 3], g));
    refuses(length("mean square", 4, 5), 4, |w| optimizer::rmsprop(isa, 0.1, 0.9, 1e-7, w, &mut [0.0; 5], g));
    let adam = |w: &mut [f32], mean: usize, square: usize| {
        optimizer::adam(isa, 0.1, 0.9, 0.999, 1e-7, w, &mut vec![0.0; mean], &mut vec![0.0; square], g)
    };
    refuses(short, 3, |w| adam(w, 3, 3));
    refuses(length("mean", 4, 3), 4, |w| adam(w, 3, 4));
    refuses(length("mean square", 4, 3), 4, |w| adam(w, 4, 3));
    // What each rule remembers, by what it is called.
    let [a, b, c] = [&mut [0.0; 4], &mut [0.0; 4], &mut [0.0; 4]];
    let three = &mut [0.0; 3];
    refuses(short, 3, |w| optimizer::adagrad(isa, 0.1, 1e-7, w, three, g));
    refuses(length("sum of squares", 4, 3), 4, |w| optimizer::adagrad(isa, 0.1, 1e-7, w, three, g));
    refuses(length("velocity", 4, 3), 4, |w| {
        optimizer::rmsprop_momentum(isa, 0.1, 0.9, 0.9, 1e-7, w, a, three, g)
    });
    refuses(length("mean", 4, 3), 4, |w| optimizer::rmsprop_centered(isa, 0.1, 0.9, 1e-7, w, a, three, g));
    refuses(length("velocity", 4, 3), 4, |w| {
        optimizer::rmsprop_centered_momentum(isa, 0.1, 0.9, 0.9, 1e-7, w, a, b, three, g)
    });
    refuses(length("largest mean square", 4, 3), 4, |w| {
        optimizer::amsgrad(isa, 0.1, 0.9, 0.999, 1e-7, w, a, b, three, g)
    });
    refuses(length("norm", 4, 3), 4, |w| optimizer::adamax(isa, 0.1, 0.9, 0.999, 1e-7, w, a, three, g));
    refuses(length("mean square", 4, 3), 4, |w| {
        optimizer::nadam(isa, [0.1; 2], 0.9, 0.999, 1e-7, w, a, three, g)
    });
    refuses(length("mean", 4, 3), 4, |w| optimizer::lion(isa, 0.1, 0.9, 0.99, w, three, g));
    let two = &g[..2];
    refuses(length("gradients", 4, 2), 4, |w| optimizer::lion(isa, 0.1, 0.9, 0.99, w, a, two));
    refuses(length("gradients", 4, 2), 4, |w| {
        optimizer::amsgrad(isa, 0.1, 0.9, 0.999, 1e-7, w, a, b, c, two)
    });
    refuses(length("weights", 4, 2), 4, |average| optimizer::ema(isa, 0.9, average, two));
    refuses(length("gradients", 4, 2), 4, |y| optimizer::clip(isa, 0.9, two, y));
    refuses(length("gradients", 4, 2), 4, |y| optimizer::scale(isa, 0.9, two, y));
}

#[test]
fn lengths_of_losses() {
    let (four, three) = (&[0.5; 4], &[0.5; 3]);
    let (by_row, by_element) = (CrossEntropy { from_logits: true }, MeanSquaredError);
    let zero = |what| Error::ZeroSize { what };
    for (columns, outputs, targets, error) in [
        (2, &three[..], &four[..], length("outputs", 2, 3)),
        (2, four, three, length("targets", 4, 3)),
        (2, &[], &[], zero("rows")),
        (0, &[], &[], zero("columns")),
        (0, four, four, zero("columns")),
    ] {
        let rows = Rows::new(columns, outputs, targets);
        assert_eq!(loss::of_rows(&by_row, &rows), Err(error));
        assert_eq!(loss::of_elements(&by_element, &rows), Err(error));
        refuses(error, 4, |d| loss::of_rows_grad(&by_row, &rows, 1.0, d));
        refuses(error, 4, |d| loss::of_elements_grad(&by_element, &rows, 1.0, d));
    }
    let rows = Rows::new(2, four, four);
    refuses(length("output gradient", 4, 3), 3, |d| loss::of_rows_grad(&by_row, &rows, 1.0, d));
    refuses(length("output gradient", 4, 3), 3, |d| loss::of_elements_grad(&by_element, &rows, 1.0, d));
}

#[test]
fn messages_say_what_was_expected_and_what_came() {
    assert_eq!(length("input", 32, 31).to_string(), "input: expected 32 elements, got 31");
    let rows = Error::OutOfRange { what: "rows", max: 18, got: 19 };
    assert_eq!(rows.to_string(), "rows: expected at most 18, got 19");
    let window = Error::WindowExceedsInput { window: 6, padded: 5 };
    assert_eq!(window.to_string(), "window: expected at most the padded input's 5, got 6");
}

#[test]
fn lengths_of_recurrent_steps() {
    for isa in isas() {
        let (x, mut cell) = ([0.5; 24], [0.0; 6]);
        refuses(Error::ZeroSize { what: "units" }, 0, |y| {
            recurrent::lstm(isa, 0, 0, &[], y, &mut [], &mut [])
        });
        let mut lstm = |gates, cell_len: usize, y: &mut [f32]| {
            recurrent::lstm(isa, 2, 3, &x, &mut [0.0; 24][..gates], &mut cell[..cell_len], y)
        };
        refuses(length("gates", 24, 23), 6, |y| lstm(23, 6, y));
        refuses(length("cell", 6, 5), 6, |y| lstm(24, 5, y));
        refuses(length("state", 6, 7), 7, |y| lstm(24, 6, y));
        refuses(Error::TooLarge { what: "gates" }, 6, |y| {
            recurrent::gru(isa, HUGE, 3, &x, &mut [], &mut [], y)
        });
        refuses(length("products", 18, 24), 6, |y| {
            recurrent::gru(isa, 2, 3, &x, &mut [0.0; 18], &mut [0.0; 6], y)
        });
        refuses(length("inner products", 6, 24), 18, |y| {
            recurrent::gru_grad(isa, 2, 3, &x[..18], &x, &x, &mut [0.0; 6], y, &mut [0.0; 18])
        });
        refuses(length("gradient to the sums", 24, 18), 18, |y| {
            recurrent::lstm_grad(isa, 2, 3, &x, &x[..6], &x[..6], &x[..6], &mut [0.0; 6], y)
        });
    }
}

#[test]
fn maps_of_images() {
    let still = Affine {
        input: [2, 3, 2],
        output: [3, 1],
        matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        interpolation: Interpolation::Bilinear,
        fill: Fill::Nearest,
    };
    let refuses = |error, map: Affine, x: &[f32], y_len| {
        refuses(error, y_len, |y| warp::affine(Isa::detect(), &map, x, y));
    };
    let x = [0.5; 12];
    refuses(length("input", 12, 11), still, &x[1..], 6);
    refuses(length("output", 6, 7), still, &x, 7);
    refuses(Error::ZeroSize { what: "width" }, Affine { input: [2, 0, 2], ..still }, &[], 6);
    refuses(Error::ZeroSize { what: "channels" }, Affine { input: [2, 3, 0], ..still }, &[], 0);
    refuses(Error::ZeroSize { what: "output height" }, Affine { output: [0, 1], ..still }, &x, 0);
    refuses(Error::TooLarge { what: "input" }, Affine { input: [HUGE, 3, 2], ..still }, &x, 6);
    refuses(Error::TooLarge { what: "output" }, Affine { output: [WIDE, WIDE], ..still }, &x, 6);
    let max = 1 << 21;
    let what = "distance of the map";
    for (number, got) in
        [(1e9, 1_000_000_000), (-1e9, 1_000_000_000), (f32::INFINITY, usize::MAX), (f32::NAN, usize::MAX)]
    {
        for axis in 0..2 {
            for place in 0..3 {
                let mut matrix = [[0.0; 3]; 2];
                matrix[axis][place] = number;
                let got = if place == 0 && got != usize::MAX { 3 * got } else { got };
                refuses(Error::OutOfRange { what, max, got }, Affine { matrix, ..still }, &x, 6);
            }
        }
    }
}
