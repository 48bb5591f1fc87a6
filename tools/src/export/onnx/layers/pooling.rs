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

/// `AveragePool`. Where padding counts, what windows reach beyond it does not, and rounding up has to be said.
pub fn average(x: &mut Exporter<'_>, at: usize, layer: AveragePool2d) -> Result<(), Unsupported> {
    let windows = windows(x, at, &layer.windows);
    let bantam::Windows { ceil, count_padding, .. } = layer.windows;
    let pads = if ceil && !count_padding { windows.pads_rounded_up() } else { windows.pads() };
    let mut attributes = windows.attributes(pads);
    if count_padding {
        attributes.push(int("count_include_pad", 1));
        if ceil {
            attributes.push(int("ceil_mode", 1));
        }
    }
    if windows.dilation != [1, 1] {
        x.need(19, "AveragePool with dilations")?;
    }
    let (input, order) = (x.read_channels_first(at), channels_first(x.output(at).len()));
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
