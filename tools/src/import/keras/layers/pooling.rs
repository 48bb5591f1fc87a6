//! Pools.

use super::super::site::{Site, Tensor};
use super::channels_last;
use bantam::{
    AveragePool1d, AveragePool2d, GlobalAveragePool1d, GlobalAveragePool2d, GlobalMaxPool1d, GlobalMaxPool2d,
    MaxPool1d, MaxPool2d, Padding,
};

/// Window, strides and padding.
fn windows<const N: usize>(site: &mut Site<'_, '_, '_, '_>) -> ([usize; N], [usize; N], Padding) {
    channels_last(site);
    // Keras 1 called that of a series so.
    let key = if site.read.get("pool_length").is_some() { "pool_length" } else { "pool_size" };
    let window = site.read.sizes(key, Some([2; N]));
    let strides = site.read.sizes("strides", Some(window));
    let padding = match site.read.text("padding", "valid") {
        "valid" => Padding::Valid,
        "same" => Padding::Same,
        other => {
            site.read.refuse(format!("padding is \"{other}\", expected \"valid\" or \"same\""), "");
            Padding::Valid
        }
    };
    (window, strides, padding)
}

pub(super) fn max1d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let ([window], [stride], padding) = windows(site);
    site.plain(MaxPool1d::new(window).stride(stride).padding(padding))
}

pub(super) fn max2d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let (window, strides, padding) = windows(site);
    site.plain(MaxPool2d::rectangular(window).strides(strides).padding(padding))
}

pub(super) fn average1d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let ([window], [stride], padding) = windows(site);
    site.plain(AveragePool1d::new(window).stride(stride).padding(padding))
}

pub(super) fn average2d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let (window, strides, padding) = windows(site);
    site.plain(AveragePool2d::rectangular(window).strides(strides).padding(padding))
}

/// A pool of everything, which may keep its dimensions.
macro_rules! global {
    ($name:ident, $layer:ty) => {
        pub(super) fn $name<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
            channels_last(site);
            let layer = <$layer>::new();
            let keep = site.read.flag("keepdims", false);
            site.plain(if keep { layer.keep_dims() } else { layer })
        }
    };
}

global!(global_max1d, GlobalMaxPool1d);
global!(global_max2d, GlobalMaxPool2d);
global!(global_average1d, GlobalAveragePool1d);
global!(global_average2d, GlobalAveragePool2d);
