//! Nets by name: those of `keras.applications`, with Keras's layers in Keras's order, so that weights that were learnt there fit
//! here by their names; and nets for small computers.
//!
//! A function gives a [`Net`], which is told what is to be other than as published, and built. A program has those nets in it
//! whose functions it names; [`by_name`] names all.
//!
//! ```
//! use bantam_zoo::{Pooling, vgg16};
//! let base = vgg16().include_top(false).input([150, 150, 3]).build(1)?;
//! assert_eq!(base.output_shape().dims(), [4, 4, 512]);
//! // Its file tells that it takes BGR, less the mean of ImageNet.
//! let mut image = [255.0, 128.0, 0.0];
//! base.metadata()?.scale(&mut image);
//! assert_eq!(image, [0.0 - 103.939, 128.0 - 116.779, 255.0 - 123.68]);
//! let features = vgg16().include_top(false).pooling(Pooling::Average);
//! # let features = features.input([32, 32, 3]);
//! assert_eq!(features.build(1)?.output_shape().dims(), [512]);
//! # Ok::<(), bantam::Error>(())
//! ```
//!
//! Weights from elsewhere are told layer by layer:
//!
//! ```
//! use bantam_zoo::resnet8;
//! let model = resnet8().build_with(&mut |layer, array, shape| {
//!     # let _ = layer;
//!     let value = if array == "kernel" { 0.01 } else { 1.0 };
//!     Ok(vec![value; shape.elements()].into())
//! })?;
//! assert_eq!(model.parameter_count(), 78_666);
//! # Ok::<(), bantam::Error>(())
//! ```
//!
//! What Keras has inside of a layer, as `activation="relu"` of the layer `block1_conv1`, is a layer of its own here, right behind
//! it: `block1_conv1/relu`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod densenet;
mod ds_cnn;
mod efficientnet;
mod inception_v3;
mod mcunet;
mod mobilenet;
mod mobilenet_v2;
mod nasnet;
mod net;
mod predictions;
mod preprocessing;
mod resnet;
mod resnet8;
mod resnet_v2;
mod vgg;
mod visual_wake_words;
mod xception;

pub use densenet::{densenet121, densenet169, densenet201};
pub use ds_cnn::ds_cnn;
pub use efficientnet::{efficientnet_b0, efficientnet_lite0};
pub use inception_v3::inception_v3;
pub use mcunet::{mcunet_in0, mcunet_in1};
pub use mobilenet::mobilenet;
pub use mobilenet_v2::mobilenet_v2;
pub use nasnet::{nasnet_large, nasnet_mobile};
pub use net::{ClassifierActivation, Net, Pooling};
pub use predictions::{Prediction, decode_predictions};
pub use preprocessing::Preprocessing;
pub use resnet::{resnet50, resnet101, resnet152};
pub use resnet_v2::{resnet50_v2, resnet101_v2, resnet152_v2};
pub use resnet8::resnet8;
pub use vgg::{vgg16, vgg19};
pub use visual_wake_words::visual_wake_words;
pub use xception::xception;

/// A name for each net, and the net of a name.
macro_rules! nets {
    ($($net:ident),* $(,)?) => {
        /// The names of all nets, as [`by_name`] takes them.
        pub const NAMES: &[&str] = &[$(stringify!($net)),*];

        /// The net of that name, which is that of its function. A program that calls this has all nets in it.
        ///
        /// ```
        /// use bantam_zoo::by_name;
        /// let net = by_name("mobilenet_v2").expect("one of NAMES");
        /// assert_eq!(net.include_top(false).input([64, 64, 3]).build(1)?.output_shape().dims(), [2, 2, 1280]);
        /// assert!(by_name("alexnet").is_none());
        /// # Ok::<(), bantam::Error>(())
        /// ```
        pub fn by_name(name: &str) -> Option<Net> {
            match name {
                $(stringify!($net) => Some($net()),)*
                _ => None,
            }
        }
    };
}

nets![
    xception,
    vgg16,
    vgg19,
    resnet50,
    resnet101,
    resnet152,
    resnet50_v2,
    resnet101_v2,
    resnet152_v2,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    densenet121,
    densenet169,
    densenet201,
    nasnet_mobile,
    nasnet_large,
    efficientnet_b0,
    efficientnet_lite0,
    resnet8,
    ds_cnn,
    visual_wake_words,
    mcunet_in0,
    mcunet_in1,
];
