use bantam::{Error, Model, Sequential};

/// Four convolutions and two dense layers, as in *Deep Learning with Python* for cats and dogs: 3,453,121 parameters for one
/// output of 150×150×3. Two classes have one output, a sigmoid; more have one each, a softmax.
///
/// # Errors
/// The images are too small for it, or there is no memory.
pub fn convnet(input: &[usize], classes: usize, dropout: f32, seed: u64) -> Result<Model<'static>, Error> {
    let mut net = Sequential::new(input);
    for filters in [32, 64, 128, 128] {
        net = net.conv2d(filters, 3).relu().max_pool2d(2);
    }
    net = net.flatten();
    if dropout > 0.0 {
        net = net.dropout(dropout);
    }
    net = net.dense(512).relu();
    let net = if classes == 2 { net.dense(1).sigmoid() } else { net.dense(classes).softmax() };
    net.build(seed)
}
