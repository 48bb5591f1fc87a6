//! He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", arXiv 1603.05027.

use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use crate::resnet::{NORMALIZATION, POOLS, pool, stem};
use alloc::format;
use bantam::{Conv2d, MaxPool2d, Value};

/// ResNet of 50 layers, with normalisation and activation before each convolution (arXiv 1603.05027). As in Keras, the
/// stride of a stage is in its last block.
pub const fn resnet50_v2() -> Net {
    net("resnet50_v2", |draft, x| body(draft, x, [3, 4, 6, 3]))
}

/// As [`resnet50_v2`], of 101 layers.
pub const fn resnet101_v2() -> Net {
    net("resnet101_v2", |draft, x| body(draft, x, [3, 4, 23, 3]))
}

/// As [`resnet50_v2`], of 152 layers.
pub const fn resnet152_v2() -> Net {
    net("resnet152_v2", |draft, x| body(draft, x, [3, 8, 36, 3]))
}

const fn net(name: &'static str, body: crate::net::Body) -> Net {
    Net::new(name, 224, (32, "at least 32"), Preprocessing::Tf, body)
}

/// Of so many blocks in each stage.
fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>, blocks: [usize; 4]) -> Value<'g> {
    let mut x = pool(stem(x));
    for ((stage, count), filters) in (2..).zip(blocks).zip([64, 128, 256, 512]) {
        for i in 1..=count {
            // The last stage keeps its map.
            let stride = if i == count && stage < 5 { 2 } else { 1 };
            x = block(draft, x, filters, stride, i == 1, &format!("conv{stage}_block{i}"));
        }
    }
    let x = x.layer(NORMALIZATION).named("post_bn").relu().named("post_relu");
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
    let activated = |x: Value<'g>, i: &str| {
        x.layer(NORMALIZATION).named(&named(&format!("{i}_bn"))).relu().named(&named(&format!("{i}_relu")))
    };
    let ready = activated(x, "preact");
    let shortcut = if project {
        ready.conv2d_with(4 * filters, [1, 1], Conv2d::valid().stride(stride)).named(&named("0_conv"))
    } else if stride > 1 {
        x.max_pool2d_with(MaxPool2d::new(1).stride(stride))
    } else {
        x
    };
    let y = ready.conv2d_with(filters, [1, 1], Conv2d::valid().no_bias()).named(&named("1_conv"));
    let y = activated(y, "1").zero_padding2d([[1, 1]; 2]).named(&named("2_pad"));
    let y = y.conv2d_with(filters, [3, 3], Conv2d::valid().stride(stride).no_bias()).named(&named("2_conv"));
    let y = activated(y, "2").conv2d(4 * filters, 1).named(&named("3_conv"));
    draft.net.add(&[shortcut, y]).named(&named("out"))
}
