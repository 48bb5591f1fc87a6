//! Layers that run as one operation against the same layers run one by one.

use bantam::{
    BatchNormalization, Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, DepthwiseConv1d, DepthwiseConv2d,
    Differentiable, Isa, Layer, MaxPool1d, MaxPool2d, Mode, Model, Options, Padding, Plan, SeparableConv2d,
    Sequential, Session, Tape, Var,
};

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// The value of a net, then the gradients of its kernel and bias.
fn pass<'a>(
    isa: Isa,
    model: &'a Model<'_>,
    images: (usize, &'a [f32]),
    weights: &'a [f32],
    record: impl Fn(&mut Tape<'a>, Var, &mut Vec<Var>) -> Var,
) -> [Vec<f32>; 3] {
    let mut tape = Tape::new(isa);
    let (batch, pixels) = images;
    let input = tape.input(model.input_shape().with_batch(batch).unwrap(), pixels).unwrap();
    let mut parameters = Vec::new();
    let output = record(&mut tape, input, &mut parameters);
    let value = tape.value(output).unwrap().to_vec();
    let weights = tape.input(tape.shape(output).unwrap(), &weights[..value.len()]).unwrap();
    let product = tape.mul(output, weights).unwrap();
    let loss = tape.sum(product).unwrap();
    let gradients = tape.backward(loss).unwrap();
    let [kernel, bias] = [0, 1].map(|i| gradients.get(parameters[i]).unwrap().to_vec());
    [value, kernel, bias]
}

fn assert_close(a: &[f32], b: &[f32], case: &str) {
    let largest = b.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    assert_eq!(a.len(), b.len(), "{case}");
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 2e-5 * largest, "{case}: {a} and {b}, of at most {largest}");
    }
}

#[test]
fn same_as_one_by_one() {
    // Images, input, filters, window, how, pool; among them windows that overlap or leave gaps, maps
    // that are parted into rows forward and backward, and many small images.
    let pool = MaxPool2d::new;
    let cases = [
        (1, [28, 28, 1], 8, [3, 3], Conv2d::valid(), pool(2)),
        (70, [13, 13, 16], 24, [3, 3], Conv2d::valid(), pool(2)),
        (3, [9, 11, 5], 10, [3, 2], Conv2d::same().stride(2), pool(3).stride(1)),
        (2, [64, 67, 3], 40, [5, 5], Conv2d::same(), pool(2).stride(3)),
        (3, [151, 40, 3], 32, [3, 3], Conv2d::valid(), pool(2)),
        (2, [120, 70, 3], 24, [3, 3], Conv2d::same(), pool(3).stride(2)),
        (1, [90, 70, 16], 32, [3, 3], Conv2d::same(), pool(2)),
        (2, [61, 60, 16], 17, [3, 3], Conv2d::same(), pool(3).stride(2)),
        (5, [7, 7, 33], 9, [1, 1], Conv2d::valid(), pool(7)),
    ];
    for (batch, input, filters, window, how, pool) in cases {
        let case = format!("{input:?} {filters} {window:?} {how:?} {pool:?}");
        let net = Sequential::new(input).conv2d_with(filters, window, how).relu().max_pool2d_with(pool);
        let model = net.build(3).unwrap();
        let pixels = numbers(batch * input.iter().product::<usize>());
        let weights = numbers(batch * model.output_shape().elements());
        let [kernel, bias] = [0, 1].map(|i| &model.parameters()[i]);
        for isa in Isa::available() {
            let images = (batch, pixels.as_slice());
            let fused = pass(isa, &model, images, &weights, |tape, input, parameters| {
                model.record(tape, input, Mode::Training { seed: 1 }, parameters).unwrap()
            });
            let apart = pass(isa, &model, images, &weights, |tape, _, parameters| {
                // Its gradient is asked for, so that no map is cut into stripes.
                let shape = model.input_shape().with_batch(batch).unwrap();
                let input = tape.parameter(shape, &pixels).unwrap();
                let kernel = tape.parameter(kernel.shape(), kernel.values()).unwrap();
                let bias = tape.parameter(bias.shape(), bias.values()).unwrap();
                parameters.extend([kernel, bias]);
                let map = tape.conv2d(input, kernel, Some(bias), how).unwrap();
                let map = tape.relu(map).unwrap();
                tape.max_pool2d(map, pool).unwrap()
            });
            for (fused, apart) in fused.iter().zip(&apart) {
                assert_close(fused, apart, &format!("{isa}: {case}"));
            }
            if isa == Isa::SCALAR {
                assert!(fused[0] == apart[0], "the bits of {case}");
            }
            let inference: Vec<Vec<f32>> = [1, 2, 5]
                .map(|threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| {
                        let mut session =
                            Session::new(&model, Options::new(batch).isa(isa).threads(threads)).unwrap();
                        session.run(&pixels).unwrap().to_vec()
                    })
                })
                .into();
            assert!(inference.iter().all(|output| *output == fused[0]), "threads: {isa}: {case}");
        }
    }
}

/// A convolution of series and its pool are one step; with windows that reach past the end they are two.
#[test]
fn series_too() {
    let [pool, reaching] = [MaxPool1d::new(3).stride(2), MaxPool1d::new(2).ceil_mode()];
    for (batch, input, pool, steps) in
        [(3, [61, 5], pool, 1), (3, [61, 5], reaching, 2), (2, [9001, 3], pool, 1)]
    {
        let how = Conv1d::causal().dilation(2);
        let net = Sequential::new(input).conv1d_with(10, 3, how).relu().max_pool1d_with(pool);
        let model = net.build(3).unwrap();
        let samples = numbers(batch * input.iter().product::<usize>());
        let weights = numbers(batch * model.output_shape().elements());
        for isa in Isa::available() {
            let images = (batch, samples.as_slice());
            let fused = pass(isa, &model, images, &weights, |tape, input, parameters| {
                model.record(tape, input, Mode::Training { seed: 1 }, parameters).unwrap()
            });
            let apart = pass(isa, &model, images, &weights, |tape, input, parameters| {
                for weights in model.parameters() {
                    parameters.push(tape.parameter(weights.shape(), weights.values()).unwrap());
                }
                let map = tape.layer(how.filters(10).kernel(3), &[input], parameters).unwrap();
                let map = tape.relu(map).unwrap();
                tape.layer(pool, &[map], &[]).unwrap()
            });
            for (fused, apart) in fused.iter().zip(&apart) {
                assert_close(fused, apart, &format!("{isa}: {input:?} {pool:?}"));
            }
            for threads in [1, 3] {
                let options = Options::new(batch).isa(isa).threads(threads);
                assert_eq!(Plan::new(&model, options).unwrap().steps().count(), steps);
                assert!(Session::new(&model, options).unwrap().run(&samples).unwrap() == fused[0]);
            }
        }
    }
}

#[test]
fn an_activation_goes_with_the_layer_before() {
    // Small, and large enough for threads to share.
    for (batch, input) in [(3, &[5, 7, 9]), (5, &[48, 40, 48])] {
        let depthwise = DepthwiseConv2d::same().kernel([3, 3]);
        with_relu(batch, input, depthwise);
        with_relu(batch, input, depthwise.stride(2));
        with_relu(batch, input, SeparableConv2d::same().filters(7).kernel([3, 3]));
        with_relu(batch, input, BatchNormalization::new());
        with_relu(batch, input, Conv2dTranspose::same().stride(2).filters(7).kernel([3, 3]));
        with_relu(batch, input, Conv2dTranspose::valid().filters(16).kernel([3, 3]));
    }
    for (batch, input) in [(3, &[35, 9]), (5, &[1900, 48])] {
        with_relu(batch, input, Conv1d::causal().filters(24).kernel(3));
        with_relu(batch, input, DepthwiseConv1d::same().kernel(5));
        with_relu(batch, input, Conv1dTranspose::same().stride(2).filters(7).kernel(3));
    }
}

fn with_relu<L: Differentiable + Copy>(batch: usize, input: &[usize], layer: L) {
    let mut model = Sequential::new(input).layer(layer).named("layer").relu().build(3).unwrap();
    if L::NAME == BatchNormalization::NAME {
        let channels = input[input.len() - 1];
        let weights = numbers(4 * channels).iter().map(|x| x + 1.5).collect::<Vec<_>>();
        model.set_weights("layer", &weights.chunks(channels).collect::<Vec<_>>()).unwrap();
    }
    let (pixels, weights) = (numbers(batch * input.iter().product::<usize>()), numbers(1 << 20));
    for isa in Isa::available() {
        let case = format!("{isa}: {} of {batch} times {input:?}", L::NAME);
        let images = (batch, pixels.as_slice());
        let together = || {
            pass(isa, &model, images, &weights, |tape, input, parameters| {
                model.record(tape, input, Mode::Inference, parameters).unwrap()
            })
        };
        let on_threads = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let options = Options::new(batch).isa(isa).threads(threads);
                let output = Session::new(&model, options).unwrap().run(&pixels).unwrap().to_vec();
                (together(), output)
            })
        };
        let (fused, output) = on_threads(1);
        assert!(on_threads(3) == (fused.clone(), output.clone()), "threads: {case}");
        assert!(fused[0] == output, "inference: {case}");
        assert!(output.contains(&0.0) && output.iter().any(|&y| y > 0.0), "{case}");
        let apart = pass(isa, &model, images, &weights, |tape, input, parameters| {
            for weights in model.parameters() {
                let statistics = weights.name().starts_with("moving");
                let add = if statistics { Tape::input } else { Tape::parameter };
                parameters.push(add(tape, weights.shape(), weights.values()).unwrap());
            }
            let sums = tape.layer(layer, &[input], parameters).unwrap();
            tape.relu(sums).unwrap()
        });
        for (fused, apart) in fused.iter().zip(&apart) {
            assert_close(fused, apart, &case);
        }
    }
}

/// Whatever the stripes, and whoever computes them.
#[test]
fn separable_convolutions_have_the_bits_of_their_two_layers() {
    for (batch, input, padding, stride, dilation) in [
        (2, [97, 61, 48], Padding::Same, 1, 1),
        (1, [140, 150, 20], Padding::Valid, 2, 1),
        (3, [61, 83, 32], Padding::Explicit { top: 2, bottom: 0, left: 1, right: 1 }, 1, 1),
        // Some rows see padding alone, so that there are no stripes.
        (1, [3, 5000, 16], Padding::Explicit { top: 9, bottom: 9, left: 0, right: 0 }, 1, 6),
    ] {
        let separable = SeparableConv2d::padded(padding).filters(24).kernel([3, 3]).stride(stride);
        let depthwise = DepthwiseConv2d::padded(padding).kernel([3, 3]).stride(stride).dilation(dilation);
        let joined = Sequential::new(input).layer(separable.dilation(dilation)).relu();
        let mut joined = joined.build(1).unwrap();
        let apart = Sequential::new(input).layer(depthwise.no_bias()).conv2d(24, 1).relu();
        let mut apart = apart.build(1).unwrap();
        let (kernel, pointwise, bias) = (numbers(9 * input[2]), numbers(24 * input[2]), numbers(24));
        joined.set_weights("separable_conv2d", &[&kernel, &pointwise, &bias]).unwrap();
        apart.set_weights("depthwise_conv2d", &[&kernel]).unwrap();
        apart.set_weights("conv2d", &[&pointwise, &bias]).unwrap();
        let pixels = numbers(batch * input.iter().product::<usize>());
        for isa in Isa::available() {
            let run = |model: &Model<'_>, threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let options = Options::new(batch).isa(isa).threads(threads);
                pool.install(|| Session::new(model, options).unwrap().run(&pixels).unwrap().to_vec())
            };
            let want = run(&apart, 1);
            for threads in [1, 2, 5] {
                assert!(run(&joined, threads) == want, "{isa}, {threads} threads: {input:?}");
                assert!(run(&apart, threads) == want, "{isa}, {threads} threads: {input:?} apart");
            }
        }
    }
}
