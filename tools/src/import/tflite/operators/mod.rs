//! The operators, by families.

mod binary;
mod blocks;
mod conv;
mod dense;
mod function;
mod parts;
mod pool;
mod reduce;
mod resize;
mod shape;
mod windows;

use super::graph::Node;
use super::importer::{Given, Importer};

/// What imports an operator.
pub type Operator = fn(&mut Importer<'_>, &Node<'_>) -> Given;

/// The operator of that name.
pub fn of(name: &str) -> Option<Operator> {
    Some(match name {
        "ABS" => binary::abs,
        "ADD" | "SUB" | "MUL" | "DIV" | "MAXIMUM" | "MINIMUM" => binary::arithmetic,
        "AVERAGE_POOL_2D" | "MAX_POOL_2D" => pool::pool,
        "BATCH_MATMUL" => dense::batch_matmul,
        "BATCH_TO_SPACE_ND" => blocks::batch_to_space,
        "CAST" => shape::cast,
        "CONCATENATION" => parts::concatenation,
        "CONV_2D" => conv::conv,
        "DEPTHWISE_CONV_2D" => conv::depthwise,
        "DEPTH_TO_SPACE" | "SPACE_TO_DEPTH" => shape::depth_and_space,
        "DEQUANTIZE" => shape::identity,
        "ELU" | "EXP" | "HARD_SWISH" | "LOGISTIC" | "NEG" | "RELU" | "RELU6" | "RELU_0_TO_1"
        | "RELU_N1_TO_1" | "TANH" => function::plain,
        "EXPAND_DIMS" => shape::expand_dims,
        "FULLY_CONNECTED" => dense::fully_connected,
        "GELU" => function::gelu,
        "LEAKY_RELU" => function::leaky_relu,
        "MEAN" | "REDUCE_MAX" | "REDUCE_MIN" | "SUM" => reduce::reduce,
        "MIRROR_PAD" => parts::mirror_pad,
        "PACK" => parts::pack,
        "PAD" | "PADV2" => parts::pad,
        "PRELU" => function::prelu,
        "RESHAPE" => shape::reshape,
        "RESIZE_BILINEAR" | "RESIZE_NEAREST_NEIGHBOR" => resize::resize,
        "SLICE" => parts::slice,
        "SOFTMAX" => function::softmax,
        "SPACE_TO_BATCH_ND" => blocks::space_to_batch,
        "SPLIT" | "SPLIT_V" => parts::split,
        "SQUARE" => binary::square,
        "SQUEEZE" => shape::squeeze,
        "STRIDED_SLICE" => parts::strided_slice,
        "TILE" => resize::tile,
        "TRANSPOSE" => shape::transpose,
        "TRANSPOSE_CONV" => conv::transpose_conv,
        _ => return None,
    })
}
