//! The layers, by families. Each adds its operators to the graph and says which tensor its output is.

mod convolution;
mod function;
mod merging;
mod normalization;
mod pooling;
mod recurrent;
mod shaping;
mod windows;

use super::exporter::{Exporter, float, refused};
use crate::import::Unsupported;
use bantam::{
    ActivityRegularization, Add, AlphaDropout, Average, AveragePool1d, AveragePool2d, AxisSoftmax,
    BatchNormalization, Concatenate, Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, Cropping1d,
    Cropping2d, Dense, DepthwiseConv1d, DepthwiseConv2d, Dropout, Elu, Exponential, Flatten, GaussianDropout,
    GaussianNoise, Gelu, GeneralRelu, GlobalAveragePool1d, GlobalAveragePool2d, GlobalMaxPool1d,
    GlobalMaxPool2d, GroupNormalization, Gru, HardSigmoid, HardSigmoidKeras2, HardSwish, LayerNormalization,
    LeakyRelu, Lstm, MaxPool1d, MaxPool2d, Maximum, Minimum, Mish, Multiply, Normalization, Permute, Prelu,
    Relu, Relu6, Rescaling, Reshape, Selu, SeparableConv2d, Series, Sigmoid, Silu, Softmax, Softplus,
    Softsign, SpatialDropout1d, SpatialDropout2d, Subtract, Tanh, TanhGelu, UpSampling1d, UpSampling2d,
    ZeroPadding1d, ZeroPadding2d,
};

/// What a layer is for the layers that read it.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// It takes its input's elements in any order, and gives them in the same.
    Function,
    /// A product with a matrix, whose rows may be in any order.
    Dense,
    Other,
}

/// For each type of layer its kind and what writes it.
macro_rules! table {
    ($($layer:ty, $kind:ident, $write:expr;)*) => {
        /// Writes the layer of that node.
        pub fn write(x: &mut Exporter<'_>, at: usize) -> Result<(), Unsupported> {
            $(if let Some(layer) = x.node(at).layer::<$layer>() {
                return ($write)(x, at, layer);
            })*
            let kind = x.node(at).layer_type().name();
            Err(refused(kind, "it is none of this library's layers"))
        }

        /// The kind of that node's layer.
        pub fn kind(x: &Exporter<'_>, at: usize) -> Kind {
            let name = x.node(at).layer_type().name();
            $(if <$layer as bantam::Layer>::NAME == name {
                return Kind::$kind;
            })*
            Kind::Other
        }
    };
}

table! {
    ActivityRegularization, Function, function::nothing;
    Add, Other, |x, at, _| merging::merge(x, at, "Add", "Sum");
    AlphaDropout, Function, function::nothing;
    Average, Other, |x, at, _| merging::merge(x, at, "Mean", "Mean");
    AveragePool1d, Other, |x, at, layer: AveragePool1d| pooling::average(x, at, layer.over_maps());
    AveragePool2d, Other, pooling::average;
    AxisSoftmax, Other, |x, at, layer: AxisSoftmax| normalization::softmax(x, at, layer.axis);
    BatchNormalization, Other, normalization::batch;
    Concatenate, Other, merging::concatenate;
    Conv1d, Other, |x, at, layer: Conv1d| convolution::conv(x, at, layer.over_maps());
    Conv1dTranspose, Other, |x, at, layer: Conv1dTranspose| convolution::transpose(x, at, layer.over_maps());
    Conv2d, Other, convolution::conv;
    Conv2dTranspose, Other, convolution::transpose;
    Cropping1d, Other, |x, at, layer: Cropping1d| shaping::crop(x, at, layer.over_maps());
    Cropping2d, Other, shaping::crop;
    Dense, Dense, convolution::dense;
    DepthwiseConv1d, Other, |x, at, layer: DepthwiseConv1d| convolution::depthwise(x, at, layer.over_maps());
    DepthwiseConv2d, Other, convolution::depthwise;
    Dropout, Function, function::nothing;
    Elu, Function, |x, at, layer: Elu| function::one(x, at, "Elu", vec![float("alpha", layer.alpha)]);
    Exponential, Function, |x, at, _| function::one(x, at, "Exp", vec![]);
    Flatten, Other, |x, at, _| shaping::reshape(x, at);
    GaussianDropout, Function, function::nothing;
    GaussianNoise, Function, function::nothing;
    Gelu, Function, |x, at, _| function::gelu(x, at);
    GeneralRelu, Function, function::general_relu;
    GlobalAveragePool1d, Other, |x, at, _| pooling::global(x, at, "GlobalAveragePool");
    GlobalAveragePool2d, Other, |x, at, _| pooling::global(x, at, "GlobalAveragePool");
    GlobalMaxPool1d, Other, |x, at, _| pooling::global(x, at, "GlobalMaxPool");
    GlobalMaxPool2d, Other, |x, at, _| pooling::global(x, at, "GlobalMaxPool");
    GroupNormalization, Other, normalization::group;
    Gru, Other, recurrent::gru;
    HardSigmoid, Function, |x, at, _| function::hard_sigmoid(x, at, 1.0 / 6.0);
    HardSigmoidKeras2, Function, |x, at, _| function::hard_sigmoid(x, at, 0.2);
    HardSwish, Function, |x, at, _| function::hard_swish(x, at);
    LayerNormalization, Other, normalization::layer;
    LeakyRelu, Function, |x, at, layer: LeakyRelu| function::one(x, at, "LeakyRelu", vec![float("alpha", layer.slope)]);
    Lstm, Other, recurrent::lstm;
    MaxPool1d, Other, |x, at, layer: MaxPool1d| pooling::max(x, at, layer.over_maps());
    MaxPool2d, Other, pooling::max;
    Maximum, Other, |x, at, _| merging::merge(x, at, "Max", "Max");
    Minimum, Other, |x, at, _| merging::merge(x, at, "Min", "Min");
    Mish, Function, |x, at, _| function::mish(x, at);
    Multiply, Other, |x, at, _| merging::multiply(x, at);
    Normalization, Other, normalization::features;
    Permute, Other, shaping::permute;
    Prelu, Other, |x, at, _| function::prelu(x, at);
    Relu, Function, |x, at, _| function::one(x, at, "Relu", vec![]);
    Relu6, Function, |x, at, _| function::clip(x, at, 6.0);
    Rescaling, Function, function::rescaling;
    Reshape, Other, |x, at, _| shaping::reshape(x, at);
    Selu, Function, |x, at, _| function::one(x, at, "Selu", vec![]);
    SeparableConv2d, Other, convolution::separable;
    Sigmoid, Function, |x, at, _| function::one(x, at, "Sigmoid", vec![]);
    Silu, Function, |x, at, _| function::silu(x, at);
    Softmax, Other, |x, at, _| normalization::softmax(x, at, -1);
    Softplus, Function, |x, at, _| function::one(x, at, "Softplus", vec![]);
    Softsign, Function, |x, at, _| function::one(x, at, "Softsign", vec![]);
    SpatialDropout1d, Function, function::nothing;
    SpatialDropout2d, Function, function::nothing;
    Subtract, Other, |x, at, _| merging::merge(x, at, "Sub", "Sub");
    Tanh, Function, |x, at, _| function::one(x, at, "Tanh", vec![]);
    TanhGelu, Function, |x, at, _| function::tanh_gelu(x, at);
    UpSampling1d, Other, |x, at, layer: UpSampling1d| shaping::enlarge(x, at, layer.over_maps());
    UpSampling2d, Other, shaping::enlarge;
    ZeroPadding1d, Other, |x, at, layer: ZeroPadding1d| shaping::pad(x, at, layer.over_maps());
    ZeroPadding2d, Other, shaping::pad;
}

/// The axis that a layer's axis is, of a sample of so many dimensions: the batch is 0.
fn axis(told: i8, rank: usize) -> usize {
    match told {
        1.. => usize::from(told.unsigned_abs()),
        _ => (rank + 1).saturating_sub(told.unsigned_abs().into()),
    }
}
