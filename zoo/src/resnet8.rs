use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use bantam::{Conv2d, Initializer, Value};

/// The ResNet of 8 layers for CIFAR-10's images of 32×32 that MLPerf Tiny classifies (Banbury et al., arXiv 2106.07597), with
/// its 10 classes. It takes levels from 0 to 255.
pub const fn resnet8() -> Net {
    Net::new("resnet8", 32, (4, "at least 4"), Preprocessing::Nothing, body).classes(10)
}

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    let x = normalized(x, 16, 3, 1);
    let mut x = draft.relu(x);
    for (filters, stride) in [(16, 1), (32, 2), (64, 2)] {
        let y = normalized(x, filters, 3, stride);
        let y = draft.relu(y);
        let y = normalized(y, filters, 3, 1);
        let shortcut = if stride == 1 { x } else { convolution(x, filters, 1, stride) };
        x = draft.net.add(&[shortcut, y]);
        x = draft.relu(x);
    }
    if !draft.asked.include_top {
        return draft.end(x, [""; 3]);
    }
    let [height, width, _] = draft.asked.input;
    // The largest square window: all of a square map.
    draft.predictions(x.average_pool2d(height.min(width).div_ceil(4)).flatten(), "")
}

fn convolution(x: Value<'_>, filters: usize, kernel: usize, stride: usize) -> Value<'_> {
    x.conv2d_with(filters, [kernel; 2], Conv2d::same().stride(stride)).initializer(Initializer::HeNormal)
}

fn normalized(x: Value<'_>, filters: usize, kernel: usize, stride: usize) -> Value<'_> {
    convolution(x, filters, kernel, stride).batch_normalization()
}
