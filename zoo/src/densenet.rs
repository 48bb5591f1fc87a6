//! Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", arXiv 1608.06993.

use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use crate::resnet::{NORMALIZATION, POOLS};
use alloc::format;
use bantam::{Conv2d, MaxPool2d, Value};

/// DenseNet of 121 layers (arXiv 1608.06993).
pub const fn densenet121() -> Net {
    net("densenet121", |draft, x| body(draft, x, [6, 12, 24, 16]))
}

/// DenseNet of 169 layers (arXiv 1608.06993).
pub const fn densenet169() -> Net {
    net("densenet169", |draft, x| body(draft, x, [6, 12, 32, 32]))
}

/// DenseNet of 201 layers (arXiv 1608.06993).
pub const fn densenet201() -> Net {
    net("densenet201", |draft, x| body(draft, x, [6, 12, 48, 32]))
}

const fn net(name: &'static str, body: crate::net::Body) -> Net {
    Net::new(name, 224, (32, "at least 32"), Preprocessing::Torch, body)
}

/// How many channels each block adds.
const GROWTH: usize = 32;

/// Of so many blocks in each stage.
fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>, blocks: [usize; 4]) -> Value<'g> {
    let x = x.zero_padding2d([[3, 3]; 2]);
    let x = x.conv2d_with(64, [7, 7], Conv2d::valid().stride(2).no_bias()).named("conv1_conv");
    let x = activated(x, "conv1").zero_padding2d([[1, 1]; 2]);
    let mut x = x.max_pool2d_with(MaxPool2d::new(3).stride(2)).named("pool1");
    let mut channels = 64;
    for (stage, count) in (2..).zip(blocks) {
        if stage > 2 {
            channels /= 2;
            let name = format!("pool{}", stage - 1);
            x = activated(x, &name).conv2d_with(channels, [1, 1], Conv2d::valid().no_bias());
            x = x.named(&format!("{name}_conv")).average_pool2d(2).named(&format!("{name}_pool"));
        }
        for i in 1..=count {
            x = block(draft, x, &format!("conv{stage}_block{i}"));
        }
        channels += count * GROWTH;
    }
    let x = x.layer(NORMALIZATION).named("bn").relu().named("relu");
    draft.end(x, POOLS)
}

fn activated<'g>(x: Value<'g>, name: &str) -> Value<'g> {
    x.layer(NORMALIZATION).named(&format!("{name}_bn")).relu().named(&format!("{name}_relu"))
}

fn block<'g>(draft: &Draft<'g>, x: Value<'g>, name: &str) -> Value<'g> {
    let y = activated(x, &format!("{name}_0"));
    let y = y.conv2d_with(4 * GROWTH, [1, 1], Conv2d::valid().no_bias()).named(&format!("{name}_1_conv"));
    let y = activated(y, &format!("{name}_1"));
    let y = y.conv2d_with(GROWTH, [3, 3], Conv2d::same().no_bias()).named(&format!("{name}_2_conv"));
    draft.net.concatenate(&[x, y]).named(&format!("{name}_concat"))
}
