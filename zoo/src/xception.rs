//! Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", arXiv 1610.02357.

use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use alloc::format;
use bantam::{Conv2d, MaxPool2d, Padding, SeparableConv2d, Value};

/// Xception (arXiv 1610.02357).
pub const fn xception() -> Net {
    Net::new("xception", 299, (71, "at least 71"), Preprocessing::Tf, body)
}

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    let mut x = x;
    for (name, filters, stride) in [("block1_conv1", 32, 2), ("block1_conv2", 64, 1)] {
        x = x.conv2d_with(filters, [3, 3], Conv2d::valid().stride(stride).no_bias()).named(name);
        x = x.batch_normalization().named(&format!("{name}_bn")).relu().named(&format!("{name}_act"));
    }
    for (block, filters) in [(2, [128, 128]), (3, [256, 256]), (4, [728, 728])] {
        x = halving(draft, x, block, filters);
    }
    for block in 5..=12 {
        let mut y = x;
        for i in 1..=3 {
            y = y.relu().named(&format!("block{block}_sepconv{i}_act"));
            y = separable(y, 728, &format!("block{block}_sepconv{i}"));
        }
        x = draft.net.add(&[y, x]);
    }
    x = halving(draft, x, 13, [728, 1024]);
    for (i, filters) in [(1, 1536), (2, 2048)] {
        let name = format!("block14_sepconv{i}");
        x = separable(x, filters, &name).relu().named(&format!("{name}_act"));
    }
    draft.end(x, ["avg_pool", "", ""])
}

/// Two separable convolutions and a pool beside a convolution with a stride. The second block's first activation is before it.
fn halving<'g>(draft: &Draft<'g>, x: Value<'g>, block: usize, filters: [usize; 2]) -> Value<'g> {
    let residual =
        x.conv2d_with(filters[1], [1, 1], Conv2d::same().stride(2).no_bias()).batch_normalization();
    let mut y = x;
    for (i, filters) in (1..).zip(filters) {
        let name = format!("block{block}_sepconv{i}");
        if (block, i) != (2, 1) {
            y = y.relu().named(&format!("{name}_act"));
        }
        y = separable(y, filters, &name);
    }
    let pool = MaxPool2d::new(3).stride(2).padding(Padding::Same);
    let y = y.max_pool2d_with(pool).named(&format!("block{block}_pool"));
    draft.net.add(&[y, residual])
}

fn separable<'g>(x: Value<'g>, filters: usize, name: &str) -> Value<'g> {
    let x = x.separable_conv2d_with(filters, [3, 3], SeparableConv2d::same().no_bias()).named(name);
    x.batch_normalization().named(&format!("{name}_bn"))
}
