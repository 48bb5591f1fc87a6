//! Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", arXiv 1704.04861.

use crate::net::{ClassifierActivation, Draft, Net};
use crate::preprocessing::Preprocessing;
use alloc::format;
use bantam::{Conv2d, DepthwiseConv2d, GlobalAveragePool2d, Value};

/// MobileNet (arXiv 1704.04861), of any [`alpha`](Net::alpha), [`depth_multiplier`](Net::depth_multiplier) and
/// [`dropout`](Net::dropout).
pub const fn mobilenet() -> Net {
    Net::new("mobilenet", 224, (32, "at least 32"), Preprocessing::Tf, body).of_any_width().of_any_depth()
}

/// Filters and stride of the blocks.
const BLOCKS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    let asked = draft.asked;
    let width = |filters: usize| (filters as f64 * asked.alpha) as usize;
    let x = x.conv2d_with(width(32), [3, 3], Conv2d::same().stride(2).no_bias());
    let mut x = normalized(x, "conv1");
    for (i, (filters, stride)) in (1..).zip(BLOCKS) {
        let mut how = DepthwiseConv2d::same();
        if stride == 2 {
            x = x.zero_padding2d([[0, 1]; 2]).named(&format!("conv_pad_{i}"));
            how = DepthwiseConv2d::valid().stride(2);
        }
        x = normalized(
            x.depthwise_conv2d_with([3, 3], how.no_bias().multiplier(asked.depth_multiplier)),
            &format!("conv_dw_{i}"),
        );
        x = x.conv2d_with(width(filters), [1, 1], Conv2d::same().no_bias());
        x = normalized(x, &format!("conv_pw_{i}"));
    }
    if !asked.include_top {
        return draft.end(x, [""; 3]);
    }
    let x = x
        .layer(GlobalAveragePool2d::new().keep_dims())
        .dropout(asked.dropout.unwrap_or(1e-3))
        .named("dropout");
    let x = x.conv2d_with(asked.classes, [1, 1], Conv2d::same()).named("conv_preds");
    let x = x.reshape([-1]).named("reshape_2");
    match asked.classifier_activation {
        ClassifierActivation::Softmax => x.softmax().named("predictions"),
        ClassifierActivation::Sigmoid => x.sigmoid().named("predictions"),
        ClassifierActivation::None => x,
    }
}

/// Names a convolution, and puts normalisation and activation behind it.
fn normalized<'g>(x: Value<'g>, name: &str) -> Value<'g> {
    let x = x.named(name).batch_normalization().named(&format!("{name}_bn"));
    x.relu6().named(&format!("{name}_relu"))
}
