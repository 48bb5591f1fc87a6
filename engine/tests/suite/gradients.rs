//! Every operation's gradient against central differences of the same function in `f64`.

use bantam::{
    Add, AveragePool2d, BatchNormalization, Concatenate, Conv2d, DepthwiseConv2d, Error, GlobalAveragePool2d,
    GlobalMaxPool2d, HardSigmoid, HardSwish, Isa, LeakyRelu, MaxPool2d, Multiply, Padding, Relu6,
    SeparableConv2d, Shape, Sigmoid, Silu, Tanh, Tape, Var, ZeroPadding2d,
};

/// A function of some arrays, in `f64`.
pub type Function<'f> = &'f dyn Fn(&[Vec<f64>]) -> Vec<f64>;
/// The same function on a tape.
pub type Recording<'f> = &'f dyn Fn(&mut Tape<'_>, &[Var]) -> Result<Var, Error>;

/// Numbers whose differences from each other and from zero are large against the step of a central
/// difference, so that no maximum or ReLU changes sides.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for i in (1..n).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(i, (state >> 33) as usize % (i + 1));
    }
    order.into_iter().map(|i| (i as f32 + 0.75) / n as f32 * 2.0 - 1.0).collect()
}

/// Records `recording` on parameters of `shapes`, weighs its results and sums them up, and holds
/// each parameter's gradient against the central differences of `function`.
pub fn check(name: &str, shapes: &[&[usize]], function: Function<'_>, recording: Recording<'_>) {
    let shapes: Vec<Shape> = shapes.iter().map(|dims| Shape::new(dims).unwrap()).collect();
    let data: Vec<Vec<f32>> =
        shapes.iter().enumerate().map(|(i, shape)| numbers(shape.elements(), i as u64 + 1)).collect();
    let exact: Vec<Vec<f64>> = data.iter().map(|x| x.iter().map(|&x| f64::from(x)).collect()).collect();
    let outputs = function(&exact);
    let weights = numbers(outputs.len(), 77);
    let objective =
        |x: &[Vec<f64>]| -> f64 { function(x).iter().zip(&weights).map(|(y, &w)| y * f64::from(w)).sum() };
    for isa in Isa::available() {
        let mut tape = Tape::new(isa);
        let parameters: Vec<Var> =
            shapes.iter().zip(&data).map(|(&shape, data)| tape.parameter(shape, data).unwrap()).collect();
        let y = recording(&mut tape, &parameters).unwrap();
        for (got, want) in tape.value(y).unwrap().iter().zip(&outputs) {
            assert!((f64::from(*got) - want).abs() < 1e-5 * (1.0 + want.abs()), "{name} {isa}: {got} {want}");
        }
        let shape = tape.shape(y).unwrap();
        assert_eq!(shape.elements(), outputs.len(), "{name} {isa}");
        let w = tape.input(shape, &weights).unwrap();
        let weighed = tape.mul(y, w).unwrap();
        let loss = tape.sum(weighed).unwrap();
        let gradients = tape.backward(loss).unwrap();
        for (p, &var) in parameters.iter().enumerate() {
            let got = gradients.get(var).unwrap();
            let mut x = exact.clone();
            let difference = |i: usize, x: &mut Vec<Vec<f64>>| {
                const STEP: f64 = 1e-5;
                let at = x[p][i];
                x[p][i] = at + STEP;
                let above = objective(x);
                x[p][i] = at - STEP;
                let below = objective(x);
                x[p][i] = at;
                (above - below) / (2.0 * STEP)
            };
            let want: Vec<f64> = (0..got.len()).map(|i| difference(i, &mut x)).collect();
            let scale = want.iter().fold(1e-3, |max: f64, want| max.max(want.abs()));
            for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
                let error = (f64::from(got) - want).abs();
                assert!(error <= 1e-5 * scale, "{name} {isa}, parameter {p}[{i}]: {got}, expected {want}");
            }
        }
    }
}

struct Image {
    n: usize,
    h: usize,
    w: usize,
    c: usize,
}

impl Image {
    /// The pixel's value, zero outside.
    fn at(&self, x: &[f64], n: usize, y: isize, column: isize, c: usize) -> Option<f64> {
        let inside = (0..self.h as isize).contains(&y) && (0..self.w as isize).contains(&column);
        inside.then(|| x[((n * self.h + y as usize) * self.w + column as usize) * self.c + c])
    }
}

/// Output size and padding before, of one axis.
fn axis(input: usize, window: usize, stride: usize, pad: Option<[usize; 2]>) -> (usize, usize) {
    match pad {
        Some([before, after]) => ((input + before + after - window) / stride + 1, before),
        None => {
            let output = input.div_ceil(stride);
            (output, ((output - 1) * stride + window).saturating_sub(input) / 2)
        }
    }
}

#[test]
fn conv2d() {
    let explicit = Padding::Explicit { top: 2, bottom: 0, left: 1, right: 3 };
    let cases = [
        (Image { n: 2, h: 5, w: 4, c: 3 }, [3, 3], 9, 1, Padding::Valid),
        (Image { n: 1, h: 7, w: 6, c: 2 }, [3, 2], 17, 2, Padding::Same),
        (Image { n: 2, h: 4, w: 5, c: 1 }, [2, 3], 3, 3, explicit),
        (Image { n: 1, h: 2, w: 2, c: 5 }, [1, 1], 8, 3, Padding::Valid),
        (Image { n: 3, h: 1, w: 1, c: 13 }, [3, 3], 2, 1, Padding::Same),
    ];
    for (image, [kh, kw], features, stride, padding) in cases {
        let pads = pads(padding);
        let (oh, top) = axis(image.h, kh, stride, pads[0]);
        let (ow, left) = axis(image.w, kw, stride, pads[1]);
        for relu in [false, true] {
            let function = |x: &[Vec<f64>]| {
                let mut y = Vec::new();
                for n in 0..image.n {
                    for oy in 0..oh {
                        for ox in 0..ow {
                            for f in 0..features {
                                let mut sum = x[2][f];
                                for ky in 0..kh {
                                    for kx in 0..kw {
                                        for c in 0..image.c {
                                            let row = (oy * stride + ky) as isize - top as isize;
                                            let column = (ox * stride + kx) as isize - left as isize;
                                            let pixel = image.at(&x[0], n, row, column, c).unwrap_or(0.0);
                                            sum +=
                                                pixel * x[1][((ky * kw + kx) * image.c + c) * features + f];
                                        }
                                    }
                                }
                                y.push(if relu { sum.max(0.0) } else { sum });
                            }
                        }
                    }
                }
                y
            };
            let how = Conv2d::padded(padding).stride(stride);
            let how = if relu { how.relu() } else { how };
            let shapes: [&[usize]; 3] =
                [&[image.n, image.h, image.w, image.c], &[kh, kw, image.c, features], &[features]];
            let record = |tape: &mut Tape<'_>, v: &[Var]| tape.conv2d(v[0], v[1], Some(v[2]), how);
            check("conv2d", &shapes, &function, &record);
        }
    }
}

/// Padding before and after on each axis; `None` is "same".
fn pads(padding: Padding) -> [Option<[usize; 2]>; 2] {
    match padding {
        Padding::Valid => [Some([0, 0]); 2],
        Padding::Same => [None; 2],
        Padding::Explicit { top, bottom, left, right } => [Some([top, bottom]), Some([left, right])],
    }
}

/// The pixels and the taps that the window at each position sees, position by position.
fn windows(
    image: &Image,
    window: [usize; 2],
    stride: usize,
    dilation: usize,
    padding: Padding,
) -> Vec<Vec<([usize; 2], [usize; 2])>> {
    let [down, across] = pads(padding);
    let (oh, top) = axis(image.h, (window[0] - 1) * dilation + 1, stride, down);
    let (ow, left) = axis(image.w, (window[1] - 1) * dilation + 1, stride, across);
    let seen = |at: usize| {
        let taps = (0..window[0] * window[1]).map(|tap| [tap / window[1], tap % window[1]]);
        let pixels = taps.filter_map(|tap| {
            let row = (at / ow * stride + tap[0] * dilation).checked_sub(top)?;
            let column = (at % ow * stride + tap[1] * dilation).checked_sub(left)?;
            (row < image.h && column < image.w).then_some(([row, column], tap))
        });
        pixels.collect()
    };
    (0..oh * ow).map(seen).collect()
}

#[test]
fn depthwise_and_separable_conv2d() {
    let explicit = Padding::Explicit { top: 2, bottom: 0, left: 1, right: 3 };
    let cases = [
        (Image { n: 2, h: 5, w: 4, c: 3 }, [3, 3], 1, 1, 1, Padding::Valid),
        (Image { n: 1, h: 7, w: 6, c: 9 }, [3, 2], 1, 2, 1, Padding::Same),
        (Image { n: 2, h: 4, w: 5, c: 2 }, [2, 3], 3, 3, 1, explicit),
        (Image { n: 1, h: 9, w: 8, c: 5 }, [3, 3], 1, 1, 2, Padding::Same),
        (Image { n: 1, h: 8, w: 9, c: 2 }, [3, 2], 2, 2, 3, explicit),
    ];
    for (image, window, multiplier, stride, dilation, padding) in cases {
        let (windows, between) = (windows(&image, window, stride, dilation, padding), image.c * multiplier);
        let sums = |x: &[f64], kernel: &[f64]| {
            let mut y = Vec::new();
            for n in 0..image.n {
                for seen in &windows {
                    y.extend((0..between).map(|f| {
                        let products = seen.iter().map(|([row, column], tap)| {
                            let pixel = (n * image.h + row) * image.w + column;
                            let tap = tap[0] * window[1] + tap[1];
                            x[pixel * image.c + f / multiplier] * kernel[tap * between + f]
                        });
                        products.sum::<f64>()
                    }));
                }
            }
            y
        };
        let input: &[usize] = &[image.n, image.h, image.w, image.c];
        let kernel: &[usize] = &[window[0], window[1], image.c, multiplier];
        let depthwise = |x: &[Vec<f64>]| {
            let sums = sums(&x[0], &x[1]);
            sums.chunks(between).flat_map(|pixel| pixel.iter().zip(&x[2]).map(|(y, b)| y + b)).collect()
        };
        let how = DepthwiseConv2d::padded(padding).stride(stride).dilation(dilation).multiplier(multiplier);
        check("depthwise_conv2d", &[input, kernel, &[between]], &depthwise, &|tape, v| {
            tape.layer(how.kernel(window), &v[..1], &v[1..])
        });
        let filters = 4;
        let separable = |x: &[Vec<f64>]| {
            let mut y = Vec::new();
            for pixel in sums(&x[0], &x[1]).chunks(between) {
                y.extend((0..filters).map(|f| {
                    let products = pixel.iter().enumerate().map(|(c, y)| y * x[2][c * filters + f]);
                    products.sum::<f64>() + x[3][f]
                }));
            }
            y
        };
        let how = SeparableConv2d::padded(padding).stride(stride).dilation(dilation).multiplier(multiplier);
        let pointwise: &[usize] = &[1, 1, between, filters];
        check("separable_conv2d", &[input, kernel, pointwise, &[filters]], &separable, &|tape, v| {
            tape.layer(how.filters(filters).kernel(window), &v[..1], &v[1..])
        });
    }
}

#[test]
fn average_and_global_pools() {
    let image = Image { n: 2, h: 6, w: 5, c: 9 };
    let shape: &[usize] = &[image.n, image.h, image.w, image.c];
    let pooled = |windows: &[Vec<([usize; 2], [usize; 2])>], x: &[f64], pool: fn(&[f64]) -> f64| {
        let mut y = Vec::new();
        for n in 0..image.n {
            for seen in windows {
                y.extend((0..image.c).map(|c| {
                    let cells = seen
                        .iter()
                        .map(|([row, column], _)| x[((n * image.h + row) * image.w + column) * image.c + c]);
                    pool(&cells.collect::<Vec<_>>())
                }));
            }
        }
        y
    };
    let mean: fn(&[f64]) -> f64 = |cells| cells.iter().sum::<f64>() / cells.len() as f64;
    let padded = Padding::Explicit { top: 1, bottom: 1, left: 0, right: 2 };
    for (window, stride, padding) in
        [(2, 2, Padding::Valid), (3, 2, Padding::Same), (3, 1, padded), (2, 3, Padding::Valid)]
    {
        let windows = windows(&image, [window; 2], stride, 1, padding);
        let how = AveragePool2d::new(window).stride(stride).padding(padding);
        let function = |x: &[Vec<f64>]| pooled(&windows, &x[0], mean);
        check("average_pool2d", &[shape], &function, &|tape, v| tape.layer(how, v, &[]));
    }
    let all = windows(&image, [image.h, image.w], 1, 1, Padding::Valid);
    let means = |x: &[Vec<f64>]| pooled(&all, &x[0], mean);
    let maxima =
        |x: &[Vec<f64>]| pooled(&all, &x[0], |cells| cells.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let average = GlobalAveragePool2d::new();
    check("global_average_pool2d", &[shape], &means, &|tape, v| tape.layer(average, v, &[]));
    check("global_average_pool2d", &[shape], &means, &|tape, v| tape.layer(average.keep_dims(), v, &[]));
    let maximum = GlobalMaxPool2d::new();
    check("global_max_pool2d", &[shape], &maxima, &|tape, v| tape.layer(maximum, v, &[]));
    check("global_max_pool2d", &[shape], &maxima, &|tape, v| tape.layer(maximum.keep_dims(), v, &[]));
}

/// Of any rank, with means that are large against the deviation.
#[test]
fn batch_normalization() {
    const MEANS: [f32; 5] = [0.25, -0.5, 0.0, 8.0, -4.0];
    const VARIANCES: [f32; 5] = [1.0, 0.25, 4.0, 0.0, 0.0625];
    const EPSILON: f32 = 0.125;
    let function = |x: &[Vec<f64>]| {
        let normal = |(i, x): (usize, &f64)| {
            let [mean, variance] = [MEANS, VARIANCES].map(|of| f64::from(of[i % 5]));
            (i % 5, (x - mean) / (variance + f64::from(EPSILON)).sqrt())
        };
        x[0].iter().enumerate().map(normal).map(|(c, y)| x[1][c] * y + x[2][c]).collect()
    };
    for input in [&[6, 5][..], &[2, 3, 2, 5], &[2, 3, 5]] {
        check("batch_normalization", &[input, &[5], &[5]], &function, &|tape, v| {
            let means = tape.input(tape.shape(v[1])?, &MEANS)?;
            let variances = tape.input(tape.shape(v[1])?, &VARIANCES)?;
            let layer = BatchNormalization::new().epsilon(EPSILON);
            tape.layer(layer, &v[..1], &[v[1], v[2], means, variances])
        });
    }
}

#[test]
fn dense() {
    for (n, inputs, outputs) in [(1, 7, 5), (4, 16, 17), (3, 1, 1)] {
        for relu in [false, true] {
            let function = |x: &[Vec<f64>]| {
                let mut y = Vec::new();
                for row in x[0].chunks(inputs) {
                    for o in 0..outputs {
                        let products = row.iter().enumerate().map(|(i, v)| v * x[1][i * outputs + o]);
                        let sum = x[2][o] + products.sum::<f64>();
                        y.push(if relu { sum.max(0.0) } else { sum });
                    }
                }
                y
            };
            check("dense", &[&[n, inputs], &[inputs, outputs], &[outputs]], &function, &|tape, v| {
                if relu {
                    tape.dense_relu(v[0], v[1], Some(v[2]))
                } else {
                    tape.dense(v[0], v[1], Some(v[2]))
                }
            });
        }
    }
}

#[test]
fn max_pool2d() {
    let image = Image { n: 2, h: 6, w: 5, c: 9 };
    let padded = Padding::Explicit { top: 1, bottom: 1, left: 0, right: 2 };
    for (window, stride, padding) in
        [(2, 2, Padding::Valid), (3, 2, Padding::Same), (3, 1, padded), (2, 3, Padding::Valid)]
    {
        let pads = pads(padding);
        let (oh, top) = axis(image.h, window, stride, pads[0]);
        let (ow, left) = axis(image.w, window, stride, pads[1]);
        let function = |x: &[Vec<f64>]| {
            let mut y = Vec::new();
            for n in 0..image.n {
                for oy in 0..oh {
                    for ox in 0..ow {
                        for c in 0..image.c {
                            let cells = (0..window * window).filter_map(|cell| {
                                let row = (oy * stride + cell / window) as isize - top as isize;
                                let column = (ox * stride + cell % window) as isize - left as isize;
                                image.at(&x[0], n, row, column, c)
                            });
                            y.push(cells.fold(f64::NEG_INFINITY, f64::max));
                        }
                    }
                }
            }
            y
        };
        let how = MaxPool2d::new(window).stride(stride).padding(padding);
        check("max_pool2d", &[&[2, 6, 5, 9]], &function, &|tape, v| tape.max_pool2d(v[0], how));
    }
}

#[test]
fn elementwise() {
    let shape: &[usize] = &[3, 7];
    check("relu", &[shape], &|x| x[0].iter().map(|x| x.max(0.0)).collect(), &|tape, v| tape.relu(v[0]));
    let sum = |x: &[Vec<f64>]| x[0].iter().zip(&x[1]).map(|(a, b)| a + b).collect();
    check("add", &[shape, shape], &sum, &|tape, v| tape.add(v[0], v[1]));
    let product = |x: &[Vec<f64>]| x[0].iter().zip(&x[1]).map(|(a, b)| a * b).collect();
    check("mul", &[shape, shape], &product, &|tape, v| tape.mul(v[0], v[1]));
    check("sum", &[shape], &|x| vec![x[0].iter().sum()], &|tape, v| tape.sum(v[0]));
    check("flatten", &[&[2, 3, 4]], &|x| x[0].clone(), &|tape, v| tape.flatten(v[0]));
}

/// From -8 to 8, beyond all corners.
#[test]
fn activations() {
    let hard_sigmoid = |x: f64| (x + 3.0).clamp(0.0, 6.0) / 6.0;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let check_one = |name: &str, function: &dyn Fn(f64) -> f64, recording: Recording<'_>| {
        let scaled = |x: &[Vec<f64>]| x[0].iter().map(|x| function(8.0 * x)).collect();
        check(name, &[&[5, 7]], &scaled, &|tape, v| {
            let eights = tape.input(tape.shape(v[0])?, const { &[8.0; 35] })?;
            let x = tape.mul(v[0], eights)?;
            recording(tape, &[x])
        });
    };
    check_one("relu6", &|x| x.clamp(0.0, 6.0), &|tape, v| tape.layer(Relu6, v, &[]));
    let leaky = LeakyRelu::new(0.25);
    check_one("leaky_relu", &|x| x.max(0.25 * x), &|tape, v| tape.layer(leaky, v, &[]));
    check_one("sigmoid", &sigmoid, &|tape, v| tape.layer(Sigmoid, v, &[]));
    check_one("tanh", &f64::tanh, &|tape, v| tape.layer(Tanh, v, &[]));
    check_one("silu", &|x| x * sigmoid(x), &|tape, v| tape.layer(Silu, v, &[]));
    check_one("hard_swish", &|x| x * hard_sigmoid(x), &|tape, v| tape.layer(HardSwish, v, &[]));
    check_one("hard_sigmoid", &hard_sigmoid, &|tape, v| tape.layer(HardSigmoid, v, &[]));
}

#[test]
fn layers_of_several_inputs() {
    let map: &[usize] = &[2, 3, 2, 5];
    let sum = |x: &[Vec<f64>]| (0..60).map(|i| x.iter().map(|x| x[i]).sum()).collect();
    for count in [2, 3, 8] {
        check("add", &vec![map; count], &sum, &|tape, v| tape.layer(Add, v, &[]));
    }
    let product = |x: &[Vec<f64>]| x[0].iter().zip(&x[1]).map(|(a, b)| a * b).collect();
    check("multiply", &[map, map], &product, &|tape, v| tape.layer(Multiply, v, &[]));
    let scaled =
        |map: &[f64], factors: &[f64]| (0..60).map(|i| map[i] * factors[i / 30 * 5 + i % 5]).collect();
    for factors in [&[2, 5][..], &[2, 1, 1, 5]] {
        let by = |x: &[Vec<f64>]| scaled(&x[0], &x[1]);
        check("map by factors", &[map, factors], &by, &|tape, v| tape.layer(Multiply, v, &[]));
        let by = |x: &[Vec<f64>]| scaled(&x[1], &x[0]);
        check("factors by map", &[factors, map], &by, &|tape, v| tape.layer(Multiply, v, &[]));
    }
    let beside = |x: &[Vec<f64>]| {
        let pixels = x[0].chunks(5).zip(x[1].chunks(1)).zip(x[2].chunks(18));
        pixels.flat_map(|((a, b), c)| [a, b, c].concat()).collect()
    };
    let shapes: [&[usize]; 3] = [map, &[2, 3, 2, 1], &[2, 3, 2, 18]];
    check("concatenate", &shapes, &beside, &|tape, v| tape.layer(Concatenate, v, &[]));
    let rows =
        |x: &[Vec<f64>]| x[0].chunks(2).zip(x[1].chunks(3)).flat_map(|(a, b)| [a, b].concat()).collect();
    check("concatenate", &[&[4, 2], &[4, 3]], &rows, &|tape, v| tape.layer(Concatenate, v, &[]));
}

#[test]
fn zero_padding2d() {
    let image = Image { n: 2, h: 3, w: 2, c: 5 };
    for [[top, bottom], [left, right]] in [[[1, 2], [3, 0]], [[0, 0], [0, 1]], [[0, 0], [0, 0]]] {
        let padded = |x: &[Vec<f64>]| {
            let (oh, ow, mut y) = (top + 3 + bottom, left + 2 + right, Vec::new());
            for at in 0..2 * oh * ow * 5 {
                let (n, row, column, c) = (at / (oh * ow * 5), at / (ow * 5) % oh, at / 5 % ow, at % 5);
                let (row, column) = (row as isize - top as isize, column as isize - left as isize);
                y.push(image.at(&x[0], n, row, column, c).unwrap_or(0.0));
            }
            y
        };
        let padding = ZeroPadding2d::new([[top, bottom], [left, right]]);
        check("zero_padding2d", &[&[2, 3, 2, 5]], &padded, &|tape, v| tape.layer(padding, v, &[]));
    }
}

#[test]
fn a_value_that_is_used_twice() {
    let twice = |x: &[Vec<f64>]| x[0].iter().map(|x| x * x + x).collect();
    check("x * x + x", &[&[11]], &twice, &|tape, v| {
        let square = tape.mul(v[0], v[0])?;
        tape.add(square, v[0])
    });
    let layers = |x: &[Vec<f64>]| x[0].iter().flat_map(|x| [x * x, x * x, 3.0 * x]).collect();
    check("x * x beside itself and x + x + x", &[&[11, 1]], &layers, &|tape, v| {
        let square = tape.layer(Multiply, &[v[0]; 2], &[])?;
        let sum = tape.layer(Add, &[v[0]; 3], &[])?;
        tape.layer(Concatenate, &[square, square, sum], &[])
    });
    let computed = |x: &[Vec<f64>]| x[0].iter().map(|x| 2.0 * x.max(0.0)).collect();
    check("y + y", &[&[11]], &computed, &|tape, v| {
        let y = tape.relu(v[0])?;
        tape.add(y, y)
    });
}

#[test]
fn matmul() {
    let (m, k, n) = (3, 5, 4);
    for transpose in [[false, false], [true, false], [false, true], [true, true]] {
        let a: &[usize] = if transpose[0] { &[k, m] } else { &[m, k] };
        let b: &[usize] = if transpose[1] { &[n, k] } else { &[k, n] };
        let function = |x: &[Vec<f64>]| {
            let a = |i: usize, j: usize| if transpose[0] { x[0][j * m + i] } else { x[0][i * k + j] };
            let b = |i: usize, j: usize| if transpose[1] { x[1][j * k + i] } else { x[1][i * n + j] };
            (0..m * n).map(|at| (0..k).map(|j| a(at / n, j) * b(j, at % n)).sum()).collect()
        };
        check("matmul", &[a, b], &function, &|tape, v| tape.matmul(v[0], v[1], transpose));
    }
}

fn softmax_rows(x: &[f64], columns: usize) -> Vec<f64> {
    let mut y = Vec::new();
    for row in x.chunks(columns) {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        y.extend(row.iter().map(|x| x.exp() / sum));
    }
    y
}

#[test]
fn softmax() {
    check("softmax", &[&[3, 7]], &|x| softmax_rows(&x[0], 7), &|tape, v| tape.softmax(v[0]));
}

#[test]
fn losses() {
    let labels = [2.0, 0.0, 4.0];
    let cross_entropy = |x: &[Vec<f64>]| {
        let p = softmax_rows(&x[0], 5);
        vec![-(p[2].ln() + p[5].ln() + p[14].ln()) / 3.0]
    };
    check("softmax_cross_entropy", &[&[3, 5]], &cross_entropy, &|tape, v| {
        let targets = tape.one_hot(&labels, 5)?;
        tape.softmax_cross_entropy(v[0], targets)
    });
    let targets: &'static [f32] = Box::leak(vec![0.25, 1.0, 0.0, 0.5, 0.75, 1.0].into_boxed_slice());
    let shape = Shape::new(&[2, 3]).unwrap();
    let binary = |x: &[Vec<f64>]| {
        let costs = x[0].iter().zip(targets).map(|(x, &t)| {
            let (p, t) = (1.0 / (1.0 + (-x).exp()), f64::from(t));
            -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())
        });
        vec![costs.sum::<f64>() / 6.0]
    };
    check("binary_cross_entropy", &[&[2, 3]], &binary, &|tape, v| {
        let targets = tape.input(shape, targets)?;
        tape.binary_cross_entropy(v[0], targets)
    });
    let squared = |x: &[Vec<f64>]| {
        vec![x[0].iter().zip(targets).map(|(x, &t)| (x - f64::from(t)).powi(2)).sum::<f64>() / 6.0]
    };
    check("mean_squared_error", &[&[2, 3]], &squared, &|tape, v| {
        let targets = tape.input(shape, targets)?;
        tape.mean_squared_error(v[0], targets)
    });
}

#[test]
fn dropout() {
    const RATE: f32 = 0.3;
    let n = 10_000;
    let ones = vec![1.0; n];
    let shape = Shape::new(&[n]).unwrap();
    let mut tape = Tape::new(Isa::detect());
    let x = tape.parameter(shape, &ones).unwrap();
    let y = tape.dropout(x, RATE, 5).unwrap();
    let again = tape.dropout(x, RATE, 5).unwrap();
    let other = tape.dropout(x, RATE, 6).unwrap();
    let kept = tape.value(y).unwrap().to_vec();
    assert_eq!(kept, tape.value(again).unwrap());
    assert_ne!(kept, tape.value(other).unwrap());
    assert!(kept.iter().all(|&y| y == 0.0 || y == 1.0 / (1.0 - RATE)));
    // Five deviations of a binomial distribution.
    let zeros = kept.iter().filter(|&&y| y == 0.0).count() as f64;
    assert!((zeros - 3000.0).abs() < 5.0 * 2100f64.sqrt(), "{zeros}");
    let loss = tape.sum(y).unwrap();
    assert_eq!(tape.backward(loss).unwrap().get(x).unwrap(), kept);
}

/// A batch is differentiated in groups of images; an image alone is not.
#[test]
fn a_batch_has_the_gradients_of_its_images() {
    let cases = [
        // Images, input, filters, window, how: two groups, then groups of which the last has fewer.
        (70, [13, 13, 16], 24, [3, 3], Conv2d::valid().relu()),
        (26, [28, 28, 1], 33, [5, 3], Conv2d::same().stride(2).relu()),
        (23, [26, 26, 5], 32, [3, 3], Conv2d::same()),
    ];
    for (batch, input, filters, [kh, kw], how) in cases {
        let numbers = |n: usize| (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<_>>();
        let image = input.iter().product::<usize>();
        let pixels = numbers(batch * image);
        let weights = numbers(kh * kw * input[2] * filters);
        let bias = numbers(filters);
        for pooled in [false, true] {
            let gradients_of = |batch: usize, pixels: &[f32]| {
                let mut tape = Tape::new(Isa::detect());
                let [h, w, c] = input;
                let x = tape.parameter(Shape::new(&[batch, h, w, c]).unwrap(), pixels).unwrap();
                let kernel = tape.parameter(Shape::new(&[kh, kw, c, filters]).unwrap(), &weights).unwrap();
                let bias = tape.parameter(Shape::new(&[filters]).unwrap(), &bias).unwrap();
                let mut y = tape.conv2d(x, kernel, Some(bias), how).unwrap();
                if pooled {
                    y = tape.max_pool2d(y, MaxPool2d::new(2)).unwrap();
                }
                let squares = tape.mul(y, y).unwrap();
                let loss = tape.sum(squares).unwrap();
                let gradients = tape.backward(loss).unwrap();
                [x, kernel, bias].map(|var| gradients.get(var).unwrap().to_vec())
            };
            let [threads_1, threads_3] = [1, 3].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| gradients_of(batch, &pixels))
            });
            assert!(threads_1 == threads_3, "the bits of {input:?}");
            let mut sums = [Vec::new(), vec![0.0; weights.len()], vec![0.0; filters]];
            for pixels in pixels.chunks(image) {
                let [x, kernel, bias] = gradients_of(1, pixels);
                sums[0].extend(x.iter().map(|&d| f64::from(d)));
                for (sum, of_image) in sums[1..].iter_mut().zip([kernel, bias]) {
                    sum.iter_mut().zip(of_image).for_each(|(sum, d)| *sum += f64::from(d));
                }
            }
            for (got, want) in threads_1.iter().zip(&sums) {
                let largest = want.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
                for (got, want) in got.iter().zip(want) {
                    assert!((f64::from(*got) - want).abs() <= 2e-5 * largest, "{input:?}: {got}, {want}");
                }
            }
        }
    }
}
