//! He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", arXiv 1512.03385.

use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use alloc::format;
use bantam::{BatchNormalization, Conv2d, MaxPool2d, Value};

/// ResNet of 50 layers (arXiv 1512.03385). As in Keras, the stride of a block is in its first convolution.
pub const fn resnet50() -> Net {
    net("resnet50", |draft, x| body(draft, x, [3, 4, 6, 3]))
}

/// ResNet of 101 layers (arXiv 1512.03385).
pub const fn resnet101() -> Net {
    net("resnet101", |draft, x| body(draft, x, [3, 4, 23, 3]))
}

/// ResNet of 152 layers (arXiv 1512.03385).
pub const fn resnet152() -> Net {
    net("resnet152", |draft, x| body(draft, x, [3, 8, 36, 3]))
}

const fn net(name: &'static str, body: crate::net::Body) -> Net {
    Net::new(name, 224, (32, "at least 32"), Preprocessing::Caffe, body)
}

pub(crate) const NORMALIZATION: BatchNormalization = BatchNormalization::new().epsilon(1.001e-5);

/// What the mean and the maximum are called, in front of the classes and without them.
pub(crate) const POOLS: [&str; 3] = ["avg_pool", "avg_pool", "max_pool"];

/// The first convolution of both versions.
pub(crate) fn stem(x: Value<'_>) -> Value<'_> {
    let x = x.zero_padding2d([[3, 3]; 2]).named("conv1_pad");
    x.conv2d_with(64, [7, 7], Conv2d::valid().stride(2)).named("conv1_conv")
}

/// The pool behind it.
pub(crate) fn pool(x: Value<'_>) -> Value<'_> {
    let x = x.zero_padding2d([[1, 1]; 2]).named("pool1_pad");
    x.max_pool2d_with(MaxPool2d::new(3).stride(2)).named("pool1_pool")
}

/// Of so many blocks in each stage.
fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>, blocks: [usize; 4]) -> Value<'g> {
    let x = stem(x).layer(NORMALIZATION).named("conv1_bn").relu().named("conv1_relu");
    let mut x = pool(x);
    for ((stage, count), filters) in (2..).zip(blocks).zip([64, 128, 256, 512]) {
        for i in 1..=count {
            // The first pool has halved the map already.
            let stride = if i == 1 && stage > 2 { 2 } else { 1 };
            x = block(draft, x, filters, stride, i == 1, &format!("conv{stage}_block{i}"));
        }
    }
    draft.end(x, POOLS)
}

fn block<'g>(
    draft: &Draft<'g>,
    x: Value<'g>,
    filters: usize,
    stride: usize,
    project: bool,
    name: &str,
) -> Value<'g> {
    let named = |what: &str| format!("{name}_{what}");
    let convolution = |x: Value<'g>, i: usize, filters: usize, kernel: usize, how: Conv2d| {
        let x = x.conv2d_with(filters, [kernel; 2], how).named(&named(&format!("{i}_conv")));
        x.layer(NORMALIZATION).named(&named(&format!("{i}_bn")))
    };
    let strided = Conv2d::valid().stride(stride);
    let shortcut = if project { convolution(x, 0, 4 * filters, 1, strided) } else { x };
    let y = convolution(x, 1, filters, 1, strided).relu().named(&named("1_relu"));
    let y = convolution(y, 2, filters, 3, Conv2d::same()).relu().named(&named("2_relu"));
    let y = convolution(y, 3, 4 * filters, 1, Conv2d::valid());
    draft.net.add(&[shortcut, y]).named(&named("add")).relu().named(&named("out"))
}
