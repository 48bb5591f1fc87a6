//! What layers are called, and what they refuse.

use bantam::{
    Attributes, AttributesMut, AveragePool2d, Backward, BatchNormalization, Concatenate, Conv1d, Conv2d,
    Conv2dTranspose, DepthwiseConv2d, Differentiable, Error, Forward, GeneralRelu, GlobalAveragePool2d,
    GlobalMaxPool2d, GraphBuilder, HardSigmoid, HardSwish, Isa, Layer, LeakyRelu, Lstm, MaxPool2d, Model,
    Multiply, Options, Padding, Permute, Plan, Prelu, Relu, Relu6, Reshape, SeparableConv2d, Sequential,
    Session, Shape, Sigmoid, Signature, Silu, Site, Step, Tanh, Tape, TrainingStep, UpSampling2d, Value,
    one_input,
};

#[test]
fn layers_are_called_as_in_keras() {
    let net = GraphBuilder::new();
    let x = net.input([4, 4, 3]);
    let y = x.conv2d(3, 1).relu().leaky_relu(0.1).max_pool2d(1).dropout(0.5).zero_padding2d([[1, 0], [0, 1]]);
    let y = y.batch_normalization().average_pool2d(1).depthwise_conv2d(2).separable_conv2d(4, 2);
    let [_, _] = [y.global_average_pool2d(), y.global_max_pool2d()];
    let y = net.add(&[y, y]);
    let y = net.concatenate(&[y, net.multiply(y, y)]).up_sampling2d([2, 2]).cropping2d([[1, 0], [0, 1]]);
    let y = y.rescaling(0.5, 0.0).normalization().layer_normalization().group_normalization(2);
    let y = y.elu(1.0).prelu(Prelu::new()).spatial_dropout2d(0.1).gaussian_noise(0.1).gaussian_dropout(0.1);
    let y = y.alpha_dropout(0.1).activity_regularization(0.1, 0.1);
    let y = net.maximum(&[y, net.minimum(&[y, net.average(&[y, net.subtract(y, y)])])]);
    let _ = net.input([3, 4]).spatial_dropout1d(0.1);
    let y = y.conv2d_transpose(2, 2).permute([3, 1, 2]);
    let z = y.reshape([-1, 2]).conv1d(3, 1).depthwise_conv1d(2).max_pool1d(1).average_pool1d(1);
    let z = z.conv1d_transpose(2, 2).zero_padding1d([1, 0]).cropping1d([0, 1]).up_sampling1d(2);
    let [_, _] = [z.global_average_pool1d(), z.global_max_pool1d()];
    let series = net.input([4, 3]).lstm_with(2, Lstm::new().return_sequences()).gru(2);
    let model = net.build(&[y.flatten().dense(2).softmax(), series, x.conv2d(1, 1)], 1).unwrap();
    let names = include_str!("../golden/keras_names.txt");
    let keras: Vec<(&str, &str)> = names.lines().filter_map(|line| line.split_once(' ')).collect();
    for (i, node) in model.nodes().iter().enumerate() {
        let of_class = keras.iter().find(|(class, _)| *class == node.layer_type().name());
        let (_, name) = of_class.unwrap_or_else(|| panic!("{:?} is no class of Keras's", node.layer_type()));
        let again = if i + 1 == model.nodes().len() { "_1" } else { "" };
        assert_eq!(node.name(), format!("{name}{again}"));
    }
}

/// Keras has these as arguments of other classes.
#[test]
fn activations_are_called_as_functions() {
    let net = Sequential::new([2]).relu6().sigmoid().tanh().silu().hard_swish().hard_sigmoid();
    let more = net.clone().gelu().tanh_gelu().selu().softplus().softsign().exponential().mish();
    let more = more.hard_sigmoid_keras2().relu_with(GeneralRelu::new()).softmax_along(1).build(1).unwrap();
    let names = |model: &Model<'_>| -> Vec<String> {
        model.nodes().iter().map(|node| node.name().to_string()).collect()
    };
    let functions = ["gelu", "tanh_gelu", "selu", "softplus", "softsign", "exponential", "mish"];
    assert_eq!(names(&more)[6..13], functions);
    // As Keras calls its classes.
    assert_eq!(names(&more)[13..], ["hard_sigmoid_keras2", "re_lu", "softmax"]);
    let model = net.build(1).unwrap();
    assert_eq!(names(&model), ["re_lu6", "sigmoid", "tanh", "silu", "hard_swish", "hard_sigmoid"]);
    let [a, b, c, d, e, f] = model.nodes() else { panic!() };
    assert!(a.layer::<Relu6>().is_some() && b.layer::<Sigmoid>().is_some() && c.layer::<Tanh>().is_some());
    assert!(d.layer::<Silu>().is_some() && e.layer::<HardSwish>().is_some());
    assert!(f.layer::<HardSigmoid>().is_some());
}

fn refused(make: impl Fn(&GraphBuilder) -> Value<'_>) -> String {
    let net = GraphBuilder::new();
    net.build(&[make(&net)], 1).unwrap_err().to_string()
}

#[test]
fn shapes_that_do_not_fit_are_told() {
    let text = refused(|net| net.add(&[net.input([2, 3]), net.input([3, 2])]));
    assert_eq!(text, "layer \"add\": operand: expected [2, 3], got [3, 2]");
    let text = refused(|net| net.add(&[net.input([2])]));
    assert_eq!(text, "layer \"add\": inputs of a layer: expected two or more, got 1");
    let text = refused(|net| net.add(&[net.input([2]); 9]));
    assert_eq!(text, "layer \"add\": inputs of a layer: expected at most 8, got 9");
    let text = refused(|net| net.layer(Multiply, &[net.input([2]); 3]));
    assert_eq!(text, "layer \"multiply\": inputs of a layer: expected two, got 3");
    for factors in [&[4][..], &[1, 1, 2], &[3], &[5, 1, 3], &[1, 1, 1, 3]] {
        let text = refused(|net| net.multiply(net.input([5, 5, 6]), net.input(factors)));
        assert_eq!(text, format!("layer \"multiply\": second operand: expected [5, 5, 6], got {factors:?}"));
    }
    let text = refused(|net| net.concatenate(&[net.input([2, 3, 1]), net.input([3, 2, 4])]));
    assert_eq!(text, "layer \"concatenate\": input: expected [2, 3, 4], got [3, 2, 4]");
    let text = refused(|net| net.concatenate(&[net.input([3, 1]), net.input([3])]));
    assert_eq!(text, "layer \"concatenate\": input: expected [3, 1], got [3]");
    let text = refused(|net| net.input([4]).zero_padding2d([[1, 1], [1, 1]]));
    assert_eq!(text, "layer \"zero_padding2d\": input: expected 3 dimensions, got [4]");
    let text = refused(|net| net.input([4, 4, 1]).zero_padding2d([[u32::MAX as usize; 2]; 2]));
    assert!(text.ends_with("too large") || usize::BITS > 32, "{text}");
}

/// A map in the file of a layer over series, or a shape that has no such size.
#[test]
fn shapes_of_series_and_of_other_orders_are_told() {
    let text = refused(|net| net.input([4, 4, 1]).conv1d(2, 3));
    assert_eq!(text, "layer \"conv1d\": input: expected 2 dimensions, got [4, 4, 1]");
    let text = refused(|net| net.input([2, 1]).conv1d(2, 3));
    assert_eq!(text, "layer \"conv1d\": window: expected at most the padded input's 2, got 3");
    let high = Padding::Explicit { top: 1, bottom: 0, left: 0, right: 0 };
    let text = refused(|net| net.input([4, 1]).conv1d_with(2, 3, Conv1d::padded(high)));
    assert_eq!(text, "layer \"conv1d\": height of a series: expected at most 1, got 2");
    let far = Conv1d::causal().dilation(usize::MAX);
    let text = refused(|net| net.input([4, 1]).conv1d_with(2, 3, far));
    assert!(text.contains("conv1d"), "{text}");
    let text = refused(|net| net.input([6, 4]).reshape([-1, 5]));
    assert_eq!(text, "layer \"reshape\": shape of as many numbers: expected [6, 4], got [4, 5]");
    for (target, got) in [([-1, -1], "-1"), ([0, 24], "0"), ([-2, 12], "-2")] {
        let text = refused(|net| net.input([6, 4]).reshape(target));
        let told = "size of a shape: expected at least 1, or -1 once, got ";
        assert_eq!(text, format!("layer \"reshape\": {told}{got}"));
    }
    let text = refused(|net| net.input([6, 4]).reshape([1; 7]));
    assert_eq!(text, "layer \"reshape\": dimensions: expected at most 5, got 7");
    let text = refused(|net| net.input([6, 4]).permute([1, 2, 3]));
    assert_eq!(text, "layer \"permute\": input: expected 3 dimensions, got [6, 4]");
    for (dims, got) in [([1, 1], 1), ([0, 1], 0), ([3, 1], 3)] {
        let text = refused(|net| net.input([6, 4]).permute(dims));
        assert_eq!(text, format!("layer \"permute\": dimensions, once each: expected at most 2, got {got}"));
    }
    for axis in [0, 3, -3, i8::MIN, i8::MAX] {
        let text =
            refused(|net| net.layer(Concatenate::new().axis(axis), &[net.input([2, 3]), net.input([2, 3])]));
        let expected = "one of a sample, counted from 1 or from -1 backwards";
        assert_eq!(text, format!("layer \"concatenate\": axis: expected {expected}, got {axis}"));
    }
    let text = refused(|net| net.layer(Concatenate::new().axis(1), &[net.input([2, 3]), net.input([2, 4])]));
    assert_eq!(text, "layer \"concatenate\": input: expected [2, 3], got [2, 4]");
    let text = refused(|net| net.input([4, 3, 1]).cropping2d([[2, 2], [0, 0]]));
    assert_eq!(text, "layer \"cropping2d\": cropping: expected at most 3, got 4");
    let text = refused(|net| net.input([4, 3, 1]).up_sampling2d([2, 0]));
    assert_eq!(text, "layer \"up_sampling2d\": size: expected at least 1, got 0");
    let text = refused(|net| net.input([4, 3, 1]).up_sampling2d([usize::MAX, 2]));
    assert!(text.contains("up_sampling2d"), "{text}");
}

#[test]
fn outputs_of_transposed_convolutions_are_told() {
    let shape = |how: Conv2dTranspose, input: [usize; 3]| {
        let model = Sequential::new(input).layer(how).build(1).map_err(|error| error.to_string())?;
        Ok::<_, String>(model.output_shape().dims().to_vec())
    };
    let refused = |text: &str| Err(format!("layer \"conv2d_transpose\": {text}"));
    let how = Conv2dTranspose::valid().filters(2).kernel([3, 4]).stride(2);
    assert_eq!(shape(how, [4, 5, 1]), Ok(vec![9, 12, 2]));
    assert_eq!(shape(how.output_padding([1, 0]), [4, 5, 1]), Ok(vec![10, 12, 2]));
    let text = "output padding: expected at most 1, got 2";
    assert_eq!(shape(how.output_padding([0, 2]), [4, 5, 1]), refused(text));
    let same = Conv2dTranspose::same().filters(2).kernel([3, 4]).stride(2);
    assert_eq!(shape(same, [4, 5, 1]), Ok(vec![8, 10, 2]));
    assert_eq!(shape(same.output_padding([0, 1]), [4, 5, 1]), Ok(vec![7, 9, 2]));
    let text = "output padding: expected at least 1 where the kernel's extent is even, got 0";
    assert_eq!(shape(same.output_padding([0, 0]), [4, 5, 1]), refused(text));
    let padded = |top| Padding::Explicit { top, bottom: 1, left: 1, right: 0 };
    let how = Conv2dTranspose::padded(padded(1)).filters(2).kernel([3, 4]).stride(2);
    assert_eq!(shape(how, [4, 5, 1]), Ok(vec![7, 11, 2]));
    let how = Conv2dTranspose::padded(padded(8)).filters(2).kernel([3, 4]).stride(2);
    assert_eq!(shape(how, [4, 5, 1]), refused("padding: expected at most 8, got 9"));
    assert_eq!(shape(how.filters(0), [4, 5, 1]), refused("filters: expected at least 1, got 0"));
    for (how, what) in
        [(same.strides([0, 1]), "stride"), (same.kernel([0, 1]), "window"), (same.dilation(0), "dilation")]
    {
        assert_eq!(shape(how, [4, 5, 1]), refused(&format!("{what}: expected at least 1, got 0")));
    }
    assert!(shape(same.stride(usize::MAX), [4, 5, 1]).is_err());
}

/// What was not there once is in a file only where it is used.
#[test]
fn pools_and_concatenations_of_old_files_are_as_they_were() {
    let file = |pool: MaxPool2d| Sequential::new([6, 6, 1]).layer(pool).build(1).unwrap().to_bytes().unwrap();
    let plain = file(MaxPool2d::new(2));
    assert!(file(MaxPool2d::new(2).dilation(1)) == plain);
    assert!(plain.windows(17).any(|bytes| *bytes == [2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0]));
    let length = |bytes: u8| [&[bytes, 0][..], &2u32.to_le_bytes(), &2u32.to_le_bytes()].concat();
    assert!(plain.windows(10).any(|bytes| bytes == length(17)));
    assert!(file(MaxPool2d::new(2).ceil_mode()).windows(10).any(|bytes| bytes == length(27)));
}

#[test]
fn slopes_are_finite_and_not_negative() {
    for (slope, got) in [(-0.1, "-0.1"), (f32::NAN, "NaN"), (f32::INFINITY, "infinity")] {
        let text = refused(|net| net.input([1]).leaky_relu(slope));
        let expected = "a finite number that is not negative";
        assert_eq!(text, format!("layer \"leaky_re_lu\": slope: expected {expected}, got {got}"));
        let mut tape = Tape::new(bantam::Isa::SCALAR);
        let x = tape.input(bantam::Shape::new(&[1, 1]).unwrap(), &[1.0]).unwrap();
        let error = tape.layer(LeakyRelu::new(slope), &[x], &[]).unwrap_err();
        assert!(matches!(error, Error::OutOfRange { what: "slope", .. }));
    }
}

#[test]
fn windows_that_do_not_fit_are_told() {
    let text = refused(|net| net.input([2, 4, 3]).depthwise_conv2d(3));
    let window = "window: expected at most the padded input's 2, got 3";
    assert_eq!(text, format!("layer \"depthwise_conv2d\": {window}"));
    let text = refused(|net| net.input([2, 4, 3]).separable_conv2d(8, 3));
    assert_eq!(text, format!("layer \"separable_conv2d\": {window}"));
    let text = refused(|net| net.input([2, 4, 3]).average_pool2d(3));
    assert_eq!(text, format!("layer \"average_pooling2d\": {window}"));
    let text = refused(|net| net.input([4, 4, 3]).separable_conv2d(0, 3));
    assert_eq!(text, "layer \"separable_conv2d\": filters: expected at least 1, got 0");
    let how = DepthwiseConv2d::same();
    for (how, what) in
        [(how.multiplier(0), "multiplier"), (how.stride(0), "stride"), (how.dilation(0), "dilation")]
    {
        let text = refused(|net| net.input([4, 4, 3]).depthwise_conv2d_with([3, 3], how));
        assert_eq!(text, format!("layer \"depthwise_conv2d\": {what}: expected at least 1, got 0"));
    }
    let rank = "input: expected 3 dimensions, got [4]";
    let text = refused(|net| net.input([4]).depthwise_conv2d(1));
    assert_eq!(text, format!("layer \"depthwise_conv2d\": {rank}"));
    let text = refused(|net| net.input([4]).separable_conv2d(1, 1));
    assert_eq!(text, format!("layer \"separable_conv2d\": {rank}"));
    let text = refused(|net| net.input([4]).average_pool2d(1));
    assert_eq!(text, format!("layer \"average_pooling2d\": {rank}"));
    let text = refused(|net| net.input([4]).global_average_pool2d());
    assert_eq!(text, format!("layer \"global_average_pooling2d\": {rank}"));
    let text = refused(|net| net.input([4]).global_max_pool2d());
    assert_eq!(text, format!("layer \"global_max_pooling2d\": {rank}"));
}

#[test]
fn a_normalisation_has_a_variance() {
    for epsilon in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let layer = BatchNormalization::new().epsilon(epsilon);
        let text = refused(|net| net.input([3]).layer(layer));
        let expected = "layer \"batch_normalization\": epsilon: expected a finite number above 0, got ";
        assert!(text.starts_with(expected), "{text}");
    }
    let text = refused(|net| net.input([]).batch_normalization());
    assert_eq!(text, "layer \"batch_normalization\": input: expected 1 dimensions, got []");
    for variance in [-1e-6, f32::NAN, f32::INFINITY] {
        let net = GraphBuilder::new();
        let y = net.input([2]).dense(2).batch_normalization();
        let model = net.build_with(&[y], &mut |_, name, shape| {
            let value = if name == "moving_variance" { variance } else { 0.0 };
            Ok(vec![value; shape.elements()].into())
        });
        let model = model.unwrap();
        for error in [Session::new(&model, Options::new(1)).err(), model.fold().err()] {
            let text = error.unwrap().to_string();
            let told = "variance: expected finite numbers of at least 0, got ";
            assert!(text.contains(told), "{text}");
        }
    }
}

#[test]
fn a_normalisation_overwrites_what_nobody_reads_any_more() {
    let mut model = Sequential::new([2, 2, 2]).max_pool2d(1).batch_normalization().relu().build(1).unwrap();
    let weights: [&[f32]; 4] = [&[2.0, -1.0], &[0.5, 1.0], &[1.0, 2.0], &[0.999, 0.249]];
    model.set_weights("batch_normalization", &weights).unwrap();
    let x = [1.0, 2.0, 3.0, -1.0, -2.0, 4.0, 0.0, 2.5];
    for isa in Isa::available() {
        let plan = Plan::new(&model, Options::new(3).isa(isa)).unwrap();
        assert!(plan.steps().any(|step| step.in_place), "{plan}");
        let mut session = Session::new(&model, Options::new(3).isa(isa)).unwrap();
        let got = session.run(&x).unwrap();
        for (got, want) in got.iter().zip([0.5, 1.0, 4.5, 7.0, 0.0, 0.0, 0.0, 0.0]) {
            assert!((got - want).abs() < 1e-5, "{isa}: {got}, expected {want}");
        }
    }
}

/// All that a layer can be told.
#[test]
fn attributes_survive_the_file() {
    let padding = Padding::Explicit { top: 1, bottom: 2, left: 3, right: 0 };
    let depthwise = DepthwiseConv2d::padded(padding).stride(2).dilation(3).multiplier(2).no_bias();
    let separable = SeparableConv2d::padded(padding).stride(3).dilation(2).multiplier(3).no_bias();
    let average = AveragePool2d::rectangular([4, 5]).strides([3, 2]).padding(padding).count_padding();
    let maximum = MaxPool2d::new(4).dilation(2).ceil_mode();
    let transposed = Conv2dTranspose::padded(padding).strides([2, 3]).dilation(2).output_padding([1, 2]);
    let series = Conv1d::padded(Padding::Same).stride(2).dilation(3).groups(2).no_bias();
    let (along, order) = (Concatenate::new().axis(2), Permute::new([2, 3, 1]));
    let (target, bilinear) = (Reshape::new([40, -1]), UpSampling2d::new([2, 3]).bilinear());
    let normalisation = BatchNormalization::new().epsilon(0.01);
    let net = GraphBuilder::new();
    let x = net.input([20, 20, 2]);
    let outputs = [
        x.depthwise_conv2d_with([2, 3], depthwise),
        x.separable_conv2d_with(5, [3, 2], separable),
        x.average_pool2d_with(average),
        x.layer(normalisation),
        x.layer(GlobalAveragePool2d::new().keep_dims()),
        x.layer(GlobalMaxPool2d::new().keep_dims()),
        x.layer(maximum),
        x.conv2d_transpose_with(3, [2, 3], transposed),
        x.layer(target),
        x.reshape([400, 2]).conv1d_with(4, 3, series),
        net.layer(along, &[x, x]),
        x.layer(order),
        x.layer(bilinear),
    ];
    let model = net.build(&outputs, 1).unwrap();
    let file = model.to_bytes().unwrap();
    let read = Model::from_bytes(&file).unwrap();
    assert_eq!(read, model);
    let [a, b, c, d, e, f, g, h, i, _, j, k, l, m] = read.nodes() else { panic!() };
    assert_eq!(g.layer(), Some(maximum));
    assert_eq!(h.layer(), Some(transposed.filters(3).kernel([2, 3])));
    assert_eq!(i.layer(), Some(target));
    assert_eq!(j.layer(), Some(series.filters(4).kernel(3)));
    assert_eq!(k.layer(), Some(along));
    assert_eq!(l.layer(), Some(order));
    assert_eq!(m.layer(), Some(bilinear));
    assert_eq!(a.layer(), Some(depthwise.kernel([2, 3])));
    assert_eq!(b.layer(), Some(separable.filters(5).kernel([3, 2])));
    assert_eq!(c.layer(), Some(average));
    assert_eq!(d.layer(), Some(normalisation));
    assert_eq!(e.layer(), Some(GlobalAveragePool2d::new().keep_dims()));
    assert_eq!(f.layer(), Some(GlobalMaxPool2d::new().keep_dims()));
}

/// Wherever a layer with an activation of its own is used, it is there.
#[test]
fn activations_of_a_layer_are_not_lost() {
    let conv = Conv2d::valid().filters(1).relu();
    let net = GraphBuilder::new();
    let x = net.input([1, 1, 1]);
    let mut model = net.build(&[net.layer(conv, &[x]), x.layer(conv)], 1).unwrap();
    for name in ["conv2d", "conv2d_1"] {
        model.set_weights(name, &[&[-1.0], &[0.0]]).unwrap();
    }
    let mut session = Session::new(&model, Options::new(1)).unwrap();
    session.run(&[1.0]).unwrap();
    let mut tape = Tape::new(Isa::detect());
    let [x, kernel] = [&[1.0], &[-1.0]].map(|x| tape.input(Shape::new(&[1, 1, 1, 1]).unwrap(), x).unwrap());
    let y = tape.layer(conv.no_bias(), &[x], &[kernel]).unwrap();
    assert_eq!([session.output(0), session.output(1), tape.value(y).unwrap()].concat(), [0.0; 3]);
}

/// A layer of the program's own: minus its input.
#[derive(Clone, Copy)]
struct Negate;

impl Layer for Negate {
    const NAME: &'static str = "Negate";
    const BASE: &'static str = "negate";
    type Step = Negate;

    fn read(_: &mut Attributes<'_>) -> Negate {
        Negate
    }

    fn write(&self, _: &mut AttributesMut) {}

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        Ok(Signature::new(one_input(inputs)?))
    }

    fn lower(&self, _: &Site<'_>) -> Result<Negate, Error> {
        Ok(Negate)
    }
}

impl Differentiable for Negate {
    type TrainingStep = Negate;

    fn lower_for_training(&self, _: &Site<'_>) -> Result<Negate, Error> {
        Ok(Negate)
    }
}

impl Step for Negate {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.iter_mut().zip(run.inputs[0]).for_each(|(y, x)| *y = -x);
        Ok(())
    }
}

impl TrainingStep for Negate {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        d_input.iter_mut().zip(run.d_output).for_each(|(d_x, d_y)| *d_x = -*d_y);
        Ok(())
    }
}

#[test]
fn a_program_brings_layers_of_its_own() {
    let net = Sequential::new([2]).layer(Negate).relu();
    let file = net.build(1).unwrap().to_bytes().unwrap();
    assert!(Model::from_bytes(&file).unwrap_err().to_string().ends_with("found Negate"));
    let model = Model::from_bytes_with(&file, bantam::trainable_layers![Negate, Relu]).unwrap();
    assert_eq!(Session::new(&model, Options::new(1)).unwrap().run(&[1.0, -2.0]).unwrap(), [0.0, 2.0]);
    let shape = Shape::new(&[1, 2]).unwrap();
    let mut tape = Tape::new(Isa::detect());
    let x = tape.parameter(shape, &[1.0, -2.0]).unwrap();
    let y = tape.layer(Negate, &[x], &[]).unwrap();
    let loss = tape.sum(y).unwrap();
    assert_eq!(tape.backward(loss).unwrap().get(x).unwrap(), [-1.0, -1.0]);
}
