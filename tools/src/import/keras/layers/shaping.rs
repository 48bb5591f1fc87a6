//! Layers that move numbers.

use super::super::site::{Site, Tensor};
use super::{channels_last, left_out};
use bantam::{
    Cropping1d, Cropping2d, Flatten, Permute, Reshape, UpSampling1d, UpSampling2d, ZeroPadding1d,
    ZeroPadding2d,
};
use serde_json::Value;

pub(super) fn flatten<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    channels_last(site);
    site.plain(Flatten)
}

pub(super) fn reshape<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let target = site.read.integers("target_shape", &[]);
    let target: Result<Vec<i32>, _> = target.into_iter().map(i32::try_from).collect();
    match target {
        Ok(target) => site.plain(Reshape::new(target)),
        Err(problem) => site.refuse(&problem.to_string(), ""),
    }
}

pub(super) fn permute<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let dims: Result<Vec<u8>, _> = site.read.integers("dims", &[]).into_iter().map(u8::try_from).collect();
    match dims {
        Ok(dims) => site.plain(Permute::new(dims)),
        Err(problem) => site.refuse(&problem.to_string(), ""),
    }
}

/// `[[top, bottom], [left, right]]`, or the same for both sides, or one number for all.
fn edges(site: &mut Site<'_, '_, '_, '_>, key: &str) -> [[usize; 2]; 2] {
    channels_last(site);
    let nested = site.read.get(key).and_then(Value::as_array).filter(|rows| rows.iter().all(Value::is_array));
    let Some(nested) = nested else {
        let [rows, columns] = site.read.sizes(key, Some([1, 1]));
        return [[rows, rows], [columns, columns]];
    };
    let size = |value: &Value| value.as_u64().and_then(|size| usize::try_from(size).ok());
    let sizes: Option<Vec<usize>> = nested.iter().filter_map(Value::as_array).flatten().map(size).collect();
    match sizes.as_deref() {
        Some(&[top, bottom, left, right]) => [[top, bottom], [left, right]],
        _ => {
            site.read.refuse(format!("{key}: expected two numbers of each direction"), "");
            [[0, 0], [0, 0]]
        }
    }
}

pub(super) fn zero_padding1d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    channels_last(site);
    let padding = site.read.sizes("padding", Some([1, 1]));
    site.plain(ZeroPadding1d::new(padding))
}

pub(super) fn zero_padding2d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let padding = edges(site, "padding");
    site.plain(ZeroPadding2d::new(padding))
}

pub(super) fn cropping1d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    channels_last(site);
    let cropping = site.read.sizes("cropping", Some([1, 1]));
    site.plain(Cropping1d::new(cropping))
}

pub(super) fn cropping2d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let cropping = edges(site, "cropping");
    site.plain(Cropping2d::new(cropping))
}

/// Of a map that is no smaller it is a cropping, with the odd pixel at the end.
pub(super) fn center_crop<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    channels_last(site);
    let target = [site.read.size("height"), site.read.size("width")];
    let input = site.input()?;
    let &[rows, columns, _] = input.shape.dims() else { return site.refuse("of no map", "") };
    match [rows.checked_sub(target[0]), columns.checked_sub(target[1])] {
        [Some(rows), Some(columns)] => {
            site.plain(Cropping2d::new([rows, columns].map(|most| [most / 2, most - most / 2])))
        }
        _ => site.refuse("of a smaller map, which Keras resizes", "resize images where they are loaded"),
    }
}

pub(super) fn up_sampling1d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let size = site.read.sizes("size", Some([2]))[0];
    site.plain(UpSampling1d::new(size))
}

pub(super) fn up_sampling2d<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    channels_last(site);
    let layer = UpSampling2d::new(site.read.sizes("size", Some([2, 2])));
    match site.read.text("interpolation", "nearest") {
        "nearest" => site.plain(layer),
        "bilinear" => site.plain(layer.bilinear()),
        other => site.refuse(&format!("interpolation {other}"), "expected is nearest or bilinear"),
    }
}

/// Images are resized where they are loaded. One to the size that they have is none.
pub(super) fn resizing<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    channels_last(site);
    let (target, input) = ([site.read.size("height"), site.read.size("width")], site.input()?);
    if input.shape.dims().starts_with(&target) && input.shape.rank() == 3 {
        return left_out(site, "images have that size already");
    }
    let [height, width] = target;
    let advice = format!(
        "--input-size {height}x{width}, if the input is open: images are resized where they are loaded"
    );
    site.refuse(&format!("of {} to {height}x{width}", input.shape), &advice)
}
