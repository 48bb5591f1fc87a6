//! Convolutions and dense layers.

use super::windows::Windows;
use crate::export::onnx::array::Floats;
use crate::export::onnx::exporter::{Exporter, int, ints};
use crate::export::onnx::order::{channels_first, natural};
use crate::import::Unsupported;
use bantam::{Conv2d, Conv2dTranspose, Dense, DepthwiseConv2d, SeparableConv2d};

/// A kernel `[KH, KW, A, B]` in another order of its dimensions: `[2, 3]` is A, B, KH, KW. In `sizes`, if these are others.
fn kernel(
    x: &mut Exporter<'_>,
    at: usize,
    name: &str,
    order: [usize; 2],
    sizes: Option<Vec<usize>>,
) -> Vec<String> {
    let Some(weights) = x.weights(at, name) else { return vec![] };
    let shape = weights.shape();
    let dims = shape.dims();
    // Of a series there is no height.
    let window = dims.len() - 2;
    let order: Vec<usize> = order.iter().map(|axis| axis + window - 2).chain(0..window).collect();
    let floats = Floats::new(weights.values()).turned(dims, &order);
    let sizes = sizes.map_or_else(|| floats.sizes(), |sizes| [&sizes[..], &dims[..window]].concat());
    vec![x.floats(at, name, &sizes, floats)]
}

/// `Conv`: `[KH, KW, Cin / groups, Cout]` becomes `[Cout, Cin / groups, KH, KW]`.
pub fn conv(x: &mut Exporter<'_>, at: usize, layer: Conv2d) -> Result<(), Unsupported> {
    let windows = Windows::new(x, at, layer.kernel, layer.stride, layer.dilation, layer.padding);
    let mut attributes = windows.attributes(windows.pads());
    if layer.groups > 1 {
        attributes.push(int("group", layer.groups as i64));
    }
    let mut inputs = vec![x.read_channels_first(at)];
    inputs.extend(kernel(x, at, "kernel", [3, 2], None));
    inputs.extend(x.vector(at, "bias"));
    let order = channels_first(x.output(at).len());
    x.give(at, "Conv", &inputs, attributes, order);
    Ok(())
}

/// A depthwise convolution is one in as many groups as there are channels: `[KH, KW, C, M]` becomes `[C · M, 1, KH, KW]`.
fn depthwise_operands(
    x: &mut Exporter<'_>,
    at: usize,
    name: &str,
    layer: &DepthwiseConv2d,
) -> (Vec<String>, Windows, usize) {
    let channels = x.values[x.inputs(at)[0]].dims.last().copied().unwrap_or(1);
    let windows = Windows::new(x, at, layer.kernel, layer.stride, layer.dilation, layer.padding);
    let mut inputs = vec![x.read_channels_first(at)];
    inputs.extend(kernel(x, at, name, [2, 3], Some(vec![channels * layer.multiplier, 1])));
    (inputs, windows, channels)
}

/// `Conv` with a group for each channel.
pub fn depthwise(x: &mut Exporter<'_>, at: usize, layer: DepthwiseConv2d) -> Result<(), Unsupported> {
    let (mut inputs, windows, channels) = depthwise_operands(x, at, "kernel", &layer);
    let mut attributes = windows.attributes(windows.pads());
    attributes.push(int("group", channels as i64));
    inputs.extend(x.vector(at, "bias"));
    let order = channels_first(x.output(at).len());
    x.give(at, "Conv", &inputs, attributes, order);
    Ok(())
}

/// Two `Conv`s.
pub fn separable(x: &mut Exporter<'_>, at: usize, layer: SeparableConv2d) -> Result<(), Unsupported> {
    let (inputs, windows, channels) = depthwise_operands(x, at, "depthwise_kernel", &layer.depthwise);
    let mut attributes = windows.attributes(windows.pads());
    attributes.push(int("group", channels as i64));
    let between = x.part(at, "depthwise", "Conv", &inputs, attributes);
    let mut inputs = vec![between];
    inputs.extend(kernel(x, at, "pointwise_kernel", [3, 2], None));
    inputs.extend(x.vector(at, "bias"));
    let order = channels_first(3);
    x.give(at, "Conv", &inputs, vec![ints("kernel_shape", &[1, 1])], order);
    Ok(())
}

/// `ConvTranspose`: `[KH, KW, Cout, Cin]` becomes `[Cin, Cout, KH, KW]`.
pub fn transpose(x: &mut Exporter<'_>, at: usize, layer: Conv2dTranspose) -> Result<(), Unsupported> {
    let windows = Windows::new(x, at, layer.kernel, layer.stride, layer.dilation, layer.padding);
    let (pads, more) = windows.transposed();
    let mut attributes = windows.attributes(pads);
    if more != [0, 0] {
        attributes.push(ints("output_padding", windows.some(&more)));
    }
    let mut inputs = vec![x.read_channels_first(at)];
    inputs.extend(kernel(x, at, "kernel", [3, 2], None));
    inputs.extend(x.vector(at, "bias"));
    let order = channels_first(x.output(at).len());
    x.give(at, "ConvTranspose", &inputs, attributes, order);
    Ok(())
}

/// `Gemm`. Behind a map that was flattened in another order its rows are in that order.
pub fn dense(x: &mut Exporter<'_>, at: usize, _: Dense) -> Result<(), Unsupported> {
    let value = x.inputs(at)[0];
    let input = match x.values[value].turned {
        Some(_) => x.native(value).name,
        None => x.read(value, &natural(1)),
    };
    let mut inputs = vec![input];
    if let Some(weights) = x.weights(at, "kernel") {
        let mut floats = Floats::new(weights.values());
        if let Some((map, order)) = &x.values[value].turned {
            // The batch is no row.
            let rows = order.iter().filter(|&&axis| axis > 0).map(|axis| axis - 1);
            let order: Vec<usize> = rows.chain([map.len()]).collect();
            floats = floats.turned(&[&map[..], &weights.shape().dims()[1..]].concat(), &order);
        }
        inputs.push(x.floats(at, "kernel", weights.shape().dims(), floats));
    }
    inputs.extend(x.vector(at, "bias"));
    x.give(at, "Gemm", &inputs, vec![], natural(1));
    Ok(())
}
