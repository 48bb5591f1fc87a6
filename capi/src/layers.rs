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
    "activity_regularization" => ActivityRegularization,
    "add" => Add,
    "alpha_dropout" => AlphaDropout,
    "average" => Average,
    "average_pool2d" => AveragePool2d,
    "axis_softmax" => AxisSoftmax,
    "batch_normalization" => BatchNormalization,
    "concatenate" => Concatenate,
    "conv2d" => Conv2d,
    "dense" => Dense,
    "depthwise_conv2d" => DepthwiseConv2d,
    "dropout" => Dropout,
    "elu" => Elu,
    "exponential" => Exponential,
    "flatten" => Flatten,
    "gaussian_dropout" => GaussianDropout,
    "gaussian_noise" => GaussianNoise,
    "gelu" => Gelu,
    "general_relu" => GeneralRelu,
    "global_average_pool2d" => GlobalAveragePool2d,
    "global_max_pool2d" => GlobalMaxPool2d,
    "group_normalization" => GroupNormalization,
    "hard_sigmoid" => HardSigmoid,
    "hard_sigmoid_keras2" => HardSigmoidKeras2,
    "hard_swish" => HardSwish,
    "layer_normalization" => LayerNormalization,
    "leaky_relu" => LeakyRelu,
    "max_pool2d" => MaxPool2d,
    "maximum" => Maximum,
    "minimum" => Minimum,
    "mish" => Mish,
    "multiply" => Multiply,
    "normalization" => Normalization,
    "prelu" => Prelu,
    "relu" => Relu,
    "relu6" => Relu6,
    "rescaling" => Rescaling,
    "selu" => Selu,
    "separable_conv2d" => SeparableConv2d,
    "sigmoid" => Sigmoid,
    "silu" => Silu,
    "softmax" => Softmax,
    "softplus" => Softplus,
    "softsign" => Softsign,
    "spatial_dropout1d" => SpatialDropout1d,
    "spatial_dropout2d" => SpatialDropout2d,
    "subtract" => Subtract,
    "tanh" => Tanh,
    "tanh_gelu" => TanhGelu,
    "zero_padding2d" => ZeroPadding2d,
}
