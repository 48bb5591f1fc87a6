//! The layers that are linked: each has a Cargo feature, and a model may have no others.

use engine::LayerType;

macro_rules! linked {
    ($($feature:literal => $layer:ident),* $(,)?) => {
        pub(crate) const LINKED: &[&LayerType] = &[$(
            #[cfg(feature = $feature)]
            &<engine::$layer as engine::Layer>::TYPE,
        )*];
    };
}

linked! {
    "add" => Add,
    "average_pool1d" => AveragePool1d,
    "average_pool2d" => AveragePool2d,
    "batch_normalization" => BatchNormalization,
    "concatenate" => Concatenate,
    "conv1d" => Conv1d,
    "conv1d_transpose" => Conv1dTranspose,
    "conv2d" => Conv2d,
    "conv2d_transpose" => Conv2dTranspose,
    "cropping1d" => Cropping1d,
    "cropping2d" => Cropping2d,
    "dense" => Dense,
    "depthwise_conv1d" => DepthwiseConv1d,
    "depthwise_conv2d" => DepthwiseConv2d,
    "dropout" => Dropout,
    "flatten" => Flatten,
    "global_average_pool1d" => GlobalAveragePool1d,
    "global_average_pool2d" => GlobalAveragePool2d,
    "global_max_pool1d" => GlobalMaxPool1d,
    "global_max_pool2d" => GlobalMaxPool2d,
    "hard_sigmoid" => HardSigmoid,
    "hard_swish" => HardSwish,
    "leaky_relu" => LeakyRelu,
    "max_pool1d" => MaxPool1d,
    "max_pool2d" => MaxPool2d,
    "multiply" => Multiply,
    "permute" => Permute,
    "relu" => Relu,
    "relu6" => Relu6,
    "reshape" => Reshape,
    "separable_conv2d" => SeparableConv2d,
    "sigmoid" => Sigmoid,
    "silu" => Silu,
    "softmax" => Softmax,
    "tanh" => Tanh,
    "up_sampling1d" => UpSampling1d,
    "up_sampling2d" => UpSampling2d,
    "zero_padding1d" => ZeroPadding1d,
    "zero_padding2d" => ZeroPadding2d,
}
