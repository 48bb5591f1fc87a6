//! Batch normalisation that is folded into the layer before it, and zeros into the one behind, give the same outputs.

use bantam::{
    BatchNormalization, Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, Dense, DepthwiseConv1d,
    DepthwiseConv2d, GraphBuilder, Isa, MaxPool2d, Model, Options, SeparableConv2d, Sequential, Session,
    Value, ZeroPadding2d,
};

fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// With other weights than those that do nothing: variances from 0 to 2, means to 2.
fn with_statistics(mut model: Model<'static>) -> Model<'static> {
    for (seed, node) in model.clone().nodes().iter().enumerate() {
        let weights = model.parameters_of(node).iter().map(|parameter| {
            let mut values = numbers(parameter.values().len(), seed);
            match parameter.name() {
                "moving_variance" => values.iter_mut().for_each(|x| *x += 1.0),
                "moving_mean" => values.iter_mut().for_each(|x| *x *= 2.0),
                _ => {}
            }
            values
        });
        let weights: Vec<Vec<f32>> = weights.collect();
        let slices: Vec<&[f32]> = weights.iter().map(|weights| &weights[..]).collect();
        model.set_weights(node.name(), &slices).unwrap();
    }
    model
}

fn names(model: &Model<'_>) -> Vec<String> {
    model.nodes().iter().map(|node| node.name().into()).collect()
}

/// The folded model, whose outputs were compared.
fn folded(model: Model<'static>) -> Model<'static> {
    let model = with_statistics(model);
    let folded = model.fold().unwrap();
    assert_eq!(Model::from_bytes(&folded.to_bytes().unwrap()).unwrap(), folded);
    assert_eq!(folded.fold().unwrap(), folded);
    let batch = 3;
    let inputs: Vec<Vec<f32>> =
        model.input_shapes().iter().map(|shape| numbers(batch * shape.elements(), 1)).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(|input| &input[..]).collect();
    for isa in Isa::available() {
        let [mut plain, mut session] =
            [&model, &folded].map(|model| Session::new(model, Options::new(batch).isa(isa)).unwrap());
        plain.run_all(&inputs).unwrap();
        session.run_all(&inputs).unwrap();
        for output in 0..model.output_shapes().count() {
            let (want, got) = (plain.output(output), session.output(output));
            let largest = want.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            assert_eq!(want.len(), got.len());
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() <= 2e-5 * largest, "{isa}: {got}, expected {want}");
            }
        }
    }
    folded
}

#[test]
fn every_layer_that_has_a_kernel() {
    let conv = Conv2d::same().filters(6).kernel([3, 3]);
    let depthwise = DepthwiseConv2d::same().kernel([3, 3]).multiplier(2);
    let separable = SeparableConv2d::valid().filters(5).kernel([3, 3]);
    let net = |image: bool| Sequential::new(if image { vec![6, 7, 4] } else { vec![9] });
    let transposed = Conv2dTranspose::same().stride(2).filters(5).kernel([3, 2]);
    let series = || Sequential::new([9, 4]);
    let conv1d = Conv1d::causal().filters(6).kernel(3);
    let depthwise1d = DepthwiseConv1d::same().kernel(3).multiplier(2);
    let transposed1d = Conv1dTranspose::valid().stride(2).filters(5).kernel(3);
    let cases = [
        (net(true).layer(conv), net(true).layer(conv.no_bias())),
        (net(true).layer(conv.groups(2)), net(true).layer(conv.groups(2).no_bias())),
        (net(true).layer(depthwise), net(true).layer(depthwise.no_bias())),
        (net(true).layer(separable), net(true).layer(separable.no_bias())),
        (net(true).layer(transposed), net(true).layer(transposed.no_bias())),
        (series().layer(conv1d), series().layer(conv1d.no_bias())),
        (series().layer(depthwise1d), series().layer(depthwise1d.no_bias())),
        (series().layer(transposed1d), series().layer(transposed1d.no_bias())),
        (net(false).layer(Dense::new(7)), net(false).layer(Dense::new(7).no_bias())),
    ];
    for (with_bias, without) in cases {
        let layer = BatchNormalization::new().epsilon(0.01);
        let [with_bias, without] = [with_bias, without].map(|net| {
            let net = net.named("sums").layer(layer).batch_normalization().relu();
            folded(net.build(1).unwrap())
        });
        assert_eq!(names(&with_bias), ["sums", "re_lu"]);
        assert_eq!(names(&without), ["sums", "re_lu"]);
        // A bias was added.
        assert_eq!(with_bias.nodes(), without.nodes());
        assert_eq!(with_bias.parameters().last().map(|bias| bias.name()), Some("bias"));
    }
}

#[test]
fn what_others_read_stays() {
    let build = |outputs: fn(&GraphBuilder) -> Vec<Value<'_>>| {
        let net = GraphBuilder::new();
        folded(net.build(&outputs(&net), 1).unwrap())
    };
    // The sums are read twice, or are an output of the model.
    let model = build(|net| {
        let y = net.input([4, 4, 3]).conv2d(2, 3);
        vec![net.add(&[y.batch_normalization(), y])]
    });
    assert_eq!(names(&model), ["conv2d", "batch_normalization", "add"]);
    let model = build(|net| {
        let y = net.input([4, 4, 3]).conv2d(2, 3);
        vec![y.batch_normalization(), y]
    });
    assert_eq!(names(&model), ["conv2d", "batch_normalization"]);
    // It is behind an input, or behind what has no kernel.
    let model = build(|net| {
        let y = net.input([4, 4, 3]).batch_normalization().conv2d(2, 3).relu();
        vec![y.batch_normalization().max_pool2d(2).batch_normalization()]
    });
    assert_eq!(model.nodes().len(), 6);
}

/// Numbers of values change, those of nodes too, and an output moves.
#[test]
fn branches_find_what_they_read() {
    let net = GraphBuilder::new();
    let [a, b] = [net.input([6, 6, 2]), net.input([6, 6, 3])];
    let x = a.conv2d(4, 1).named("a").batch_normalization();
    let y = b.separable_conv2d(4, 1).named("b").batch_normalization().named("norm").relu();
    let sum = net.add(&[x, y, x]).named("sum");
    let z = sum.depthwise_conv2d(3).named("c").batch_normalization();
    let outputs = [net.concatenate(&[z, z]), x, z.flatten().dense(3).batch_normalization(), b];
    let model = folded(net.build(&outputs, 1).unwrap());
    assert_eq!(names(&model), ["a", "b", "re_lu", "sum", "c", "concatenate", "flatten", "dense"]);
    let inbound: Vec<_> = model.inbound(model.node("sum").unwrap()).collect();
    assert_eq!(inbound, ["a", "re_lu", "a"]);
    assert_eq!(model.parameters().len(), 2 + 3 + 2 + 2);
}

#[test]
fn zeros_go_into_the_layer_that_reads_them() {
    let image = || Sequential::new([7, 6, 3]);
    let zeros = ZeroPadding2d::new([[0, 1], [2, 1]]);
    let conv = Conv2d::valid().filters(4).kernel([3, 3]).stride(2);
    let depthwise = DepthwiseConv2d::valid().kernel([3, 2]).stride(2);
    let separable = SeparableConv2d::valid().filters(5).kernel([3, 3]).stride(2).no_bias();
    let pool = MaxPool2d::new(3).stride(2);
    for (net, stay) in [
        (image().layer(zeros).layer(conv), vec!["conv2d"]),
        (image().layer(zeros).layer(conv.no_bias()).batch_normalization().relu(), vec!["conv2d", "re_lu"]),
        (image().conv2d(4, 1).batch_normalization().layer(zeros).layer(conv), vec!["conv2d", "conv2d_1"]),
        (image().layer(zeros).layer(depthwise).batch_normalization(), vec!["depthwise_conv2d"]),
        (image().layer(zeros).layer(separable), vec!["separable_conv2d"]),
        (image().relu().layer(zeros).layer(pool), vec!["re_lu", "max_pooling2d"]),
        (image().relu6().layer(zeros).layer(pool), vec!["re_lu6", "max_pooling2d"]),
        // Where all is below zero the zeros are the maxima.
        (image().layer(zeros).layer(pool), vec!["zero_padding2d", "max_pooling2d"]),
        // A window of nothing but zeros.
        (image().relu().layer(zeros).max_pool2d(2), vec!["re_lu", "zero_padding2d", "max_pooling2d"]),
        (
            image().layer(zeros).layer(Conv2d::same().filters(2).kernel([3, 3])),
            vec!["zero_padding2d", "conv2d"],
        ),
    ] {
        assert_eq!(names(&folded(net.build(1).unwrap())), stay);
    }
}

#[test]
fn zeros_that_others_read_stay() {
    let net = GraphBuilder::new();
    let zeros = net.input([5, 5, 2]).zero_padding2d([[1, 1], [1, 1]]);
    let outputs = [zeros.conv2d(3, 3), zeros.conv2d(3, 3)];
    assert_eq!(names(&folded(net.build(&outputs, 1).unwrap())), ["zero_padding2d", "conv2d", "conv2d_1"]);
    let net = GraphBuilder::new();
    let zeros = net.input([5, 5, 2]).zero_padding2d([[1, 1], [1, 1]]);
    let outputs = [zeros.conv2d(3, 3), zeros];
    assert_eq!(names(&folded(net.build(&outputs, 1).unwrap())), ["zero_padding2d", "conv2d"]);
}

#[test]
fn what_is_computed_twice_is_computed_once() {
    let net = GraphBuilder::new();
    let x = net.input([6, 6, 4]);
    let branches = [x.relu().conv2d(3, 3), x.relu().conv2d(3, 3), x.max_pool2d(2), x.relu().max_pool2d(2)];
    // Not the same layer, and an output of the model's.
    let others = [x.leaky_relu(0.1), x.leaky_relu(0.2), x.relu()];
    let twice = x.relu().max_pool2d(2).global_average_pool2d();
    let outputs = [&branches[..], &others, &[twice]].concat();
    let stay = names(&folded(net.build(&outputs, 1).unwrap()));
    let expected = [
        "re_lu",
        "conv2d",
        "conv2d_1",
        "max_pooling2d",
        "max_pooling2d_1",
        "leaky_re_lu",
        "leaky_re_lu_1",
        "re_lu_3",
        "global_average_pooling2d",
    ];
    assert_eq!(stay, expected);
    // What is random is another each time.
    let net = GraphBuilder::new();
    let x = net.input([4]);
    let outputs = [x.dropout(0.5).dense(2), x.dropout(0.5).dense(2)];
    assert_eq!(names(&folded(net.build(&outputs, 1).unwrap())), ["dropout", "dense", "dropout_1", "dense_1"]);
}
