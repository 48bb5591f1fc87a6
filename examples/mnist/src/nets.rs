//! The nets that read digits.

use crate::data::CLASSES;
use bantam::{
    BatchNormalization, Conv2d, DepthwiseConv2d, Error, GraphBuilder, MaxPool2d, Model, Padding, Sequential,
    Value,
};

/// Three convolutions and two dense layers, 93,322 parameters for 28×28 pixels, as in *Deep Learning with Python*.
///
/// # Errors
/// The pictures are too small for it.
pub fn convnet(input: &[usize], seed: u64) -> Result<Model<'static>, Error> {
    Sequential::new(input)
        .conv2d(32, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .flatten()
        .dense(64)
        .relu()
        .dense(CLASSES)
        .build(seed)
}

/// Its moving statistics follow in tens of steps, where Keras's momentum of 0.99 takes hundreds: few pictures are enough.
const NORMALIZATION: BatchNormalization = BatchNormalization::new().momentum(0.9);

/// Residual blocks of depthwise and 1×1 convolutions (He et al., arXiv 1512.03385; Howard et al., arXiv 1704.04861),
/// each convolution with a batch normalisation. Where the map becomes half as large, a convolution and a max-pool beside each other double its channels (Paszke et al., arXiv 1606.02147).
///
/// # Errors
/// There is no memory for it.
pub fn residual(input: &[usize], seed: u64) -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let stem = net.input(input).conv2d_with(16, [3, 3], Conv2d::same().no_bias()).layer(NORMALIZATION).relu();
    let x = halved(&net, stem, 16);
    let x = block(&net, x, 32);
    let x = halved(&net, x, 32);
    let x = block(&net, x, 64);
    let x = block(&net, x, 64);
    net.build(&[x.global_average_pool2d().dense(CLASSES).softmax()], seed)
}

/// `x` and what two convolutions make of it, added.
fn block<'g>(net: &'g GraphBuilder, x: Value<'g>, channels: usize) -> Value<'g> {
    let spatial = x.depthwise_conv2d_with([3, 3], DepthwiseConv2d::same().no_bias());
    let spatial = spatial.layer(NORMALIZATION).relu();
    let pointwise = spatial.conv2d_with(channels, [1, 1], Conv2d::valid().no_bias()).layer(NORMALIZATION);
    net.add(&[x, pointwise]).relu()
}

/// A map of half the rows and columns, with `filters` channels more.
fn halved<'g>(net: &'g GraphBuilder, x: Value<'g>, filters: usize) -> Value<'g> {
    let convolved = x.conv2d_with(filters, [3, 3], Conv2d::same().stride(2).no_bias());
    let convolved = convolved.layer(NORMALIZATION).relu();
    net.concatenate(&[convolved, x.max_pool2d_with(MaxPool2d::new(2).padding(Padding::Same))])
}
