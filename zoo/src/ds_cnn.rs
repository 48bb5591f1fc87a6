use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use bantam::{AveragePool2d, Conv2d, DepthwiseConv2d, Value};

/// The DS-CNN that spots 12 keywords in 49 steps of 10 cepstral coefficients (Zhang, Suda, Lai and Chandra, arXiv 1711.07128), as
/// MLPerf Tiny has it.
pub const fn ds_cnn() -> Net {
    let net = Net::new("ds_cnn", 49, (2, "at least 2"), Preprocessing::Nothing, body);
    net.input([49, 10, 1]).classes(12)
}

const FILTERS: usize = 64;

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    let x = x.conv2d_with(FILTERS, [10, 4], Conv2d::same().stride(2)).batch_normalization();
    let mut x = draft.relu(x).dropout(0.2);
    for _ in 0..4 {
        x = x.depthwise_conv2d_with([3, 3], DepthwiseConv2d::same()).batch_normalization();
        x = draft.relu(x).conv2d_with(FILTERS, [1, 1], Conv2d::same()).batch_normalization();
        x = draft.relu(x);
    }
    let x = x.dropout(0.4);
    if !draft.asked.include_top {
        return draft.end(x, [""; 3]);
    }
    let [height, width, _] = draft.asked.input;
    // All of the map, but for the last row or column of an odd input.
    let pool = AveragePool2d::rectangular([height / 2, width / 2]);
    draft.predictions(x.average_pool2d_with(pool).flatten(), "")
}
