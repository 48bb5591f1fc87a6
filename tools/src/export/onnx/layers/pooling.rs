//! Pools.

use super::windows::Windows;
use crate::export::onnx::exporter::{Exporter, int};
use crate::export::onnx::order::{channels_first, natural};
use crate::import::Unsupported;
use bantam::{AveragePool2d, MaxPool2d};

fn windows(x: &Exporter<'_>, at: usize, told: &bantam::Windows) -> Windows {
    Windows::new(x, at, told.size, told.stride, told.dilation, told.padding)
}

/// `MaxPool`, where padding is never the maximum, so that rounding up is more of it.
pub fn max(x: &mut Exporter<'_>, at: usize, layer: MaxPool2d) -> Result<(), Unsupported> {
    let windows = windows(x, at, &layer.windows);
    let pads = if layer.windows.ceil { windows.pads_rounded_up() } else { windows.pads() };
    let (input, order) = (x.read_channels_first(at), channels_first(x.output(at).len()));
    x.give(at, "MaxPool", &[input], windows.attributes(pads), order);
    Ok(())
}

/// `AveragePool`. Where padding counts and windows reach beyond it, zeros are there before: programs do not agree on what the sum
/// is divided by then (ONNX Runtime 1.32 by the cells of input and padding, OpenVINO 2026.4.1 by others).
pub fn average(x: &mut Exporter<'_>, at: usize, layer: AveragePool2d) -> Result<(), Unsupported> {
    let windows = windows(x, at, &layer.windows);
    let bantam::Windows { ceil, count_padding, .. } = layer.windows;
    if windows.dilation != [1, 1] {
        x.need(19, "AveragePool with dilations")?;
    }
    let (mut input, order) = (x.read_channels_first(at), channels_first(x.output(at).len()));
    let mut pads = if ceil { windows.pads_rounded_up() } else { windows.pads() };
    if ceil && count_padding {
        let told = windows.pads();
        let zeros = [0, 1].map(|axis| [told[axis][0], told[axis][1].min(pads[axis][1])]);
        pads = [0, 1].map(|axis| [0, pads[axis][1] - zeros[axis][1]]);
        let ends = [0, 1].map(|end| zeros.map(|zeros| zeros[end] as i64));
        let ends = ends.iter().flat_map(|end| [&[0, 0], windows.some(end)].concat());
        let zeros = x.whole(at, "pads", ends.collect());
        input = x.part(at, "pad", "Pad", &[input, zeros], vec![]);
    }
    let mut attributes = windows.attributes(pads);
    if count_padding && !ceil {
        attributes.push(int("count_include_pad", 1));
    }
    x.give(at, "AveragePool", &[input], attributes, order);
    Ok(())
}

/// `GlobalAveragePool` or `GlobalMaxPool`, whose output has pixels of size 1 that are dropped if the layer's has none.
pub fn global(x: &mut Exporter<'_>, at: usize, op: &str) -> Result<(), Unsupported> {
    let input = x.read_channels_first(at);
    match x.output(at).len() {
        1 => {
            let pooled = x.part(at, "pool", op, &[input], vec![]);
            x.give(at, "Flatten", &[pooled], vec![], natural(1));
        }
        rank => x.give(at, op, &[input], vec![], channels_first(rank)),
    }
    Ok(())
}
