//! Convolutions.

use super::windows::{Plane, Windows};
use crate::import::constant::Tensor;
use crate::import::net::{Id, Kind, Make, Weights};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, one};
use crate::import::refused::Refused;
use bantam::{Conv2d, Conv2dTranspose, DepthwiseConv2d, Padding};

/// What is the same in both convolutions.
struct Read {
    plane: Plane,
    id: Id,
    /// `[A, B, KH, KW]`, with a height of 1 if there is none in the file.
    kernel: Tensor,
    windows: Windows,
    groups: usize,
    exclusive: bool,
}

fn read(importer: &mut Importer<'_>, node: &Node<'_>) -> Result<Read, Refused> {
    let map = importer.map(node, 0)?;
    let plane = Plane::of(importer, &map)?;
    let mut kernel = importer.weights(node, 1, "a kernel")?;
    if kernel.dims.len() != plane.rank() + 2 {
        let expected = format!("{} dimensions", plane.rank() + 2);
        return Err(Refused::expected_got("kernel", expected, format!("{:?}", kernel.dims)));
    }
    if plane.rank() == 1 {
        kernel = kernel.with_axis(2);
    }
    if kernel.dims.contains(&0) {
        return Err(Refused::expected_got("kernel", "sizes of at least 1", format!("{:?}", kernel.dims)));
    }
    let size = [kernel.dims[2], kernel.dims[3]];
    if let Some(told) = node.ints("kernel_shape") {
        let told = plane.pair("kernel_shape", told, 1)?;
        if told != size {
            return Err(Refused::expected_got(
                "kernel_shape",
                format!("the kernel's {size:?}"),
                format!("{told:?}"),
            ));
        }
    }
    let windows = Windows::of(node, &plane, size)?;
    let groups = node.int("group").unwrap_or(1);
    let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0 && plane.channels() % groups == 0);
    let groups = groups.ok_or_else(|| {
        Refused::expected_got(
            "group",
            format!("one that divides {} channels", plane.channels()),
            node.int("group").unwrap_or(1),
        )
    })?;
    let id = importer.laid(node, &map, &plane.groups());
    Ok(Read { plane, id, kernel, windows, groups, exclusive: map.exclusive && id == map.id })
}

fn biased(
    importer: &Importer<'_>,
    node: &Node<'_>,
    filters: usize,
    kernel: Tensor,
) -> Result<Vec<Weights>, Refused> {
    let mut weights = vec![Weights::new("kernel", kernel)];
    if node.inputs.get(2).is_some_and(Option::is_some) {
        weights.push(Weights::new("bias", importer.vector(node, 2, "the bias", filters)?));
    }
    Ok(weights)
}

/// `Conv`, with kernels `[O, I / groups, KH, KW]`.
pub fn conv(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let Read { mut plane, mut id, kernel, mut windows, groups, exclusive } = read(importer, node)?;
    let (channels, [filters, per_group, kh, kw]) = (plane.channels(), four(&kernel));
    if per_group * groups != channels || filters % groups != 0 {
        let expected = format!("for {channels} channels in {groups} groups");
        return Err(Refused::expected_got("kernel", expected, format!("{:?}", kernel.dims)));
    }
    // Zeros that somebody else has put around the map are this layer's padding.
    if let (true, Some(&Kind::Padding(around))) =
        (exclusive, importer.net.layer_of(id).map(|layer| &layer.kind))
    {
        let padding = importer.net.layer_of(id).map(|layer| layer.name.clone()).unwrap_or_default();
        importer.fused(&padding, node.name);
        id = importer.net.inputs_of(id)[0];
        let [h, w, _] = *importer.net.dims(id) else {
            return Err(Refused::new("padding: expected that of a map"));
        };
        plane.parts[0] = importer.factors.axis(h);
        plane.parts[1] = importer.factors.axis(w);
        windows = windows.padded(around);
    }
    let output = windows.count(plane.sizes())?;
    let Windows { stride, dilation, .. } = windows;
    let padding = windows.padding();
    let depthwise = groups == channels && groups > 1;
    let (kernel, make): (Tensor, Make) = if depthwise {
        let multiplier = filters / channels;
        let strides = [kernel.stride(2), kernel.stride(3), kernel.stride(0) * multiplier, kernel.stride(0)];
        let kernel = kernel.view(vec![kh, kw, channels, multiplier], strides.to_vec());
        let how = DepthwiseConv2d::padded(padding)
            .kernel([kh, kw])
            .strides(stride)
            .dilations(dilation)
            .multiplier(multiplier);
        (kernel, Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x)))
    } else {
        let how = Conv2d::padded(padding).filters(filters).kernel([kh, kw]).strides(stride);
        let how = how.dilations(dilation).groups(groups);
        let kernel = kernel.transposed(&[2, 3, 1, 0]);
        (kernel, Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x)))
    };
    let weights = biased(importer, node, filters, kernel)?;
    let dims = vec![output[0], output[1], filters];
    let id =
        importer.net.add(node.name, Kind::Sums { outputs: filters, inner: 1 }, &[id], dims, weights, make);
    let lies = plane.output(output, Some(filters), &mut importer.factors);
    one(importer.given(node, id, lies))
}

/// `ConvTranspose`, with kernels `[I, O / groups, KH, KW]`.
pub fn conv_transpose(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let Read { plane, id, kernel, mut windows, groups, .. } = read(importer, node)?;
    let (channels, [inputs, filters, kh, kw]) = (plane.channels(), four(&kernel));
    if inputs != channels {
        return Err(Refused::expected_got(
            "kernel",
            format!("for {channels} channels"),
            format!("{:?}", kernel.dims),
        ));
    }
    if groups != 1 {
        let advice = "export it as a convolution for each group, or as a resize and a convolution";
        return Err(Refused::expected_got("group", "1", groups).advice(advice));
    }
    let sizes = plane.sizes();
    let mut more =
        node.ints("output_padding").map_or(Ok([0, 0]), |more| plane.pair("output_padding", more, 0))?;
    let auto = node.text("auto_pad").unwrap_or("NOTSET");
    let told = match node.ints("output_shape") {
        Some(told) => {
            Some(plane.pair("output_shape", &told[told.len().saturating_sub(plane.rank())..], 1)?)
        }
        None if auto.starts_with("SAME") => {
            Some([0, 1].map(|axis| sizes[axis].saturating_mul(windows.stride[axis])))
        }
        None => None,
    };
    let mut output = [0; 2];
    let reach = |axis: usize, more: usize| {
        let strides = (sizes[axis] - 1).saturating_mul(windows.stride[axis]);
        strides.saturating_add(windows.extent(axis)).saturating_add(more)
    };
    let [low, high] = [0, 1].map(|axis| reach(axis, more[axis]));
    for (axis, reach) in [low, high].into_iter().enumerate() {
        if let Some(told) = told {
            let total = reach.saturating_sub(told[axis]);
            more[axis] += told[axis].saturating_sub(reach);
            let (less, rest) = (total / 2, total - total / 2);
            windows.pads[axis] = if auto == "SAME_UPPER" { [less, rest] } else { [rest, less] };
        }
        // More at the end is as much less cut off there.
        let cut = &mut windows.pads[axis][1];
        let taken = more[axis].min(*cut);
        (*cut, more[axis]) = (*cut - taken, more[axis] - taken);
        let reach = reach.max(told.map_or(0, |told| told[axis])) - taken;
        output[axis] = reach
            .checked_sub(windows.pads[axis].iter().sum())
            .filter(|&output| output > 0)
            .ok_or_else(|| {
                Refused::expected_got(
                    "pads",
                    format!("less than {reach} in all"),
                    format!("{:?}", windows.pads[axis]),
                )
            })?;
    }
    let Windows { stride, dilation, pads: [[top, bottom], [left, right]], .. } = windows;
    let padding = Padding::Explicit { top, bottom, left, right };
    let how = Conv2dTranspose::padded(padding)
        .filters(filters)
        .kernel([kh, kw])
        .strides(stride)
        .dilations(dilation);
    let how = how.output_padding(more);
    let make: Make = Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x));
    let weights = biased(importer, node, filters, kernel.transposed(&[2, 3, 1, 0]))?;
    let dims = vec![output[0], output[1], filters];
    let id = importer.net.add(
        node.name,
        Kind::Sums { outputs: filters, inner: channels },
        &[id],
        dims,
        weights,
        make,
    );
    let lies = plane.output(output, Some(filters), &mut importer.factors);
    one(importer.given(node, id, lies))
}

fn four(kernel: &Tensor) -> [usize; 4] {
    [0, 1, 2, 3].map(|axis| kernel.dims[axis])
}
