//! Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv 1905.11946.

use crate::net::{Draft, Map, Net, halved, padding};
use crate::preprocessing::Preprocessing;
use crate::resnet::POOLS;
use alloc::format;
use bantam::{Conv2d, DepthwiseConv2d, Dropout, Initializer, Value};

/// EfficientNet-B0 (arXiv 1905.11946). It takes levels from 0 to 255: a rescaling and a normalisation are its first layers.
///
/// Keras has a second rescaling, by `1 / sqrt([0.229, 0.224, 0.225])`, behind that normalisation if its weights are ImageNet's
/// own, and none if they come from a file. This net has none: where such weights are used, the variances are to be multiplied by
/// the three numbers. Keras also counts how many samples a normalisation has measured, one number that this net has not.
pub const fn efficientnet_b0() -> Net {
    Net::new("efficientnet_b0", 224, (32, "at least 32"), Preprocessing::Nothing, |draft, x| {
        let x = x.rescaling(1.0 / 255.0, 0.0).normalization();
        body(draft, x, Kind::Whole)
    })
}

/// EfficientNet-Lite0: B0 without squeeze-and-excitation, and with ReLU6, for chips and accelerators (Liu, "Higher accuracy on
/// vision models with EfficientNet-Lite", TensorFlow's blog, 2020). Keras has none: layers are called as in B0.
pub const fn efficientnet_lite0() -> Net {
    Net::new("efficientnet_lite0", 224, (32, "at least 32"), Preprocessing::Lite, |draft, x| {
        body(draft, x, Kind::Lite)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Lite,
}

/// Kernel, how many blocks, filters, expansion, and the stride of the first.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
];

/// The share of a block's samples that are dropped grows from 0 to this.
const DROPPED: f32 = 0.2;

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>, kind: Kind) -> Value<'g> {
    let [height, width, _] = draft.asked.input;
    let x = x.zero_padding2d(padding([height, width], 3)).named("stem_conv_pad");
    let x = convolution(x, 32, Conv2d::valid().stride(2).kernel([3, 3])).named("stem_conv");
    let x = activated(x, kind, ["stem_bn", "stem_activation"]);
    let mut map = Map { x, channels: 32, size: halved([height, width]) };
    let (mut number, blocks) = (0, STAGES.iter().map(|stage| stage.1).sum::<usize>());
    for (stage, (kernel, count, filters, expansion, stride)) in (1..).zip(STAGES) {
        for (i, letter) in ('a'..).take(count).enumerate() {
            let block = Block {
                kernel,
                filters,
                expansion,
                stride: if i == 0 { stride } else { 1 },
                dropped: DROPPED * number as f32 / blocks as f32,
            };
            map = block.draw(draft, map, kind, &format!("block{stage}{letter}_"));
            number += 1;
        }
    }
    let x = convolution(map.x, 1280, Conv2d::same()).named("top_conv");
    let x = activated(x, kind, ["top_bn", "top_activation"]);
    if !draft.asked.include_top {
        return draft.end(x, POOLS);
    }
    let x = x.global_average_pool2d().named("avg_pool").dropout(0.2).named("top_dropout");
    draft.predictions(x, "predictions")
}

struct Block {
    kernel: usize,
    filters: usize,
    expansion: usize,
    stride: usize,
    dropped: f32,
}

impl Block {
    fn draw<'g>(&self, draft: &Draft<'g>, map: Map<'g>, kind: Kind, prefix: &str) -> Map<'g> {
        let Block { kernel, filters, expansion, stride, dropped } = *self;
        let (named, inner) = (|what: &str| format!("{prefix}{what}"), expansion * map.channels);
        let mut y = map.x;
        if expansion > 1 {
            y = convolution(y, inner, Conv2d::same()).named(&named("expand_conv"));
            y = activated(y, kind, [&named("expand_bn"), &named("expand_activation")]);
        }
        let (mut how, mut size) = (DepthwiseConv2d::same(), map.size);
        if stride == 2 {
            y = y.zero_padding2d(padding(size, kernel)).named(&named("dwconv_pad"));
            (how, size) = (DepthwiseConv2d::valid().stride(2), halved(size));
        }
        y = y.depthwise_conv2d_with([kernel; 2], how.no_bias()).initializer(Initializer::HeNormal);
        y = activated(y.named(&named("dwconv")), kind, [&named("bn"), &named("activation")]);
        if kind == Kind::Whole {
            // A factor for each channel, made of all means (Hu et al., arXiv 1709.01507).
            let se = y.global_average_pool2d().named(&named("se_squeeze"));
            let se = se.reshape([1, 1, -1]).named(&named("se_reshape"));
            let squeezed = (map.channels / 4).max(1);
            let se = se.conv2d(squeezed, 1).initializer(Initializer::HeNormal).named(&named("se_reduce"));
            let se = se.silu().named(&named("se_reduce/silu"));
            let se = se.conv2d(inner, 1).initializer(Initializer::HeNormal).named(&named("se_expand"));
            let se = se.sigmoid().named(&named("se_expand/sigmoid"));
            y = draft.net.multiply(y, se).named(&named("se_excite"));
        }
        y = convolution(y, filters, Conv2d::same()).named(&named("project_conv"));
        y = y.batch_normalization().named(&named("project_bn"));
        if stride == 1 && map.channels == filters {
            if dropped > 0.0 {
                y = y.layer(Dropout::new(dropped).whole_samples()).named(&named("drop"));
            }
            y = draft.net.add(&[y, map.x]).named(&named("add"));
        }
        Map { x: y, channels: filters, size }
    }
}

/// Without a bias; of 1×1 if nothing else was said.
fn convolution(x: Value<'_>, filters: usize, how: Conv2d) -> Value<'_> {
    x.layer(how.filters(filters).no_bias()).initializer(Initializer::HeNormal)
}

fn activated<'g>(x: Value<'g>, kind: Kind, [normalization, activation]: [&str; 2]) -> Value<'g> {
    let x = x.batch_normalization().named(normalization);
    match kind {
        Kind::Whole => x.silu(),
        Kind::Lite => x.relu6(),
    }
    .named(activation)
}
