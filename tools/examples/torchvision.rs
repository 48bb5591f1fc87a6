//! Writes nets of torchvision without its weights, with its names: `resnet18.bantam` and `mobilenet_v2.bantam`, in the folder that is
//! told. `bantam import resnet18.safetensors --into resnet18.bantam` gives them those.

use bantam::{
    BatchNormalization, Conv2d, DepthwiseConv2d, Error, GraphBuilder, MaxPool2d, Model, Padding, Value,
};
use std::path::PathBuf;

fn main() -> Result<(), bantam_tools::Failure> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: torchvision FOLDER")?);
    resnet18()?.save(folder.join("resnet18.bantam"))?;
    mobilenet_v2()?.save(folder.join("mobilenet_v2.bantam"))?;
    Ok(())
}

fn around(pixels: usize) -> Padding {
    Padding::Explicit { top: pixels, bottom: pixels, left: pixels, right: pixels }
}

fn convolved<'g>(x: Value<'g>, filters: usize, kernel: usize, stride: usize, names: [&str; 2]) -> Value<'g> {
    let how = Conv2d::padded(around(kernel / 2)).stride(stride).no_bias();
    normalized(x.conv2d_with(filters, [kernel; 2], how), names)
}

/// Names a convolution and puts a normalisation behind it, with PyTorch's numbers.
fn normalized<'g>(x: Value<'g>, [convolution, normalization]: [&str; 2]) -> Value<'g> {
    x.named(convolution).layer(BatchNormalization::new().epsilon(1e-5)).named(normalization)
}

/// He et al., arXiv 1512.03385, with the blocks of the smaller nets.
fn resnet18() -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let x = convolved(net.input([224, 224, 3]), 64, 7, 2, ["conv1", "bn1"]).relu();
    let mut x = x.max_pool2d_with(MaxPool2d::new(3).stride(2).padding(around(1)));
    for (stage, filters) in (1..).zip([64, 128, 256, 512]) {
        for block in 0..2 {
            let named = |what: &str| format!("layer{stage}.{block}.{what}");
            let stride = if block == 0 && stage > 1 { 2 } else { 1 };
            let y = convolved(x, filters, 3, stride, [&named("conv1"), &named("bn1")]).relu();
            let y = convolved(y, filters, 3, 1, [&named("conv2"), &named("bn2")]);
            if stride == 2 {
                x = convolved(x, filters, 1, 2, [&named("downsample.0"), &named("downsample.1")]);
            }
            x = net.add(&[x, y]).relu();
        }
    }
    net.build(&[x.global_average_pool2d().dense(1000).named("fc")], 1)
}

/// Sandler et al., arXiv 1801.04381.
fn mobilenet_v2() -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let x = net.input([224, 224, 3]);
    let mut x = convolved(x, 32, 3, 2, ["features.0.0", "features.0.1"]).relu6();
    let (mut channels, mut number) = (32, 1);
    let stages = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    for (expansion, filters, count, stride) in stages {
        for stride in std::iter::once(stride).chain(std::iter::repeat_n(1, count - 1)) {
            let named = |what: &str| format!("features.{number}.conv.{what}");
            let (mut y, mut part) = (x, 0);
            if expansion > 1 {
                y = convolved(y, expansion * channels, 1, 1, [&named("0.0"), &named("0.1")]).relu6();
                part = 1;
            }
            let how = DepthwiseConv2d::padded(around(1)).stride(stride).no_bias();
            let names = [named(&format!("{part}.0")), named(&format!("{part}.1"))];
            y = normalized(y.depthwise_conv2d_with([3; 2], how), [&names[0], &names[1]]).relu6();
            let names = [named(&(part + 1).to_string()), named(&(part + 2).to_string())];
            y = convolved(y, filters, 1, 1, [&names[0], &names[1]]);
            x = if stride == 1 && channels == filters { net.add(&[x, y]) } else { y };
            (channels, number) = (filters, number + 1);
        }
    }
    let x = convolved(x, 1280, 1, 1, ["features.18.0", "features.18.1"]).relu6();
    net.build(&[x.global_average_pool2d().dense(1000).named("classifier.1")], 1)
}
