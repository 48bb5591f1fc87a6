//! Convolutions and dense layers.

use super::super::site::{Site, Tensor};
use super::super::store::Variable;
use super::{BIAS, activation, channels_last, kernel_and_bias};
use bantam::{
    Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, Dense, DepthwiseConv1d, DepthwiseConv2d, Padding,
    SeparableConv2d,
};

const DEPTHWISE: &[&str] = &["depthwise_kernel"];
const POINTWISE: &[&str] = &["pointwise_kernel"];

fn padding(site: &mut Site<'_, '_, '_, '_>) -> Padding {
    channels_last(site);
    match site.read.text("padding", "valid") {
        "valid" => Padding::Valid,
        "same" => Padding::Same,
        other => {
            site.read.refuse(format!("padding is \"{other}\", expected \"valid\" or \"same\""), "");
            Padding::Valid
        }
    }
}

/// One size for both directions.
fn square(site: &mut Site<'_, '_, '_, '_>, key: &str) -> usize {
    let [rows, columns] = site.read.sizes(key, Some([1, 1]));
    if rows != columns {
        site.read.refuse(format!("{key} is [{rows}, {columns}], expected the same in both directions"), "");
    }
    rows
}

pub(super) fn conv2d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let layer = Conv2d::padded(padding(site))
        .filters(site.read.size("filters"))
        .kernel(site.read.sizes("kernel_size", None))
        .strides(site.read.sizes("strides", Some([1, 1])))
        .dilations(site.read.sizes("dilation_rate", Some([1, 1])))
        .groups(site.read.sizes("groups", Some([1]))[0]);
    let made = site.put(if bias { layer } else { layer.no_bias() }, kernel_and_bias(bias));
    activation::inside(site, made)
}

pub(super) fn conv1d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let layer = if site.read.text("padding", "valid") == "causal" {
        channels_last(site);
        Conv1d::causal()
    } else {
        Conv1d::padded(padding(site))
    };
    let layer = layer
        .filters(site.read.size("filters"))
        .kernel(site.read.size("kernel_size"))
        .stride(site.read.sizes("strides", Some([1]))[0])
        .dilation(site.read.sizes("dilation_rate", Some([1]))[0])
        .groups(site.read.sizes("groups", Some([1]))[0]);
    let made = site.put(if bias { layer } else { layer.no_bias() }, kernel_and_bias(bias));
    activation::inside(site, made)
}

pub(super) fn conv2d_transpose<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let mut layer = Conv2dTranspose::padded(padding(site))
        .filters(site.read.size("filters"))
        .kernel(site.read.sizes("kernel_size", None))
        .strides(site.read.sizes("strides", Some([1, 1])))
        .dilations(site.read.sizes("dilation_rate", Some([1, 1])));
    if site.read.get("output_padding").is_some() {
        layer = layer.output_padding(site.read.sizes("output_padding", None));
    }
    let made = site.put(if bias { layer } else { layer.no_bias() }, kernel_and_bias(bias));
    activation::inside(site, made)
}

pub(super) fn conv1d_transpose<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let mut layer = Conv1dTranspose::padded(padding(site))
        .filters(site.read.size("filters"))
        .kernel(site.read.size("kernel_size"))
        .stride(site.read.sizes("strides", Some([1]))[0])
        .dilation(site.read.sizes("dilation_rate", Some([1]))[0]);
    if site.read.get("output_padding").is_some() {
        layer = layer.output_padding(site.read.size("output_padding"));
    }
    let made = site.put(if bias { layer } else { layer.no_bias() }, kernel_and_bias(bias));
    activation::inside(site, made)
}

pub(super) fn depthwise_conv2d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let layer = DepthwiseConv2d::padded(padding(site))
        .kernel(site.read.sizes("kernel_size", None))
        .strides(site.read.sizes("strides", Some([1, 1])))
        .dilations(site.read.sizes("dilation_rate", Some([1, 1])))
        .multiplier(site.read.sizes("depth_multiplier", Some([1]))[0]);
    let made = site.put(if bias { layer } else { layer.no_bias() }, kernel_and_bias(bias));
    activation::inside(site, made)
}

pub(super) fn depthwise_conv1d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let layer = depthwise_of_series(site);
    let made = site.put(if bias { layer } else { layer.no_bias() }, kernel_and_bias(bias));
    activation::inside(site, made)
}

fn depthwise_of_series(site: &mut Site<'_, '_, '_, '_>) -> DepthwiseConv1d {
    DepthwiseConv1d::padded(padding(site))
        .kernel(site.read.size("kernel_size"))
        .stride(site.read.sizes("strides", Some([1]))[0])
        .dilation(site.read.sizes("dilation_rate", Some([1]))[0])
        .multiplier(site.read.sizes("depth_multiplier", Some([1]))[0])
}

pub(super) fn separable_conv2d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let layer = SeparableConv2d::padded(padding(site))
        .filters(site.read.size("filters"))
        .kernel(site.read.sizes("kernel_size", None))
        .stride(square(site, "strides"))
        .dilation(square(site, "dilation_rate"))
        .multiplier(site.read.sizes("depth_multiplier", Some([1]))[0]);
    let variables = [
        Variable { array: "depthwise_kernel", names: DEPTHWISE },
        Variable { array: "pointwise_kernel", names: POINTWISE },
        BIAS,
    ];
    let made = site.put(if bias { layer } else { layer.no_bias() }, &variables[..2 + usize::from(bias)]);
    activation::inside(site, made)
}

/// A depthwise convolution, `NAME/depthwise`, and one of width 1.
pub(super) fn separable_conv1d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let depthwise = depthwise_of_series(site).no_bias();
    let pointwise = Conv1d::valid().filters(site.read.size("filters")).kernel(1);
    let pointwise = if bias { pointwise } else { pointwise.no_bias() };
    let variables = |depthwise, pointwise, bias| {
        [
            Variable { array: depthwise, names: DEPTHWISE },
            Variable { array: pointwise, names: POINTWISE },
            Variable { array: bias, names: BIAS.names },
        ]
    };
    let (count, inputs) = (2 + usize::from(bias), site.inputs.clone());
    let first = variables("kernel", "", "");
    let made = site.node("depthwise", depthwise, &inputs, &first[..count], Vec::new())?;
    let second = variables("", "kernel", "bias");
    let made = site.node("", pointwise, &[made], &second[..count], Vec::new());
    activation::inside(site, made)
}

/// Over series and maps a dense layer is a convolution of one step or pixel.
pub(super) fn dense<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let bias = site.read.flag("use_bias", true);
    let (units, variables) = (site.read.size("units"), kernel_and_bias(bias));
    let made = match site.rank() {
        2 => {
            let layer = Conv1d::valid().filters(units).kernel(1);
            site.put(if bias { layer } else { layer.no_bias() }, variables)
        }
        3 => {
            let layer = Conv2d::valid().filters(units).kernel([1, 1]);
            site.put(if bias { layer } else { layer.no_bias() }, variables)
        }
        _ => {
            let layer = Dense::new(units);
            site.put(if bias { layer } else { layer.no_bias() }, variables)
        }
    };
    activation::inside(site, made)
}
