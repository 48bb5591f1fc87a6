//! The nets that read digits.

use crate::data::CLASSES;
use bantam::{
    BatchNormalization, Conv2d, Dataset, DepthwiseConv2d, Error, GraphBuilder, Isa, MaxPool2d, Model,
    Options, Padding, Sequential, Session, Value,
};

/// Three convolutions and two dense layers, 93,322 parameters for 28×28 pixels, as in *Deep Learning with Python*.
///
/// # Errors
/// The pictures are too small for it.
pub fn convnet(input: &[usize], seed: u64) -> Result<Model<'static>, Error> {
    Sequential::new(input)
        .conv2d(32, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .flatten()
        .dense(64)
        .relu()
        .dense(CLASSES)
        .build(seed)
}

/// Residual blocks of depthwise and 1×1 convolutions (He et al., arXiv 1512.03385; Howard et al., arXiv 1704.04861),
/// each convolution with a batch normalisation, whose statistics [`measure_statistics`] sets. Where the map becomes
/// half as large, a convolution and a max-pool beside each other double its channels (Paszke et al., arXiv 1606.02147).
///
/// # Errors
/// There is no memory for it.
pub fn residual(input: &[usize], seed: u64) -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let stem =
        net.input(input).conv2d_with(16, [3, 3], Conv2d::same().no_bias()).batch_normalization().relu();
    let x = halved(&net, stem, 16);
    let x = block(&net, x, 32);
    let x = halved(&net, x, 32);
    let x = block(&net, x, 64);
    let x = block(&net, x, 64);
    net.build(&[x.global_average_pool2d().dense(CLASSES).softmax()], seed)
}

/// `x` and what two convolutions make of it, added.
fn block<'g>(net: &'g GraphBuilder, x: Value<'g>, channels: usize) -> Value<'g> {
    let spatial = x.depthwise_conv2d_with([3, 3], DepthwiseConv2d::same().no_bias());
    let spatial = spatial.batch_normalization().relu();
    let pointwise = spatial.conv2d_with(channels, [1, 1], Conv2d::valid().no_bias()).batch_normalization();
    net.add(&[x, pointwise]).relu()
}

/// A map of half the rows and columns, with `filters` channels more.
fn halved<'g>(net: &'g GraphBuilder, x: Value<'g>, filters: usize) -> Value<'g> {
    let convolved = x.conv2d_with(filters, [3, 3], Conv2d::same().stride(2).no_bias());
    let convolved = convolved.batch_normalization().relu();
    net.concatenate(&[convolved, x.max_pool2d_with(MaxPool2d::new(2).padding(Padding::Same))])
}

/// Sets the statistics of each batch normalisation to those of what it reads while up to `limit` of the samples go
/// through the net, so that it gives every channel a mean of zero and a variance of one. Training leaves them as they
/// are.
///
/// # Errors
/// The samples do not fit the model, or are not finite.
pub fn measure_statistics(
    model: &mut Model<'_>,
    samples: &dyn Dataset,
    limit: usize,
    isa: Isa,
) -> Result<(), Error> {
    let normalized = |node: &&bantam::Node<'_>| node.layer::<BatchNormalization>().is_some();
    let names: Vec<String> =
        model.nodes().iter().filter(normalized).map(|node| node.name().to_string()).collect();
    let (mut sample, mut target) =
        (vec![0.0; samples.input_shape().elements()], vec![0.0; samples.target_len()]);
    // In the order of the net: what one reads depends on those before it.
    for name in &names {
        let read: Vec<String> = model.inbound(model.node(name)?).map(Into::into).collect();
        let tapped = model.tap(&[&read[0]])?;
        let mut session = Session::new(&tapped, Options::new(1).isa(isa))?;
        let channels = model.weights(name)?[0].values().len();
        let (mut sums, mut squares, mut count) = (vec![0.0; channels], vec![0.0; channels], 0.0);
        for index in 0..samples.len().min(limit) {
            samples.read(index, &mut sample, &mut target)?;
            for pixel in session.run(&sample)?.chunks_exact(channels) {
                for ((sum, square), &x) in sums.iter_mut().zip(&mut squares).zip(pixel) {
                    let x = f64::from(x);
                    *sum += x;
                    *square += x * x;
                }
                count += 1.0;
            }
        }
        let means: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
        let variances =
            squares.iter().zip(&means).map(|(square, mean)| (square / count - mean * mean).max(0.0));
        let variances: Vec<f32> = variances.map(|variance| variance as f32).collect();
        let means: Vec<f32> = means.iter().map(|&mean| mean as f32).collect();
        let (gamma, beta) =
            (model.weights(name)?[0].values().to_vec(), model.weights(name)?[1].values().to_vec());
        model.set_weights(name, &[&gamma, &beta, &means, &variances])?;
    }
    Ok(())
}
