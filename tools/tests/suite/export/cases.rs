//! A model for each layer in each of its forms, and nets.

use bantam::{
    ActivityRegularization, AveragePool1d, AveragePool2d, AxisSoftmax, BatchNormalization, Concatenate,
    Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, DepthwiseConv1d, DepthwiseConv2d, GeneralRelu,
    GlobalAveragePool2d, GlobalMaxPool2d, GraphBuilder, GroupNormalization, Gru, LayerNormalization, Lstm,
    MaxPool1d, MaxPool2d, Model, Multiply, Normalization, Padding, Prelu, SeparableConv2d, Sequential,
    Softmax, UpSampling2d, Value,
};

/// Numbers from -1 to 1 that look random.
pub fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// With weights of which none is what it begins as.
fn shaken(mut model: Model<'static>) -> Model<'static> {
    let nodes: Vec<(String, Vec<Vec<f32>>)> = model
        .nodes()
        .iter()
        .map(|node| {
            let changed = model.parameters_of(node).iter().map(|weights| {
                let random = numbers(weights.values().len() as u64 + 7, weights.values().len());
                match weights.name() {
                    "moving_variance" | "variance" => random.iter().map(|x| 0.75 + x / 2.0).collect(),
                    "gamma" => random.iter().map(|x| 1.0 + x / 4.0).collect(),
                    "kernel" | "depthwise_kernel" | "pointwise_kernel" | "recurrent_kernel" => {
                        weights.values().to_vec()
                    }
                    _ => random.iter().map(|x| x / 4.0).collect(),
                }
            });
            (node.name().to_string(), changed.collect())
        })
        .collect();
    for (name, weights) in nodes {
        let weights: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
        model.set_weights(&name, &weights).unwrap();
    }
    model
}

const EDGES: Padding = Padding::Explicit { top: 1, bottom: 0, left: 2, right: 1 };
const ENDS: Padding = Padding::Explicit { top: 0, bottom: 0, left: 2, right: 1 };

type Layers = fn(Sequential) -> Sequential;
type Set = &'static [(&'static str, Layers)];

/// Of maps `[6, 7, 4]`, with a convolution in front, behind which channels are first.
const OF_MAPS: Set = &[
    ("conv", |net| net.conv2d(5, 3)),
    ("conv_same_stride", |net| net.conv2d_with(5, [3, 2], Conv2d::same().strides([2, 3]))),
    ("conv_edges_dilated", |net| {
        net.conv2d_with(5, [3, 2], Conv2d::padded(EDGES).dilations([1, 2]).no_bias())
    }),
    ("conv_groups", |net| net.conv2d_with(6, [3, 3], Conv2d::same().groups(2))),
    ("depthwise", |net| net.depthwise_conv2d_with([3, 3], DepthwiseConv2d::same().stride(2))),
    ("depthwise_multiplier", |net| {
        net.depthwise_conv2d_with([2, 3], DepthwiseConv2d::padded(EDGES).multiplier(2).dilation(2))
    }),
    ("separable", |net| net.separable_conv2d_with(5, [3, 3], SeparableConv2d::same().multiplier(2))),
    ("transposed_valid", |net| {
        net.conv2d_transpose_with(5, [3, 2], Conv2dTranspose::valid().strides([2, 3]))
    }),
    ("transposed_same", |net| net.conv2d_transpose_with(5, [3, 4], Conv2dTranspose::same().stride(2))),
    ("transposed_same_wide", |net| net.conv2d_transpose_with(5, [1, 2], Conv2dTranspose::same().stride(3))),
    ("transposed_more", |net| {
        net.conv2d_transpose_with(5, [3, 3], Conv2dTranspose::padded(EDGES).stride(2).output_padding([1, 0]))
    }),
    ("transposed_dilated", |net| {
        net.conv2d_transpose_with(5, [3, 2], Conv2dTranspose::same().dilation(2).no_bias())
    }),
    ("batch_normalization", |net| net.batch_normalization()),
    ("batch_normalization_bare", |net| {
        net.layer(BatchNormalization::new().no_scale().no_center().epsilon(0.1))
    }),
    ("layer_normalization", |net| net.layer_normalization()),
    ("layer_normalization_bare", |net| net.layer(LayerNormalization::new().no_scale().no_center())),
    ("group_normalization", |net| net.group_normalization(2)),
    ("group_normalization_bare", |net| net.layer(GroupNormalization::new(4).no_scale().no_center())),
    ("max_pool", |net| net.max_pool2d(2)),
    ("max_pool_same", |net| {
        net.max_pool2d_with(MaxPool2d::rectangular([3, 2]).stride(2).padding(Padding::Same))
    }),
    ("max_pool_ceil", |net| net.max_pool2d_with(MaxPool2d::new(3).stride(3).padding(EDGES).ceil_mode())),
    ("max_pool_dilated", |net| net.max_pool2d_with(MaxPool2d::new(2).stride(1).dilation(3))),
    ("average_pool", |net| net.average_pool2d(2)),
    ("average_pool_same", |net| {
        net.average_pool2d_with(AveragePool2d::new(3).stride(2).padding(Padding::Same))
    }),
    ("average_pool_ceil", |net| net.average_pool2d_with(AveragePool2d::new(3).stride(2).ceil_mode())),
    ("average_pool_counted", |net| {
        net.average_pool2d_with(AveragePool2d::new(3).stride(2).padding(EDGES).count_padding())
    }),
    ("average_pool_counted_ceil", |net| {
        net.average_pool2d_with(AveragePool2d::new(3).stride(2).padding(EDGES).count_padding().ceil_mode())
    }),
    ("average_pool_counted_ceil_dropped", |net| {
        let padding = Padding::Explicit { top: 0, bottom: 1, left: 1, right: 1 };
        net.average_pool2d_with(AveragePool2d::new(2).stride(3).padding(padding).count_padding().ceil_mode())
    }),
    ("max_pool_ceil_dropped", |net| {
        let padding = Padding::Explicit { top: 0, bottom: 1, left: 1, right: 1 };
        net.max_pool2d_with(MaxPool2d::new(2).stride(3).padding(padding).ceil_mode())
    }),
    ("average_pool_dilated", |net| net.average_pool2d_with(AveragePool2d::new(2).stride(1).dilation(2))),
    ("global_average", |net| net.global_average_pool2d()),
    ("global_average_kept", |net| net.layer(GlobalAveragePool2d::new().keep_dims())),
    ("global_max", |net| net.global_max_pool2d()),
    ("global_max_kept", |net| net.layer(GlobalMaxPool2d::new().keep_dims())),
    ("zero_padding", |net| net.zero_padding2d([[1, 0], [2, 3]])),
    ("cropping", |net| net.cropping2d([[1, 0], [2, 1]])),
    ("cropping_nothing", |net| net.cropping2d([[0, 0], [0, 0]])),
    ("nearest", |net| net.up_sampling2d([2, 3])),
    ("bilinear", |net| net.up_sampling2d_with(UpSampling2d::new([2, 3]).bilinear())),
    ("flatten", |net| net.flatten()),
    ("flatten_dense", |net| net.dropout(0.5).flatten().relu().dropout(0.5).dense(5).dense(3)),
    ("reshape_parts_channels", |net| net.reshape([6, -1, 2, 2])),
    ("reshape_pixels", |net| net.reshape([-1, 4])),
    ("reshape_to_one", |net| net.reshape([-1]).dense(3)),
    ("shuffle", |net| {
        let width = [6, 7, 2, 2];
        net.reshape(width).permute([1, 2, 4, 3]).reshape([6, 7, 4]).conv2d(3, 1)
    }),
    ("permute", |net| net.permute([3, 1, 2])),
    ("permute_flatten_dense", |net| net.permute([2, 3, 1]).flatten().dense(3)),
    ("softmax", |net| net.softmax()),
    ("softmax_rows", |net| net.softmax_along(1)),
    ("softmax_columns", |net| net.layer(AxisSoftmax::new(-2))),
    ("prelu", |net| net.prelu(Prelu::new().shared_axes([1, 2]))),
    ("prelu_of_each", |net| net.prelu(Prelu::new())),
    ("normalization", |net| net.normalization()),
    ("normalization_inverse", |net| net.layer(Normalization::new().invert())),
    ("rescaling", |net| net.rescaling(0.5, -1.0)),
    ("rescaling_factor", |net| net.rescaling(2.0, 0.0)),
    ("rescaling_offset", |net| net.rescaling(1.0, 3.0)),
    ("noises", |net| {
        let net = net.dropout(0.5).gaussian_noise(0.1).gaussian_dropout(0.1).alpha_dropout(0.1);
        net.spatial_dropout2d(0.2).layer(ActivityRegularization::new(0.1, 0.0))
    }),
    ("noise_between", |net| net.dropout(0.5).conv2d(3, 1).dropout(0.5)),
    ("relu", |net| net.relu()),
    ("relu6", |net| net.rescaling(9.0, 0.0).relu6()),
    ("relu_bounded", |net| net.relu_with(GeneralRelu::new().max_value(0.25))),
    ("relu_threshold", |net| net.relu_with(GeneralRelu::new().threshold(0.25))),
    ("relu_slope_bounded", |net| net.relu_with(GeneralRelu::new().negative_slope(0.2).max_value(0.25))),
    ("relu_whole", |net| {
        net.relu_with(GeneralRelu::new().negative_slope(0.2).threshold(0.25).max_value(0.5))
    }),
    ("leaky_relu", |net| net.leaky_relu(0.2)),
    ("elu", |net| net.elu(0.7)),
    ("selu", |net| net.selu()),
    ("sigmoid", |net| net.sigmoid()),
    ("tanh", |net| net.tanh()),
    ("silu", |net| net.silu()),
    ("hard_swish", |net| net.rescaling(4.0, 0.0).hard_swish()),
    ("hard_sigmoid", |net| net.rescaling(4.0, 0.0).hard_sigmoid()),
    ("hard_sigmoid_keras2", |net| net.rescaling(4.0, 0.0).hard_sigmoid_keras2()),
    ("gelu", |net| net.gelu()),
    ("tanh_gelu", |net| net.tanh_gelu()),
    ("mish", |net| net.mish()),
    ("softplus", |net| net.softplus()),
    ("softsign", |net| net.softsign()),
    ("exponential", |net| net.exponential()),
];

/// Of series `[9, 4]`.
const OF_SERIES: Set = &[
    ("conv1d", |net| net.conv1d_with(5, 3, Conv1d::padded(ENDS).stride(2).groups(1))),
    ("conv1d_causal", |net| net.conv1d_with(5, 3, Conv1d::causal().dilation(2))),
    ("depthwise1d", |net| net.depthwise_conv1d_with(3, DepthwiseConv1d::same().multiplier(2))),
    ("transposed1d", |net| net.conv1d_transpose_with(5, 3, Conv1dTranspose::same().stride(2))),
    ("max_pool1d", |net| net.max_pool1d_with(MaxPool1d::new(3).stride(2).ceil_mode())),
    ("average_pool1d", |net| net.average_pool1d_with(AveragePool1d::new(3).stride(2).padding(Padding::Same))),
    ("global1d", |net| net.conv1d(5, 3).global_average_pool1d()),
    ("global_max1d", |net| net.conv1d(5, 3).global_max_pool1d()),
    ("padding1d", |net| net.zero_padding1d([1, 2]).cropping1d([0, 1]).up_sampling1d(2).conv1d(2, 3)),
    ("padding1d_alone", |net| {
        net.conv1d(4, 2).zero_padding1d([1, 2]).cropping1d([0, 1]).spatial_dropout1d(0.5)
    }),
    ("flatten1d", |net| net.conv1d(5, 3).flatten().dense(2)),
    ("batch_normalization1d", |net| net.batch_normalization().layer_normalization()),
    ("group_normalization1d", |net| net.group_normalization(2)),
];

/// What the importer refuses.
const RECURRENT: Set = &[
    ("lstm", |net| net.lstm(6)),
    ("lstm_sequences", |net| {
        net.lstm_with(6, Lstm::new().return_sequences()).lstm_with(3, Lstm::new().no_bias())
    }),
    ("lstm_backwards", |net| net.lstm_with(6, Lstm::new().return_sequences().go_backwards())),
    ("lstm_flatten", |net| net.lstm_with(6, Lstm::new().return_sequences()).relu().flatten().dense(2)),
    ("lstm_conv", |net| net.lstm_with(6, Lstm::new().return_sequences()).zero_padding1d([0, 1]).conv1d(2, 3)),
    ("gru", |net| net.gru(6)),
    ("gru_sequences", |net| net.gru_with(6, Gru::new().return_sequences()).gru_with(3, Gru::new().no_bias())),
    ("gru_backwards", |net| net.gru_with(6, Gru::new().go_backwards())),
];

/// Of `[12]`.
const OF_VECTORS: Set = &[
    ("dense", |net| net.dense(5)),
    ("dense_normal", |net| net.dense(6).batch_normalization().softmax()),
    ("layer_normalization_vector", |net| net.layer_normalization()),
    ("group_normalization_vector", |net| net.group_normalization(3)),
    ("reshape_vector", |net| net.reshape([2, 3, 2]).conv2d(4, 2).flatten().dense(2)),
    ("prelu_vector", |net| net.prelu(Prelu::new())),
    ("untouched", |net| net.dropout(0.5)),
];

fn merge(name: &str) -> Model<'static> {
    let net = GraphBuilder::new();
    let (a, other) = (net.input([5, 6, 4]), net.input([5, 6, 4]));
    let (x, b) = (a.conv2d(4, 1), other.conv2d(4, 1));
    let squeezed = || x.global_average_pool2d();
    let outputs: Vec<Value<'_>> = match name {
        "add" => vec![net.add(&[x, b])],
        "add_three" => vec![net.add(&[a, x, b])],
        "subtract" => vec![net.subtract(b, x)],
        "multiply" => vec![net.multiply(x, b)],
        "multiply_channels" => vec![net.multiply(squeezed().dense(4).sigmoid(), x)],
        "multiply_pixel" => {
            let gate = x.layer(GlobalAveragePool2d::new().keep_dims()).conv2d(4, 1).sigmoid();
            vec![net.layer(Multiply, &[x, gate])]
        }
        "average" => vec![net.average(&[x, b, a])],
        "maximum" => vec![net.maximum(&[x, b, a])],
        "minimum" => vec![net.minimum(&[x, b])],
        "concatenate" => vec![net.concatenate(&[x, b])],
        "concatenate_rows" => vec![net.layer(Concatenate::new().axis(1), &[b, x])],
        "concatenate_vectors" => vec![net.concatenate(&[squeezed(), b.global_max_pool2d()]).dense(2)],
        "shared" => {
            let y = other.reuse_layer_of(x);
            vec![x, y, net.add(&[x, y]).flatten().dense(2)]
        }
        // The same value twice, and an input.
        "outputs" => vec![x, x, a, squeezed().dropout(0.5)],
        _ => unreachable!("{name}"),
    };
    net.build(&outputs, 3).unwrap()
}

const MERGES: [&str; 14] = [
    "add",
    "add_three",
    "subtract",
    "multiply",
    "multiply_channels",
    "multiply_pixel",
    "average",
    "maximum",
    "minimum",
    "concatenate",
    "concatenate_rows",
    "concatenate_vectors",
    "shared",
    "outputs",
];

/// A net of the zoo, small.
fn zoo(name: &str) -> Model<'static> {
    use bantam_zoo::{
        densenet121, ds_cnn, efficientnet_b0, inception_v3, mobilenet, mobilenet_v2, nasnet_mobile, resnet8,
        resnet50, resnet50_v2, vgg16, xception,
    };
    let net = match name {
        "resnet8" => resnet8(),
        "ds_cnn" => ds_cnn(),
        "mobilenet" => mobilenet().alpha(0.25).input([64, 64, 3]).classes(10),
        "mobilenet_v2" => mobilenet_v2().alpha(0.35).input([64, 64, 3]).classes(10),
        "densenet121" => densenet121().input([64, 64, 3]).classes(10),
        "efficientnet_b0" => efficientnet_b0().input([64, 64, 3]).classes(10),
        "inception_v3" => inception_v3().input([96, 96, 3]).classes(10),
        "nasnet_mobile" => nasnet_mobile().input([64, 64, 3]).classes(10),
        "resnet50" => resnet50().input([64, 64, 3]).classes(10),
        "resnet50_v2" => resnet50_v2().input([64, 64, 3]).classes(10),
        "xception" => xception().input([80, 80, 3]).classes(10),
        "vgg16" => vgg16().include_top(false).input([48, 48, 3]),
        _ => unreachable!("{name}"),
    };
    let model = net.build(5).unwrap();
    let last = model.nodes().last().unwrap();
    if last.layer::<Softmax>().is_none() {
        return model;
    }
    // Random weights drive a softmax to 0 and 1, whatever comes before.
    let logits = model.inbound(last).next().unwrap().into_owned();
    model.truncate_at(&logits).unwrap()
}

/// The nets that the tests take, then those that the check by ONNX Runtime takes besides.
pub const SMALL_NETS: [&str; 4] = ["resnet8", "ds_cnn", "mobilenet", "mobilenet_v2"];
pub const OTHER_NETS: [&str; 8] = [
    "densenet121",
    "efficientnet_b0",
    "inception_v3",
    "nasnet_mobile",
    "resnet50",
    "resnet50_v2",
    "xception",
    "vgg16",
];

/// A model that the tests export.
pub struct Case {
    pub name: &'static str,
    pub model: Model<'static>,
    /// Whether the importer knows its operators.
    pub comes_back: bool,
}

/// All layers.
pub fn layers() -> Vec<Case> {
    let sets: [(&[usize], Set); 4] =
        [(&[6, 7, 4], OF_MAPS), (&[9, 4], OF_SERIES), (&[9, 4], RECURRENT), (&[12], OF_VECTORS)];
    let mut cases = Vec::new();
    for (shape, set) in sets {
        for &(name, layers) in set {
            let begin = Sequential::new(shape);
            // The first has its channels last, so are those that a layer in front of a convolution reads.
            let begin = if shape.len() == 3 { begin.conv2d(4, 1) } else { begin };
            let comes_back = name != "relu_whole" && name != "relu_slope_bounded";
            cases.push(Case { name, model: shaken(layers(begin).build(2).unwrap()), comes_back });
        }
    }
    cases.extend(MERGES.map(|name| Case { name, model: shaken(merge(name)), comes_back: true }));
    cases
}

/// A net of the zoo.
pub fn net(name: &'static str) -> Case {
    Case { name, model: shaken(zoo(name)), comes_back: true }
}
