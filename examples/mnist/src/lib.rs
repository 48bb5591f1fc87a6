//! A digit reader: the MNIST data, the net of the ConvNet chapter of *Deep Learning with Python*,
//! and what a person looks at.

pub mod curves;
pub mod data;
pub mod draw;
pub mod idx;

use bantam::{Error, Model, Sequential};

/// The net: three convolutions and two dense layers, 93,322 parameters for 28×28 pixels.
///
/// # Errors
/// The pictures are too small for it.
pub fn network(input: &[usize], seed: u64) -> Result<Model<'static>, Error> {
    Sequential::new(input)
        .conv2d(32, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .flatten()
        .dense(64)
        .relu()
        .dense(data::CLASSES)
        .build(seed)
}
