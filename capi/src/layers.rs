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
    "average_pool2d" => AveragePool2d,
    "batch_normalization" => BatchNormalization,
    "concatenate" => Concatenate,
    "conv2d" => Conv2d,
    "dense" => Dense,
    "depthwise_conv2d" => DepthwiseConv2d,
    "dropout" => Dropout,
    "flatten" => Flatten,
    "global_average_pool2d" => GlobalAveragePool2d,
    "global_max_pool2d" => GlobalMaxPool2d,
    "hard_sigmoid" => HardSigmoid,
    "hard_swish" => HardSwish,
    "leaky_relu" => LeakyRelu,
    "max_pool2d" => MaxPool2d,
    "multiply" => Multiply,
    "relu" => Relu,
    "relu6" => Relu6,
    "separable_conv2d" => SeparableConv2d,
    "sigmoid" => Sigmoid,
    "silu" => Silu,
    "softmax" => Softmax,
    "tanh" => Tanh,
    "zero_padding2d" => ZeroPadding2d,
}
