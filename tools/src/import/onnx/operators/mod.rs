//! The operators, by families.

mod binary;
mod conv;
mod dense;
pub mod function;
mod normalization;
pub mod parts;
mod pool;
pub mod recurrent;
mod reduce;
mod resize;
pub mod shape;
mod windows;

pub use parts::bound;

use super::graph::Node;
use super::importer::{Given, Importer};

/// What imports an operator.
pub type Operator = fn(&mut Importer<'_>, &Node<'_>) -> Given;

/// The operator of that name, of ONNX's own domain.
pub fn of(name: &str) -> Option<Operator> {
    Some(match name {
        "Abs" => binary::abs,
        "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Sum" | "Mean" => binary::arithmetic,
        "AveragePool" => pool::average,
        "BatchNormalization" => normalization::batch,
        "Cast" => shape::cast,
        "Celu" => function::celu,
        "Clip" => function::clip,
        "Concat" => parts::concat,
        "Conv" => conv::conv,
        "ConvTranspose" => conv::conv_transpose,
        "DepthToSpace" | "SpaceToDepth" => shape::depth_and_space,
        "Dropout" => shape::dropout,
        "Elu" => function::elu,
        "Expand" | "Tile" => shape::expand,
        "Flatten" => shape::flatten,
        "Gather" => parts::gather,
        "Gelu" => function::gelu,
        "GRU" | "LSTM" => recurrent::recurrent,
        "Gemm" => dense::gemm,
        "GlobalAveragePool" => pool::global_average,
        "GlobalMaxPool" => pool::global_max,
        "GroupNormalization" | "InstanceNormalization" => normalization::group,
        "HardSigmoid" => function::hard_sigmoid,
        "Identity" => shape::identity,
        "LayerNormalization" => normalization::layer,
        "LeakyRelu" => function::leaky_relu,
        "MatMul" => dense::matmul,
        "MaxPool" => pool::max,
        "PRelu" => function::prelu,
        "Pad" => parts::pad,
        "Pow" => binary::pow,
        "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceSum" => reduce::reduce,
        "Relu" | "Sigmoid" | "Tanh" | "Softplus" | "Softsign" | "Exp" | "Mish" | "HardSwish" | "Neg" => {
            function::plain
        }
        "Reshape" => shape::reshape,
        "Resize" | "Upsample" => resize::resize,
        "Selu" => function::selu,
        "Slice" => parts::slice,
        "Softmax" => normalization::softmax,
        "Split" => parts::split,
        "Squeeze" => shape::squeeze,
        "Swish" => function::swish,
        "ThresholdedRelu" => function::thresholded_relu,
        "Transpose" => shape::transpose,
        "Unsqueeze" => shape::unsqueeze,
        _ => return None,
    })
}
