//! The layers that are linked: each has a Cargo feature, and a model may have no others.

use engine::LayerType;

macro_rules! linked {
    ($($feature:literal => $layer:ident),* $(,)?) => {
        pub(crate) const LINKED: &[&LayerType] = &[$(
            #[cfg(feature = $feature)]
            &<engine::$layer as engine::Layer>::TYPE,
        )*];

        #[cfg(feature = "training")]
        pub(crate) const TRAINABLE: &[&LayerType] = &[$(
            #[cfg(feature = $feature)]
            &<engine::$layer as engine::Differentiable>::TRAINABLE,
        )*];
    };
}

linked! {
    "activity_regularization" => ActivityRegularization,
    "add" => Add,
    "alpha_dropout" => AlphaDropout,
    "average" => Average,
    "average_pool1d" => AveragePool1d,
    "average_pool2d" => AveragePool2d,
    "axis_softmax" => AxisSoftmax,
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
    "elu" => Elu,
    "exponential" => Exponential,
    "flatten" => Flatten,
    "gaussian_dropout" => GaussianDropout,
    "gaussian_noise" => GaussianNoise,
    "gelu" => Gelu,
    "general_relu" => GeneralRelu,
    "global_average_pool1d" => GlobalAveragePool1d,
    "global_average_pool2d" => GlobalAveragePool2d,
    "global_max_pool1d" => GlobalMaxPool1d,
    "global_max_pool2d" => GlobalMaxPool2d,
    "group_normalization" => GroupNormalization,
    "gru" => Gru,
    "hard_sigmoid" => HardSigmoid,
    "hard_sigmoid_keras2" => HardSigmoidKeras2,
    "hard_swish" => HardSwish,
    "layer_normalization" => LayerNormalization,
    "leaky_relu" => LeakyRelu,
    "lstm" => Lstm,
    "max_pool1d" => MaxPool1d,
    "max_pool2d" => MaxPool2d,
    "maximum" => Maximum,
    "minimum" => Minimum,
    "mish" => Mish,
    "multiply" => Multiply,
    "normalization" => Normalization,
    "permute" => Permute,
    "prelu" => Prelu,
    "relu" => Relu,
    "relu6" => Relu6,
    "rescaling" => Rescaling,
    "reshape" => Reshape,
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
    "up_sampling1d" => UpSampling1d,
    "up_sampling2d" => UpSampling2d,
    "zero_padding1d" => ZeroPadding1d,
    "zero_padding2d" => ZeroPadding2d,
}
