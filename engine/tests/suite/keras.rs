//! Layers, and nets of them, against Keras in double precision: outputs and all gradients, on every instruction set;
//! and that each survives its file.
//! `golden/keras_layers.py` made the file.

use bantam::{
    Add, Average, AveragePool1d, AveragePool2d, AxisSoftmax, BatchNormalization, Concatenate, Conv1d,
    Conv1dTranspose, Conv2d, Conv2dTranspose, Cropping1d, Cropping2d, Dense, DepthwiseConv1d,
    DepthwiseConv2d, Differentiable, Elu, Error, Exponential, Gelu, GeneralRelu, GlobalAveragePool1d,
    GlobalAveragePool2d, GlobalMaxPool1d, GlobalMaxPool2d, GraphBuilder, GroupNormalization, Gru,
    HardSigmoid, HardSigmoidKeras2, HardSwish, Isa, LayerNormalization, LeakyRelu, Lstm, MaxPool1d,
    MaxPool2d, Maximum, Minimum, Mish, Mode, Model, Multiply, Normalization, Options, Padding, Permute,
    Prelu, Relu, Relu6, Rescaling, Reshape, Selu, SeparableConv2d, Sequential, Session, Shape, Sigmoid, Silu,
    Softmax, Softplus, Softsign, Subtract, Tanh, TanhGelu, Tape, UpSampling1d, UpSampling2d, Var,
    ZeroPadding1d, ZeroPadding2d,
};
use safetensors::SafeTensors;
use std::cell::Cell;
use std::collections::BTreeSet;

#[test]
fn every_case() {
    let mut keras = Keras::new();
    let conv = |how: Conv2d| how.filters(6).kernel([3, 3]);
    keras.layer("conv2d_valid", conv(Conv2d::valid()));
    keras.layer("conv2d_same", conv(Conv2d::same()));
    keras.layer("conv2d_same_even_kernel", Conv2d::same().filters(5).kernel([2, 4]));
    keras.layer("conv2d_same_stride2_odd", conv(Conv2d::same().stride(2)));
    keras.layer("conv2d_same_stride2_even", conv(Conv2d::same().stride(2)));
    keras.layer("conv2d_same_dilation2", conv(Conv2d::same().dilation(2)));
    keras.layer("conv2d_groups2", conv(Conv2d::same().groups(2)));
    keras.layer("conv2d_no_bias", conv(Conv2d::valid().no_bias()));
    let depthwise = |how: DepthwiseConv2d| how.kernel([3, 3]);
    keras.layer("depthwise_conv2d_same", depthwise(DepthwiseConv2d::same()));
    keras.layer("depthwise_conv2d_same_stride2_odd", depthwise(DepthwiseConv2d::same().stride(2)));
    keras.layer("depthwise_conv2d_same_stride2_even", depthwise(DepthwiseConv2d::same().stride(2)));
    keras.layer("depthwise_conv2d_multiplier2", depthwise(DepthwiseConv2d::same().multiplier(2)));
    keras.layer("depthwise_conv2d_valid_dilation2", depthwise(DepthwiseConv2d::valid().dilation(2)));
    keras.layer("depthwise_conv2d_no_bias", depthwise(DepthwiseConv2d::valid().no_bias()));
    let separable = |how: SeparableConv2d| how.filters(6).kernel([3, 3]);
    keras.layer("separable_conv2d_same", separable(SeparableConv2d::same()));
    keras.layer("separable_conv2d_multiplier2", separable(SeparableConv2d::same().multiplier(2)));
    keras.layer("separable_conv2d_no_bias", separable(SeparableConv2d::valid().no_bias()));
    keras.layer("batch_normalization", BatchNormalization::new());
    keras.layer("dense", Dense::new(5));
    keras.layer("dense_no_bias", Dense::new(5).no_bias());
    keras.layer("max_pooling2d_same_stride2", MaxPool2d::new(3).stride(2).padding(Padding::Same));
    keras.layer("average_pooling2d_valid", AveragePool2d::new(2));
    keras.layer("average_pooling2d_same_stride2", AveragePool2d::new(3).stride(2).padding(Padding::Same));
    keras.layer("average_pooling2d_rectangular", AveragePool2d::rectangular([3, 2]).strides([1, 2]));
    let rectangular = MaxPool2d::rectangular([2, 3]).strides([2, 1]).padding(Padding::Same);
    keras.layer("max_pooling2d_rectangular", rectangular);
    keras.layer("global_average_pooling2d", GlobalAveragePool2d::new());
    keras.layer("global_average_pooling2d_keepdims", GlobalAveragePool2d::new().keep_dims());
    keras.layer("global_max_pooling2d", GlobalMaxPool2d::new());
    keras.layer("global_max_pooling2d_keepdims", GlobalMaxPool2d::new().keep_dims());
    keras.layer("relu", Relu);
    keras.layer("relu6", Relu6);
    keras.layer("relu6_activation", Relu6);
    keras.layer("leaky_relu", LeakyRelu::default());
    keras.layer("leaky_relu_001", LeakyRelu::new(0.01));
    keras.layer("sigmoid", Sigmoid);
    keras.layer("tanh", Tanh);
    keras.layer("silu", Silu);
    keras.layer("hard_swish", HardSwish);
    keras.layer("hard_sigmoid", HardSigmoid);
    keras.layer("softmax", Softmax);
    keras.layer("softmax_axis_1", AxisSoftmax::new(1));
    keras.layer("softmax_axis_-2", AxisSoftmax::new(-2));
    keras.layer("add_2", Add);
    keras.layer("add_3", Add);
    keras.layer("subtract", Subtract);
    keras.layer("average_2", Average);
    keras.layer("average_3", Average);
    keras.layer("maximum_2", Maximum);
    keras.layer("maximum_3", Maximum);
    keras.layer("minimum_2", Minimum);
    keras.layer("minimum_3", Minimum);
    keras.layer("multiply_same", Multiply);
    keras.layer("multiply_broadcast", Multiply);
    keras.layer("concatenate_2", Concatenate::new());
    keras.layer("concatenate_3", Concatenate::new());
    keras.layer("zero_padding2d", ZeroPadding2d::new([[1, 2], [3, 0]]));
    keras.layer("concatenate_rows", Concatenate::new().axis(1));
    keras.layer("concatenate_columns", Concatenate::new().axis(-2));
    keras.layer("cropping2d", Cropping2d::new([[1, 2], [3, 0]]));
    keras.layer("up_sampling2d", UpSampling2d::new([2, 3]));
    keras.layer("up_sampling2d_bilinear", UpSampling2d::new([2, 4]).bilinear());
    keras.layer("up_sampling2d_bilinear_3", UpSampling2d::new([3, 3]).bilinear());
    keras.layer("reshape", Reshape::new([-1, 2, 4]));
    keras.layer("permute", Permute::new([2, 1]));
    keras.layer("permute_3", Permute::new([3, 1, 2]));
    keras.layer("permute_rows", Permute::new([2, 1, 3]));
    transposed(&mut keras);
    series(&mut keras);
    keras.net("net_series", net_of_series());
    functions(&mut keras);
    normalizations(&mut keras);
    recurrent(&mut keras);
    keras.net("net_residual", residual());
    keras.net("net_squeeze_excite", squeeze_excite());
    keras.net("net_dense_block", dense_block());
    keras.checked_all();
}

fn transposed(keras: &mut Keras) {
    let conv = |how: Conv2dTranspose| how.filters(6).kernel([3, 3]);
    let [valid, same] = [Conv2dTranspose::valid(), Conv2dTranspose::same()];
    keras.layer("conv2d_transpose_valid", conv(valid));
    keras.layer("conv2d_transpose_same_stride2", conv(same.stride(2)));
    keras.layer("conv2d_transpose_valid_stride3", conv(valid.stride(3)));
    let narrow = valid.filters(5).kernel([2, 1]).strides([3, 2]).no_bias();
    keras.layer("conv2d_transpose_narrow_kernel", narrow);
    keras.layer("conv2d_transpose_even_kernel", same.filters(5).kernel([4, 2]).stride(2));
    let padded = valid.strides([2, 3]).output_padding([1, 0]);
    keras.layer("conv2d_transpose_output_padding", conv(padded));
    let padded = same.stride(2).output_padding([0, 1]).filters(6).kernel([3, 4]);
    keras.layer("conv2d_transpose_same_output_padding", padded);
    let conv = |how: Conv1dTranspose| how.filters(6).kernel(3);
    keras.layer("conv1d_transpose_same_stride2", conv(Conv1dTranspose::same().stride(2)));
    keras.layer("conv1d_transpose_valid_stride3", conv(Conv1dTranspose::valid().stride(3).output_padding(1)));
}

fn series(keras: &mut Keras) {
    let conv = |how: Conv1d| how.filters(6).kernel(3);
    keras.layer("conv1d_valid", conv(Conv1d::valid()));
    keras.layer("conv1d_same_stride2", conv(Conv1d::same().stride(2)));
    keras.layer("conv1d_causal", conv(Conv1d::causal()));
    keras.layer("conv1d_causal_stride2", conv(Conv1d::causal().stride(2)));
    keras.layer("conv1d_causal_dilation2", conv(Conv1d::causal().dilation(2)));
    keras.layer("conv1d_groups2", conv(Conv1d::valid().groups(2).no_bias()));
    keras.layer("depthwise_conv1d", DepthwiseConv1d::valid().kernel(3));
    let multiplied = DepthwiseConv1d::same().stride(2).multiplier(2).kernel(3);
    keras.layer("depthwise_conv1d_multiplier2", multiplied);
    keras.layer("max_pooling1d", MaxPool1d::new(2));
    keras.layer("max_pooling1d_same", MaxPool1d::new(3).stride(2).padding(Padding::Same));
    keras.layer("average_pooling1d", AveragePool1d::new(2));
    keras.layer("average_pooling1d_same", AveragePool1d::new(4).stride(1).padding(Padding::Same));
    keras.layer("global_max_pooling1d", GlobalMaxPool1d::new());
    keras.layer("global_max_pooling1d_keepdims", GlobalMaxPool1d::new().keep_dims());
    keras.layer("global_average_pooling1d", GlobalAveragePool1d::new());
    keras.layer("global_average_pooling1d_keepdims", GlobalAveragePool1d::new().keep_dims());
    keras.layer("zero_padding1d", ZeroPadding1d::new([2, 1]));
    keras.layer("cropping1d", Cropping1d::new([2, 1]));
    keras.layer("up_sampling1d", UpSampling1d::new(3));
}

fn net_of_series() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([24, 3]);
    let y = x.conv1d_with(6, 5, Conv1d::causal()).named("conv").relu().named("relu");
    let y = y.max_pool1d(2).named("pool").up_sampling1d(2).named("up");
    let z = x.depthwise_conv1d_with(3, DepthwiseConv1d::same()).named("depthwise");
    let y = net.concatenate(&[y, z]).named("concat").global_max_pool1d().named("largest");
    net.build(&[y.dense(5).named("dense")], 1).unwrap()
}

fn functions(keras: &mut Keras) {
    let relu = GeneralRelu::new();
    keras.layer("relu_max_value", relu.max_value(2.999));
    keras.layer("relu_slope", relu.negative_slope(0.25));
    keras.layer("relu_threshold", relu.threshold(1.0));
    keras.layer("relu_all", relu.max_value(2.999).negative_slope(0.25).threshold(0.5));
    keras.layer("relu_below_threshold", relu.max_value(0.5).threshold(1.0));
    keras.layer("prelu", Prelu::new());
    keras.layer("prelu_shared_1_2", Prelu::new().shared_axes([1, 2]));
    keras.layer("prelu_shared_3", Prelu::new().shared_axes([3]));
    keras.layer("prelu_shared_1_3", Prelu::new().shared_axes([1, 3]));
    keras.layer("elu", Elu::default());
    keras.layer("elu_03", Elu::new(0.3));
    keras.layer("selu", Selu);
    keras.layer("gelu", Gelu);
    keras.layer("tanh_gelu", TanhGelu);
    keras.layer("hard_sigmoid_keras2", HardSigmoidKeras2);
    keras.layer("softplus", Softplus);
    keras.layer("softsign", Softsign);
    keras.layer("exponential", Exponential);
    keras.layer("mish", Mish);
    keras.layer("rescaling", Rescaling::new(1.0 / 128.0).offset(-1.0));
}

fn normalizations(keras: &mut Keras) {
    keras.layer("normalization", Normalization::new());
    keras.layer("normalization_invert", Normalization::new().invert());
    let layer = LayerNormalization::new();
    keras.layer("layer_normalization", layer);
    keras.layer("layer_normalization_row", layer.epsilon(1e-5));
    keras.layer("layer_normalization_no_center", layer.no_center());
    keras.layer("layer_normalization_no_scale", layer.no_scale());
    keras.layer("layer_normalization_plain", layer.no_center().no_scale());
    keras.layer("group_normalization_1", GroupNormalization::new(1));
    keras.layer("group_normalization_2", GroupNormalization::new(2));
    keras.layer("group_normalization_4", GroupNormalization::new(4).epsilon(1e-5));
    keras.layer("group_normalization_row", GroupNormalization::new(3).no_scale());
}

fn recurrent(keras: &mut Keras) {
    keras.layer("lstm", Lstm::new().units(5));
    keras.layer("lstm_sequences", Lstm::new().units(9).return_sequences());
    keras.layer("lstm_no_bias", Lstm::new().units(4).no_bias());
    keras.layer("lstm_backwards", Lstm::new().units(6).return_sequences().go_backwards());
    keras.layer("lstm_one_step", Lstm::new().units(17));
    keras.layer("gru", Gru::new().units(5));
    keras.layer("gru_sequences", Gru::new().units(9).return_sequences());
    keras.layer("gru_no_bias", Gru::new().units(4).no_bias());
    keras.layer("gru_backwards", Gru::new().units(6).return_sequences().go_backwards());
    keras.layer("gru_one_step", Gru::new().units(17));
    let net = Sequential::new([7, 6]).lstm_with(5, Lstm::new().return_sequences());
    let net = net.gru_with(4, Gru::new().return_sequences()).lstm(3).named("lstm2");
    keras.net("net_recurrent", net.build(1).unwrap());
}

fn residual() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([7, 6, 4]);
    let [first, second] = [Conv2d::same().stride(2).no_bias(), Conv2d::same().no_bias()];
    let y = x.conv2d_with(6, [3, 3], first).named("conv1").batch_normalization().named("bn1");
    let y = y.relu().named("relu1");
    let y = y.conv2d_with(6, [3, 3], second).named("conv2").batch_normalization().named("bn2");
    let shortcut = x.conv2d_with(6, [1, 1], Conv2d::same().stride(2)).named("shortcut");
    net.build(&[net.add(&[y, shortcut]).named("add").relu().named("relu2")], 1).unwrap()
}

fn squeeze_excite() -> Model<'static> {
    let net = GraphBuilder::new();
    let y = net.input([7, 6, 4]).conv2d_with(6, [3, 3], Conv2d::same()).named("conv");
    let s = y.layer(GlobalAveragePool2d::new().keep_dims()).named("mean");
    let s = s.conv2d(3, 1).named("reduce").relu().named("relu");
    let s = s.conv2d(6, 1).named("expand").sigmoid().named("sigmoid");
    let y = net.multiply(y, s).named("multiply");
    let y = y.depthwise_conv2d_with([3, 3], DepthwiseConv2d::same()).named("depthwise");
    net.build(&[y.hard_swish().named("hard_silu")], 1).unwrap()
}

fn dense_block() -> Model<'static> {
    let net = GraphBuilder::new();
    let mut x = net.input([7, 6, 4]);
    for i in 1..=3 {
        let y = x.batch_normalization().named(&format!("bn{i}")).relu().named(&format!("relu{i}"));
        let y = y.conv2d_with(3, [3, 3], Conv2d::same().no_bias()).named(&format!("conv{i}"));
        x = net.concatenate(&[x, y]).named(&format!("concat{i}"));
    }
    net.build(&[x.global_average_pool2d().named("mean").dense(5).named("dense")], 1).unwrap()
}

/// Records a model of a case, and adds a variable for each parameter.
type Recording<'r> =
    &'r dyn for<'a> Fn(&'a Model<'_>, &mut Tape<'a>, &[Var], &mut Vec<Var>) -> Result<Var, Error>;

struct Keras {
    file: SafeTensors<'static>,
    checked: BTreeSet<String>,
}

struct Array {
    shape: Shape,
    data: Vec<f32>,
}

impl Keras {
    fn new() -> Keras {
        let file = SafeTensors::deserialize(include_bytes!("../golden/keras_layers.safetensors")).unwrap();
        Keras { file, checked: BTreeSet::new() }
    }

    fn array(&self, case: &str, name: &str) -> Option<Array> {
        let view = self.file.tensor(&format!("{case}/{name}")).ok()?;
        let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Some(Array { shape: Shape::new(view.shape()).unwrap(), data: numbers.collect() })
    }

    /// `NAME`, or `NAME.0`, `NAME.1`, …
    fn arrays(&self, case: &str, name: &str) -> Vec<Array> {
        let numbered = (0..).map_while(|i| self.array(case, &format!("{name}.{i}")));
        self.array(case, name).into_iter().chain(numbered).collect()
    }

    /// Checks one layer by itself.
    fn layer<L: Differentiable + Copy>(&mut self, case: &str, layer: L) {
        let net = GraphBuilder::new();
        let inputs: Vec<_> =
            self.arrays(case, "input").iter().map(|x| net.input(&x.shape.dims()[1..])).collect();
        let model = net.build(&[net.layer(layer, &inputs)], 1).unwrap();
        self.check(case, model, &|model, tape, inputs, parameters| match *inputs {
            [input] => model.record(tape, input, Mode::Inference, parameters),
            _ => tape.layer(layer, inputs, &[]),
        });
    }

    /// Checks a net of one input, whose layers are named as in the case.
    fn net(&mut self, case: &str, model: Model<'static>) {
        self.check(case, model, &|model, tape, inputs, parameters| {
            model.record(tape, inputs[0], Mode::Inference, parameters)
        });
    }

    fn check(&mut self, case: &str, mut model: Model<'static>, record: Recording<'_>) {
        let is_net = model.nodes().len() > 1;
        let mut names = Vec::new();
        for node in model.clone().nodes() {
            let prefix = if is_net { format!("{}.", node.name()) } else { String::new() };
            let own: Vec<_> =
                model.parameters_of(node).iter().map(|p| format!("{prefix}{}", p.name())).collect();
            let weights = own.iter().map(|name| self.array(case, &format!("weight.{name}")).unwrap());
            let weights: Vec<Array> = weights.collect();
            for (weights, parameter) in weights.iter().zip(model.parameters_of(node)) {
                assert_eq!(weights.shape, parameter.shape(), "{case}");
            }
            let slices: Vec<_> = weights.iter().map(|weights| &weights.data[..]).collect();
            model.set_weights(node.name(), &slices).unwrap();
            names.extend(own);
        }
        let folded = model.fold().unwrap();
        let file = model.to_bytes().unwrap();
        assert_eq!(Model::from_bytes(&file).unwrap(), model, "{case}");
        let [inputs, d_inputs] = ["input", "d_input"].map(|name| self.arrays(case, name));
        let [output, d_output] = ["output", "d_output"].map(|name| self.array(case, name).unwrap());
        let slices: Vec<_> = inputs.iter().map(|input| &input.data[..]).collect();
        let (batch, _) = output.shape.split_batch().unwrap();
        let largest = Cell::new(0f32);
        for isa in Isa::available() {
            let close = |what: &str, got: &[f32], want: &Array| {
                let difference = assert_close(&format!("{case} on {isa}: {what}"), got, &want.data);
                largest.set(largest.get().max(difference));
            };
            for (what, model) in [("output", &model), ("output of the folded model", &folded)] {
                let mut session = Session::new(model, Options::new(batch).isa(isa)).unwrap();
                session.run_all(&slices).unwrap();
                close(what, session.output(0), &output);
            }

            let mut tape = Tape::new(isa);
            let vars = inputs.iter().map(|input| tape.parameter(input.shape, &input.data).unwrap());
            let (vars, mut parameters) = (vars.collect::<Vec<_>>(), Vec::new());
            let y = record(&model, &mut tape, &vars, &mut parameters).unwrap();
            assert_eq!(tape.shape(y).unwrap(), output.shape, "{case}");
            close("output in training", tape.value(y).unwrap(), &output);
            let d_output = tape.input(d_output.shape, &d_output.data).unwrap();
            let weighed = tape.mul(y, d_output).unwrap();
            let loss = tape.sum(weighed).unwrap();
            let gradients = tape.backward(loss).unwrap();
            for (i, (&var, d_input)) in vars.iter().zip(&d_inputs).enumerate() {
                close(&format!("d_input {i}"), gradients.get(var).unwrap(), d_input);
            }
            for ((&var, name), parameter) in parameters.iter().zip(&names).zip(model.parameters()) {
                match self.array(case, &format!("d_weight.{name}")) {
                    Some(d_weight) => close(&format!("d_{name}"), gradients.get(var).unwrap(), &d_weight),
                    None => assert!(gradients.get(var).is_err(), "{case}: {}", parameter.name()),
                }
            }
        }
        println!("{case}: {:.1e}", largest.get());
        assert!(self.checked.insert(case.into()), "{case} is checked twice");
    }

    fn checked_all(&self) {
        let of_file = self.file.names().into_iter().filter_map(|name| Some(name.split_once('/')?.0));
        let unchecked: BTreeSet<_> = of_file.filter(|&case| !self.checked.contains(case)).collect();
        assert!(unchecked.is_empty(), "{unchecked:?}");
    }
}

/// A sum of `n` products is about `√n` roundings of 2⁻²⁴ of its largest part off. The longest sums here are of a hundred
/// products and their parts up to twice as large as the usual sum: 20 roundings of the root mean square. Gives the largest
/// difference in units of that.
fn assert_close(what: &str, got: &[f32], want: &[f32]) -> f32 {
    const TOLERANCE: f32 = 20.0 / (1 << 24) as f32;
    assert_eq!(got.len(), want.len(), "{what}");
    let usual = (want.iter().map(|want| want * want).sum::<f32>() / want.len() as f32).sqrt();
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let tolerance = TOLERANCE * (usual + want.abs());
        assert!((got - want).abs() <= tolerance, "{what}[{i}] is {got}, expected {want}");
    }
    let largest = got.iter().zip(want).fold(0f32, |largest, (got, want)| largest.max((got - want).abs()));
    if largest == 0.0 { 0.0 } else { largest / usual }
}
