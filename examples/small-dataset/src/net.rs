//! The net.

use bantam::{Error, Model, Sequential, Shape};

/// The ConvNet of *Deep Learning with Python* for small sets of images: convolutions and max-pools in turn, as long as the map
/// is large enough for them, then two dense layers, with a dropout before them if its rate is not
/// zero. What the dense layers see are the `features`.
///
/// # Errors
/// The images are too small for it.
pub fn convnet(input: Shape, classes: usize, dropout: f32, seed: u64) -> Result<Model<'static>, Error> {
    let mut net = Sequential::new(input.dims());
    let mut side = input.dims().iter().take(2).min().copied().unwrap_or(0);
    for filters in [32, 64, 128, 128] {
        net = net.conv2d(filters, 3).relu();
        side = side.saturating_sub(2);
        if side < 4 {
            break;
        }
        net = net.max_pool2d(2);
        side /= 2;
    }
    net = net.named("features").flatten();
    if dropout > 0.0 {
        net = net.dropout(dropout);
    }
    net.dense(512).relu().dense(classes).build(seed)
}
