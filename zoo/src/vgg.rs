//! Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv 1409.1556.

use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use alloc::format;
use bantam::{Conv2d, Value};

/// VGG16 (arXiv 1409.1556, configuration D).
pub const fn vgg16() -> Net {
    Net::new("vgg16", 224, (32, "at least 32"), Preprocessing::Caffe, |draft, x| {
        body(draft, x, [2, 2, 3, 3, 3])
    })
}

/// VGG19 (arXiv 1409.1556, configuration E).
pub const fn vgg19() -> Net {
    Net::new("vgg19", 224, (32, "at least 32"), Preprocessing::Caffe, |draft, x| {
        body(draft, x, [2, 2, 4, 4, 4])
    })
}

/// Of so many convolutions in each block.
fn body<'g>(draft: &mut Draft<'g>, mut x: Value<'g>, convolutions: [usize; 5]) -> Value<'g> {
    for ((block, count), filters) in (1..).zip(convolutions).zip([64, 128, 256, 512, 512]) {
        for i in 1..=count {
            let name = format!("block{block}_conv{i}");
            x = x
                .conv2d_with(filters, [3, 3], Conv2d::same())
                .named(&name)
                .relu()
                .named(&format!("{name}/relu"));
        }
        x = x.max_pool2d(2).named(&format!("block{block}_pool"));
    }
    if !draft.asked.include_top {
        return draft.end(x, [""; 3]);
    }
    x = x.flatten().named("flatten");
    for name in ["fc1", "fc2"] {
        x = x.dense(4096).named(name).relu().named(&format!("{name}/relu"));
    }
    draft.predictions(x, "predictions")
}
