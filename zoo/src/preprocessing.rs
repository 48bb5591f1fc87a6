//! What is to be done to an image of levels from 0 to 255.

use alloc::vec;
use alloc::vec::Vec;
use bantam::{ChannelOrder, Metadata, Scaling};

/// What is done to an image of levels from 0 to 255 before a net sees it: the modes of
/// `keras.applications.imagenet_utils.preprocess_input`, and those of other nets.
///
/// ```
/// use bantam_zoo::Preprocessing;
/// let mut image = [255.0, 128.0, 0.0];
/// Preprocessing::Unit.metadata(3).scale(&mut image);
/// assert_eq!(image, [1.0, 128.0 / 255.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preprocessing {
    /// Nothing, or the net does it itself.
    Nothing,
    /// Blue, green and red, each less its mean in ImageNet.
    Caffe,
    /// From -1 to 1.
    Tf,
    /// From 0 to 1, then less ImageNet's mean of the channel, by its deviation.
    Torch,
    /// From 0 to 1.
    Unit,
    /// Less 127, by 128.
    Lite,
}

impl Preprocessing {
    /// As the file of a model of so many channels has it. What is told of each of three channels is told of no others.
    pub fn metadata(self, channels: usize) -> Metadata {
        let mut metadata = Metadata::default();
        match self {
            Preprocessing::Nothing => {}
            Preprocessing::Caffe if channels == 3 => {
                metadata.channel_order = ChannelOrder::Bgr;
                let less = |mean: f32| Scaling { scale: 1.0, offset: -mean };
                metadata.scaling = [103.939, 116.779, 123.68].map(less).into();
            }
            Preprocessing::Torch if channels == 3 => metadata.scaling = torch(),
            Preprocessing::Caffe | Preprocessing::Torch => {}
            Preprocessing::Tf => metadata.scaling = vec![Scaling { scale: 1.0 / 127.5, offset: -1.0 }],
            Preprocessing::Unit => metadata.scaling = vec![Scaling { scale: 1.0 / 255.0, offset: 0.0 }],
            Preprocessing::Lite => {
                metadata.scaling = vec![Scaling { scale: 1.0 / 128.0, offset: -127.0 / 128.0 }];
            }
        }
        metadata
    }
}

fn torch() -> Vec<Scaling> {
    let of = |(mean, deviation): (f32, f32)| Scaling {
        scale: 1.0 / (255.0 * deviation),
        offset: -mean / deviation,
    };
    [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)].map(of).into()
}
