//! What the nets are drawn with.

use crate::net::{Net, Pooling};
use alloc::format;
use bantam::{GraphBuilder, Value};

/// A net that is being drawn.
pub(crate) struct Draft<'g> {
    pub net: &'g GraphBuilder,
    /// As it was asked for.
    pub asked: Net,
    /// How many activations Keras has named.
    activations: usize,
}

impl<'g> Draft<'g> {
    pub fn new(net: &'g GraphBuilder, asked: &Net) -> Draft<'g> {
        Draft { net, asked: *asked, activations: 0 }
    }

    /// A ReLU that is an `Activation` without a name: `activation`, `activation_1`, …
    pub fn relu(&mut self, x: Value<'g>) -> Value<'g> {
        let name = match self.activations {
            0 => "activation".into(),
            several => format!("activation_{several}"),
        };
        self.activations += 1;
        x.relu().named(&name)
    }

    /// The dense layer of the classes, and its softmax.
    pub fn predictions(&self, x: Value<'g>, name: &str) -> Value<'g> {
        let called = if name.is_empty() { "dense" } else { name };
        x.dense(self.asked.classes).named(name).softmax().named(&format!("{called}/softmax"))
    }

    /// The mean over the map and the classes, or what comes in their place. What is called `""` has Keras's own name.
    pub fn end(&self, x: Value<'g>, [mean, mean_without_top, max]: [&str; 3]) -> Value<'g> {
        match self.asked.pooling {
            _ if self.asked.include_top => {
                self.predictions(x.global_average_pool2d().named(mean), "predictions")
            }
            Pooling::None => x,
            Pooling::Average => x.global_average_pool2d().named(mean_without_top),
            Pooling::Max => x.global_max_pool2d().named(max),
        }
    }
}

/// A value, and what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Map<'g> {
    pub x: Value<'g>,
    pub channels: usize,
    /// Rows and columns.
    pub size: [usize; 2],
}

/// Rows and columns of a map behind a stride of 2 that gives each second pixel: half, rounded up.
pub(crate) fn halved(size: [usize; 2]) -> [usize; 2] {
    size.map(|side| side.div_ceil(2))
}

/// `[[top, bottom], [left, right]]`: what an odd kernel with a stride of 2 needs around a map of that size to give each second
/// pixel, as `padding="same"` would have it.
pub(crate) fn padding(size: [usize; 2], kernel: usize) -> [[usize; 2]; 2] {
    size.map(|side| [(kernel / 2).saturating_sub(1 - side % 2), kernel / 2])
}
