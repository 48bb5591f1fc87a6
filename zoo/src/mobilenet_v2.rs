//! Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv 1801.04381.

use crate::net::{Draft, Map, Net, halved, padding};
use crate::preprocessing::Preprocessing;
use alloc::format;
use bantam::{BatchNormalization, Conv2d, DepthwiseConv2d, Value};

/// MobileNetV2 (arXiv 1801.04381), of any [`alpha`](Net::alpha).
pub const fn mobilenet_v2() -> Net {
    Net::new("mobilenet_v2", 224, (32, "at least 32"), Preprocessing::Tf, body).of_any_width()
}

/// Expansion, filters, how many blocks, and the stride of the first.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    let (alpha, [height, width, _]) = (draft.asked.alpha, draft.asked.input);
    let mut map = Map { x, channels: divisible(32.0 * alpha), size: halved([height, width]) };
    map.x = map.x.conv2d_with(map.channels, [3, 3], Conv2d::same().stride(2).no_bias()).named("Conv1");
    map.x = normalized(map.x, "bn_Conv1").relu6().named("Conv1_relu");
    let mut block = 0;
    for (expansion, filters, count, stride) in STAGES {
        for i in 0..count {
            // The product is cut to a whole number first, as in Keras.
            let filters = divisible((filters as f64 * alpha) as usize as f64);
            let name = if block == 0 { "expanded_conv_".into() } else { format!("block_{block}_") };
            let how = Block { expansion, filters, kernel: 3, stride: if i == 0 { stride } else { 1 } };
            map = inverted_residual(draft, map, how, &name, padding);
            block += 1;
        }
    }
    let last = if alpha > 1.0 { divisible(1280.0 * alpha) } else { 1280 };
    let x = map.x.conv2d_with(last, [1, 1], Conv2d::valid().no_bias()).named("Conv_1");
    let x = normalized(x, "Conv_1_bn").relu6().named("out_relu");
    draft.end(x, [""; 3])
}

/// An inverted residual.
pub(crate) struct Block {
    /// How many channels the depthwise convolution has for each of the input. If it is 1 there is no convolution before it.
    pub expansion: usize,
    pub filters: usize,
    pub kernel: usize,
    pub stride: usize,
}

/// Gives what a kernel with a stride needs around a map of that size.
type PaddingOf = fn([usize; 2], usize) -> [[usize; 2]; 2];

/// Expanded, convolved channel by channel, projected, and added where nothing has another shape.
pub(crate) fn inverted_residual<'g>(
    draft: &Draft<'g>,
    map: Map<'g>,
    block: Block,
    prefix: &str,
    padding: PaddingOf,
) -> Map<'g> {
    let (named, Block { expansion, filters, kernel, stride }) =
        (|what: &str| format!("{prefix}{what}"), block);
    let mut y = map.x;
    if expansion > 1 {
        y = y.conv2d_with(expansion * map.channels, [1, 1], Conv2d::same().no_bias()).named(&named("expand"));
        y = normalized(y, &named("expand_BN")).relu6().named(&named("expand_relu"));
    }
    let (mut how, mut size) = (DepthwiseConv2d::same(), map.size);
    if stride == 2 {
        y = y.zero_padding2d(padding(size, kernel)).named(&named("pad"));
        (how, size) = (DepthwiseConv2d::valid().stride(2), halved(size));
    }
    y = y.depthwise_conv2d_with([kernel; 2], how.no_bias()).named(&named("depthwise"));
    y = normalized(y, &named("depthwise_BN")).relu6().named(&named("depthwise_relu"));
    y = y.conv2d_with(filters, [1, 1], Conv2d::same().no_bias()).named(&named("project"));
    y = normalized(y, &named("project_BN"));
    if stride == 1 && map.channels == filters {
        y = draft.net.add(&[map.x, y]).named(&named("add"));
    }
    Map { x: y, channels: filters, size }
}

pub(crate) fn normalized<'g>(x: Value<'g>, name: &str) -> Value<'g> {
    x.layer(BatchNormalization::new().momentum(0.999)).named(name)
}

/// The nearest multiple of 8, and no less than nine tenths.
fn divisible(filters: f64) -> usize {
    let nearest = ((filters + 4.0) as usize / 8 * 8).max(8);
    if (nearest as f64) < 0.9 * filters { nearest + 8 } else { nearest }
}
