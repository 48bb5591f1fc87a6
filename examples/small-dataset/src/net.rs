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
        // Half of it would be too small for the next window.
        if side < 6 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_has_as_many_layers_as_images_have_room_for() {
        for side in 3..=150 {
            convnet(Shape::new(&[side, side + 1, 3]).unwrap(), 3, 0.5, 1).unwrap();
        }
        let features = |side: usize| {
            let net = convnet(Shape::new(&[side, side, 1]).unwrap(), 2, 0.0, 1).unwrap();
            net.node("features").unwrap().output_shape()
        };
        assert_eq!(features(28).dims(), [3, 3, 128]);
        assert_eq!(features(150).dims(), [7, 7, 128]);
    }
}
