//! Lin, Chen, Lin, Cohn, Gan and Han, "MCUNet: Tiny Deep Learning on IoT Devices", arXiv 2007.10319.

use crate::mobilenet_v2::{Block, inverted_residual, normalized};
use crate::net::{Draft, Map, Net, halved};
use crate::preprocessing::Preprocessing;
use alloc::format;
use bantam::{Conv2d, Value};

/// The smallest net of MCUNet's for ImageNet, `mcunet-in0`, of images of 48×48 (arXiv 2007.10319). Layers are called as in
/// [`mobilenet_v2`](crate::mobilenet_v2). Padding is the same on all sides, as in PyTorch, where it was trained.
pub const fn mcunet_in0() -> Net {
    Net::new("mcunet_in0", 48, (32, "at least 32"), Preprocessing::Tf, |draft, x| body(draft, x, 24, IN0))
}

/// The next larger, `mcunet-in1`, of images of 96×96.
pub const fn mcunet_in1() -> Net {
    Net::new("mcunet_in1", 96, (32, "at least 32"), Preprocessing::Tf, |draft, x| body(draft, x, 16, IN1))
}

/// Expansion, filters, stride and kernel.
type Blocks<const N: usize> = [(usize, usize, usize, usize); N];

const IN0: Blocks<15> = [
    (1, 16, 1, 3),
    (4, 16, 2, 5),
    (3, 16, 1, 3),
    (4, 16, 1, 3),
    (5, 24, 2, 7),
    (4, 24, 1, 5),
    (5, 24, 1, 5),
    (5, 48, 2, 7),
    (4, 48, 1, 5),
    (5, 56, 1, 3),
    (4, 56, 1, 5),
    (5, 56, 1, 3),
    (6, 112, 2, 3),
    (4, 112, 1, 5),
    (6, 192, 1, 3),
];

const IN1: Blocks<14> = [
    (1, 8, 1, 3),
    (4, 16, 2, 3),
    (3, 16, 1, 3),
    (3, 24, 2, 7),
    (5, 24, 1, 3),
    (5, 40, 2, 3),
    (4, 40, 1, 7),
    (4, 48, 1, 5),
    (3, 48, 1, 3),
    (4, 48, 1, 3),
    (5, 96, 2, 7),
    (4, 96, 1, 5),
    (4, 96, 1, 5),
    (6, 160, 1, 3),
];

fn body<'g, const N: usize>(
    draft: &mut Draft<'g>,
    x: Value<'g>,
    filters: usize,
    blocks: Blocks<N>,
) -> Value<'g> {
    let [height, width, _] = draft.asked.input;
    let x = x.zero_padding2d([[1, 1]; 2]).named("Conv1_pad");
    let x = x.conv2d_with(filters, [3, 3], Conv2d::valid().stride(2).no_bias()).named("Conv1");
    let x = normalized(x, "bn_Conv1").relu6().named("Conv1_relu");
    let mut map = Map { x, channels: filters, size: halved([height, width]) };
    for (i, (expansion, filters, stride, kernel)) in blocks.into_iter().enumerate() {
        let block = Block { expansion, filters, kernel, stride };
        map = inverted_residual(draft, map, block, &format!("block_{i}_"), |_, kernel| [[kernel / 2; 2]; 2]);
    }
    draft.end(map.x, [""; 3])
}
