//! What is random in training, and what cannot be.

use super::super::site::{Site, Tensor};
use super::left_out;
use crate::import::refused::NO_PRODUCT_OF_MAPS;
use bantam::{
    ActivityRegularization, AlphaDropout, Dropout, GaussianDropout, GaussianNoise, SpatialDropout1d,
    SpatialDropout2d,
};
use serde_json::Value;

const AUGMENTATIONS: [&str; 15] = [
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomErasing",
    "RandomFlip",
    "RandomGrayscale",
    "RandomHue",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomShear",
    "RandomSharpness",
    "RandomTranslation",
    "RandomZoom",
];

pub(super) fn convert<'g>(site: &mut Site<'_, 'g, '_, '_>, class: &str) -> Option<Tensor<'g>> {
    match class {
        "Dropout" => {
            let rate = site.read.number("rate", 0.5);
            let layer = Dropout::new(rate);
            match site.read.get("noise_shape").and_then(Value::as_array) {
                None => site.plain(layer),
                // Stochastic depth, as in EfficientNet.
                Some(shape) if shape.iter().skip(1).all(|size| size == 1) => {
                    site.plain(layer.whole_samples())
                }
                Some(_) => {
                    site.refuse("a noise_shape", "expected is one number for all elements of a sample")
                }
            }
        }
        "SpatialDropout1D" => {
            let rate = site.read.number("rate", 0.5);
            site.plain(SpatialDropout1d::new(rate))
        }
        "SpatialDropout2D" => {
            let rate = site.read.number("rate", 0.5);
            site.plain(SpatialDropout2d::new(rate))
        }
        "GaussianNoise" => {
            let stddev = site.read.number("stddev", 1.0);
            site.plain(GaussianNoise::new(stddev))
        }
        "GaussianDropout" => {
            let rate = site.read.number("rate", 0.5);
            site.plain(GaussianDropout::new(rate))
        }
        "AlphaDropout" => {
            let rate = site.read.number("rate", 0.5);
            site.plain(AlphaDropout::new(rate))
        }
        "ActivityRegularization" => {
            let (l1, l2) = (site.read.number("l1", 0.0), site.read.number("l2", 0.0));
            site.plain(ActivityRegularization::new(l1, l2))
        }
        "Identity" => left_out(site, "it hands its input on"),
        class if AUGMENTATIONS.contains(&class) => {
            left_out(site, "it changes images in training alone: Augmentation::layers() has it")
        }
        class => {
            let (what, advice) = refusal(class);
            site.refuse(what, advice)
        }
    }
}

/// Why a layer is not here, and what may help.
fn refusal(class: &str) -> (&'static str, &'static str) {
    match class {
        "Lambda" => (
            "a function of Python, of which the file has no more than its code",
            "write it as a layer of Keras",
        ),
        "RandomCrop" => (
            "it resizes at inference in Keras 2 and does nothing in Keras 3",
            "crop images where they are loaded",
        ),
        "KerasLayer" => (
            "a graph of TensorFlow Hub, of which the file has the weights alone",
            "export it as ONNX, or build the net here and load its weights",
        ),
        "Embedding" | "TextVectorization" | "StringLookup" | "IntegerLookup" => (
            "text and categories",
            "the engine takes numbers: compute it before, and save the rest of the model",
        ),
        "Masking" => ("masks", "cut series to their length instead"),
        "SimpleRNN" | "RNN" | "ConvLSTM2D" | "CuDNNLSTM" | "CuDNNGRU" => {
            ("no layer of the engine", "expected is LSTM or GRU")
        }
        "Conv3D" | "Conv3DTranspose" | "MaxPooling3D" | "AveragePooling3D" => {
            ("volumes", "the engine has series and maps")
        }
        "MultiHeadAttention" | "Attention" | "AdditiveAttention" | "GroupQueryAttention" => {
            ("attention", NO_PRODUCT_OF_MAPS)
        }
        "Dot" => ("a product of two maps", NO_PRODUCT_OF_MAPS),
        "EinsumDense" => ("sums of products by an equation", "write it by Dense layers"),
        "TensorFlowOpLayer" => ("an operation of TensorFlow", "write it as a layer of Keras"),
        _ => ("no layer of the engine", "write it by layers that are, or cut the model before it"),
    }
}
