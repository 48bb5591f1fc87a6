use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use bantam::{AveragePool2d, Conv2d, DepthwiseConv2d, Initializer, Value};

/// MobileNet of a quarter of its width for images of 96×96, which tells whether a person is seen, as MLPerf Tiny has it (Banbury
/// et al., arXiv 2106.07597): with biases and ReLUs where [`mobilenet`](crate::mobilenet) has none and ReLU6s.
#[doc(alias = "mobilenet_v1_025")]
pub const fn visual_wake_words() -> Net {
    Net::new("visual_wake_words", 96, (32, "at least 32"), Preprocessing::Unit, body).classes(2)
}

/// Filters and stride of the blocks.
const BLOCKS: [(usize, usize); 13] = [
    (16, 1),
    (32, 2),
    (32, 1),
    (64, 2),
    (64, 1),
    (128, 2),
    (128, 1),
    (128, 1),
    (128, 1),
    (128, 1),
    (128, 1),
    (256, 2),
    (256, 1),
];

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    let x = x.conv2d_with(8, [3, 3], Conv2d::same().stride(2));
    let mut x = activated(draft, x);
    for (filters, stride) in BLOCKS {
        x = activated(draft, x.depthwise_conv2d_with([3, 3], DepthwiseConv2d::same().stride(stride)));
        x = activated(draft, x.conv2d_with(filters, [1, 1], Conv2d::same()));
    }
    if !draft.asked.include_top {
        return draft.end(x, [""; 3]);
    }
    let [height, width, _] = draft.asked.input;
    let map = [height, width].map(|side| side.div_ceil(32));
    draft.predictions(x.average_pool2d_with(AveragePool2d::rectangular(map)).flatten(), "")
}

fn activated<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    draft.relu(x.initializer(Initializer::HeNormal).batch_normalization())
}
