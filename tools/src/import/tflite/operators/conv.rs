//! Convolutions.

use super::blocks;
use super::windows::Windows;
use crate::import::constant::Tensor;
use crate::import::net::{Id, Kind, Make, Weights};
use crate::import::refused::Refused;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, shape};
use bantam::{Conv2d, Conv2dTranspose, DepthwiseConv2d, Padding};

/// The value that a convolution reads as maps: zeros that somebody else has put around it are the layer's padding.
fn read(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    windows: &mut Windows,
) -> Result<(Id, [usize; 3]), Refused> {
    let (map, blocks) = blocks::read(importer, node)?;
    let [h, w, c] = importer.pixels(&map)?;
    if let Some(blocks) = blocks {
        let plain = matches!(windows.padding, Padding::Valid)
            && windows.stride == [1, 1]
            && windows.dilation == [1, 1];
        if !plain {
            return Err(Refused::new("blocks of pixels: expected VALID padding, strides and dilations of 1"));
        }
        let [[top, bottom], [left, right]] = blocks::around(importer, node, &blocks)?;
        windows.dilation = blocks.apart;
        windows.padding = Padding::Explicit { top, bottom, left, right };
        importer.report.fused.push(format!("{}: 3 operators are a dilated convolution", node.name));
    }
    let around = importer.net.layer_of(map.id).map(|layer| (layer.kind.clone(), layer.name.clone()));
    if let (true, Padding::Valid, Some((Kind::Padding([[top, bottom], [left, right]]), name))) =
        (map.exclusive, windows.padding, around)
    {
        let id = importer.net.inputs_of(map.id)[0];
        importer.report.fused.push(format!("{name}: into {}", node.name));
        windows.padding = Padding::Explicit { top, bottom, left, right };
        return Ok((id, [h - top - bottom, w - left - right, c]));
    }
    Ok((importer.net.reshape(&node.name, map.id, &[h, w, c]), [h, w, c]))
}

fn biased(
    importer: &Importer<'_>,
    node: &Node<'_>,
    input: usize,
    filters: usize,
    kernel: Tensor,
) -> Result<Vec<Weights>, Refused> {
    let bias = importer.bias(node, input, filters)?;
    Ok([Weights::new("kernel", kernel)]
        .into_iter()
        .chain(bias.map(|bias| Weights::new("bias", bias)))
        .collect())
}

/// `CONV_2D`, with kernels `[O, KH, KW, I / groups]`.
pub fn conv(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let kernel = importer.weights(node, 1, "the kernel", 4)?;
    let [filters, kh, kw, per_group] = four(&kernel);
    let mut windows = Windows::of(node, [kh, kw], [1, 2], Some([4, 5]))?;
    let (id, [h, w, channels]) = read(importer, node, &mut windows)?;
    let groups = channels / per_group;
    if groups * per_group != channels || filters % groups.max(1) != 0 {
        let expected = format!("one of {channels} channels, or of a group of them");
        return Err(Refused::expected_got("kernel", expected, format!("{:?}", kernel.dims)));
    }
    if groups == channels && groups > 1 {
        // [C · M, KH, KW, 1] as [KH, KW, C, M].
        let multiplier = filters / channels;
        let each = kernel.stride(0);
        let strides = vec![kernel.stride(1), kernel.stride(2), each * multiplier, each];
        let kernel = kernel.view(vec![kh, kw, channels, multiplier], strides);
        return depthwise_layer(importer, node, (id, [h, w]), windows, kernel, node.byte(3)?);
    }
    let Windows { stride, dilation, padding, .. } = windows;
    let how = Conv2d::padded(padding).filters(filters).kernel([kh, kw]).strides(stride);
    let how = how.dilations(dilation).groups(groups);
    let make: Make = Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x));
    let [h, w] = windows.count([h, w])?;
    let weights = biased(importer, node, 2, filters, kernel.transposed(&[1, 2, 3, 0]))?;
    let kind = Kind::Sums { outputs: filters, inner: 1 };
    let id = importer.net.add(&node.name, kind, &[id], vec![h, w, filters], weights, make);
    let dims = importer.batch_of(&[h, w, filters]);
    importer.activated(node, id, dims, node.byte(3)?)
}

/// `DEPTHWISE_CONV_2D`, with kernels `[1, KH, KW, C · M]`.
pub fn depthwise(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let kernel = importer.weights(node, 1, "the kernel", 4)?;
    let [first, kh, kw, filters] = four(&kernel);
    let mut windows = Windows::of(node, [kh, kw], [1, 2], Some([5, 6]))?;
    let (id, [h, w, channels]) = read(importer, node, &mut windows)?;
    // The multiplier of the options may be 0 in older files: the kernel says it as well.
    if first != 1 || filters % channels != 0 {
        let expected = format!("[1, KH, KW, a multiple of {channels}]");
        return Err(Refused::expected_got("kernel", expected, format!("{:?}", kernel.dims)));
    }
    let multiplier = filters / channels;
    let strides = vec![kernel.stride(1), kernel.stride(2), kernel.stride(3) * multiplier, kernel.stride(3)];
    let kernel = kernel.view(vec![kh, kw, channels, multiplier], strides);
    depthwise_layer(importer, node, (id, [h, w]), windows, kernel, node.byte(4)?)
}

/// With a kernel `[KH, KW, C, M]`.
fn depthwise_layer(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    (id, sizes): (Id, [usize; 2]),
    windows: Windows,
    kernel: Tensor,
    function: u8,
) -> Given {
    let multiplier = kernel.dims[3];
    let filters = kernel.dims[2] * multiplier;
    let how = DepthwiseConv2d::padded(windows.padding)
        .kernel(windows.kernel)
        .strides(windows.stride)
        .dilations(windows.dilation)
        .multiplier(multiplier);
    let make: Make = Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x));
    let [h, w] = windows.count(sizes)?;
    let weights = biased(importer, node, 2, filters, kernel)?;
    let kind = Kind::Sums { outputs: filters, inner: 1 };
    let id = importer.net.add(&node.name, kind, &[id], vec![h, w, filters], weights, make);
    let dims = importer.batch_of(&[h, w, filters]);
    importer.activated(node, id, dims, function)
}

/// `TRANSPOSE_CONV`, with the output's shape, and kernels `[O, KH, KW, I]`: the gradient of a convolution from that shape.
pub fn transpose_conv(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 2)?;
    let kernel = importer.weights(node, 1, "the kernel", 4)?;
    let [filters, kh, kw, inputs] = four(&kernel);
    let [h, w, channels] = importer.pixels(&map)?;
    if inputs != channels {
        let expected = format!("one of {channels} channels");
        return Err(Refused::expected_got("kernel", expected, format!("{:?}", kernel.dims)));
    }
    let told = importer.ints(node, 0)?.ok_or_else(|| Refused::new("expected a shape, found none"))?;
    let [_, height, width, last] = told.values[..] else {
        return Err(Refused::expected_got("output", "a shape [N, H, W, C]", shape(&told.values)));
    };
    let size = |dim: crate::import::constant::Int| {
        dim.known().and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0)
    };
    let (Some(height), Some(width), true) = (size(height), size(width), size(last) == Some(filters)) else {
        let expected = format!("[N, H, W, {filters}]");
        return Err(Refused::expected_got("output", expected, shape(&told.values)));
    };
    let windows = Windows::of(node, [kh, kw], [1, 2], None)?;
    let (sizes, output) = ([h, w], [height, width]);
    if windows.count(output)? != sizes {
        let expected = format!("one of which a convolution makes {h}×{w}");
        return Err(Refused::expected_got("output", expected, format!("{height}×{width}")));
    }
    let (mut pads, mut more) = ([[0; 2]; 2], [0; 2]);
    for axis in 0..2 {
        let reach =
            ((sizes[axis] - 1).saturating_mul(windows.stride[axis])).saturating_add(windows.kernel[axis]);
        let total = reach.saturating_sub(output[axis]);
        pads[axis] = [total / 2, total - total / 2];
        more[axis] = output[axis].saturating_sub(reach);
    }
    let [[top, bottom], [left, right]] = pads;
    let padding = Padding::Explicit { top, bottom, left, right };
    let how = Conv2dTranspose::padded(padding).filters(filters).kernel([kh, kw]).strides(windows.stride);
    let how = how.output_padding(more);
    let make: Make = Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x));
    let id = importer.net.reshape(&node.name, map.id, &[h, w, channels]);
    let weights = biased(importer, node, 3, filters, kernel.transposed(&[1, 2, 0, 3]))?;
    let kind = Kind::Sums { outputs: filters, inner: channels };
    let id = importer.net.add(&node.name, kind, &[id], vec![height, width, filters], weights, make);
    let dims = importer.batch_of(&[height, width, filters]);
    importer.activated(node, id, dims, node.byte(3)?)
}

fn four(kernel: &Tensor) -> [usize; 4] {
    [0, 1, 2, 3].map(|axis| kernel.dims[axis])
}
