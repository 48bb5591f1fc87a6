//! Every operation's gradient against central differences of the same function in `f64`.

use bantam::{Conv2d, Error, Isa, MaxPool2d, Padding, Shape, Tape, Var};

/// A function of some arrays, in `f64`.
type Function<'f> = &'f dyn Fn(&[Vec<f64>]) -> Vec<f64>;
/// The same function on a tape.
type Recording<'f> = &'f dyn Fn(&mut Tape<'_>, &[Var]) -> Result<Var, Error>;

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
fn check(name: &str, shapes: &[&[usize]], function: Function<'_>, recording: Recording<'_>) {
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
        let pads = match padding {
            Padding::Valid => [Some([0, 0]); 2],
            Padding::Same => [None; 2],
            Padding::Explicit { top, bottom, left, right } => [Some([top, bottom]), Some([left, right])],
        };
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
        let pads = match padding {
            Padding::Valid => [Some([0, 0]); 2],
            Padding::Same => [None; 2],
            Padding::Explicit { top, bottom, left, right } => [Some([top, bottom]), Some([left, right])],
        };
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

#[test]
fn a_value_that_is_used_twice() {
    let twice = |x: &[Vec<f64>]| x[0].iter().map(|x| x * x + x).collect();
    check("x * x + x", &[&[11]], &twice, &|tape, v| {
        let square = tape.mul(v[0], v[0])?;
        tape.add(square, v[0])
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
