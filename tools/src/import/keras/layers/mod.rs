//! Keras's layers as the engine's, by their classes.

mod activation;
mod convolution;
mod merging;
mod normalization;
mod pooling;
mod random;
mod recurrent;
mod shaping;

use super::config::{LayerConfig, Reader};
use super::site::{Site, Tensor};
use super::store::Variable;
use serde_json::json;

/// Of the convolutions and dense layers.
const KERNEL: Variable = Variable { array: "kernel", names: &["kernel", "depthwise_kernel"] };
const BIAS: Variable = Variable { array: "bias", names: &["bias"] };

/// The kernel, and the bias if there is one.
fn kernel_and_bias(bias: bool) -> &'static [Variable] {
    if bias { &[KERNEL, BIAS] } else { &[KERNEL] }
}

/// The nodes of a layer. None if there are none: what is wrong is among the site's problems.
pub(super) fn convert<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    match site.read.layer.class {
        "Conv1D" | "Convolution1D" => convolution::conv1d(site),
        "Conv2D" | "Convolution2D" => convolution::conv2d(site),
        "Conv1DTranspose" | "Convolution1DTranspose" => convolution::conv1d_transpose(site),
        "Conv2DTranspose" | "Convolution2DTranspose" => convolution::conv2d_transpose(site),
        "DepthwiseConv1D" => convolution::depthwise_conv1d(site),
        "DepthwiseConv2D" => convolution::depthwise_conv2d(site),
        "SeparableConv1D" | "SeparableConvolution1D" => convolution::separable_conv1d(site),
        "SeparableConv2D" | "SeparableConvolution2D" => convolution::separable_conv2d(site),
        "Dense" => convolution::dense(site),
        "LSTM" => recurrent::lstm(site),
        "GRU" => recurrent::gru(site),
        "Bidirectional" => recurrent::bidirectional(site),
        "TimeDistributed" => time_distributed(site),
        "Activation" => activation::activation(site),
        "ReLU" => activation::relu(site),
        "LeakyReLU" => activation::leaky_relu(site),
        "ThresholdedReLU" => activation::thresholded_relu(site),
        "PReLU" => activation::prelu(site),
        "ELU" => activation::elu(site),
        "Softmax" => activation::softmax(site),
        "BatchNormalization" | "SyncBatchNormalization" => normalization::batch(site),
        "LayerNormalization" => normalization::layer(site),
        "GroupNormalization" => normalization::group(site),
        "Normalization" => normalization::features(site),
        "Rescaling" => normalization::rescaling(site),
        "MaxPooling1D" | "MaxPool1D" => pooling::max1d(site),
        "MaxPooling2D" | "MaxPool2D" => pooling::max2d(site),
        "AveragePooling1D" | "AvgPool1D" => pooling::average1d(site),
        "AveragePooling2D" | "AvgPool2D" => pooling::average2d(site),
        "GlobalMaxPooling1D" | "GlobalMaxPool1D" => pooling::global_max1d(site),
        "GlobalMaxPooling2D" | "GlobalMaxPool2D" => pooling::global_max2d(site),
        "GlobalAveragePooling1D" | "GlobalAvgPool1D" => pooling::global_average1d(site),
        "GlobalAveragePooling2D" | "GlobalAvgPool2D" => pooling::global_average2d(site),
        "Add" | "Subtract" | "Multiply" | "Average" | "Maximum" | "Minimum" | "Concatenate"
        | "TrueDivide" | "Divide" => merging::merge(site),
        "TFOpLambda" => merging::tensorflow(site),
        "Flatten" => shaping::flatten(site),
        "Reshape" => shaping::reshape(site),
        "Permute" => shaping::permute(site),
        "ZeroPadding1D" => shaping::zero_padding1d(site),
        "ZeroPadding2D" => shaping::zero_padding2d(site),
        "Cropping1D" => shaping::cropping1d(site),
        "Cropping2D" => shaping::cropping2d(site),
        "CenterCrop" => shaping::center_crop(site),
        "UpSampling1D" => shaping::up_sampling1d(site),
        "UpSampling2D" => shaping::up_sampling2d(site),
        "Resizing" => shaping::resizing(site),
        class => random::convert(site, class),
    }
}

/// A layer for each step, of those that do the same to a series and to a step. The node has the outer name.
fn time_distributed<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let inner = site.read.get("layer").map(LayerConfig::new);
    let Some(Ok(inner)) = inner else { return site.refuse("without a layer", "") };
    if !matches!(inner.class, "Dense" | "Activation" | "ReLU" | "LeakyReLU" | "ELU" | "Dropout") {
        let what = format!("{} for each step", inner.class);
        return site.refuse(&what, "expected is Dense, Dropout or an activation");
    }
    let outer = std::mem::replace(&mut site.read, Reader::new(inner));
    site.place.path.push_str("/layer");
    site.place.name = inner.name.into();
    let made = convert(site);
    let inner = std::mem::replace(&mut site.read, outer);
    site.read.problems.extend(inner.problems);
    made
}

/// A layer that computes nothing.
fn left_out<'g>(site: &mut Site<'_, 'g, '_, '_>, why: &str) -> Option<Tensor<'g>> {
    let line = format!("{}: {}, {why}", site.name, site.read.layer.class);
    site.assembly.report.left_out.push(line);
    site.input()
}

/// The layers here have channels last.
fn channels_last(site: &mut Site<'_, '_, '_, '_>) {
    let advice = "save it with channels last: keras.config.set_image_data_format(\"channels_last\"), and the same weights";
    site.read.only("data_format", &json!("channels_last"), advice);
}
