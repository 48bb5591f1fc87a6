//! What several tests use: numbers, a model, and the checksum of a model's file.

use bantam::{
    AveragePool2d, Concatenate, Conv1d, Conv2d, Conv2dTranspose, DepthwiseConv1d, GraphBuilder, MaxPool2d,
    Model, Padding, Sequential, UpSampling2d,
};

pub fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// Every layer of version 1 of the file, one of them frozen; `golden/v1.bantam` has it.
pub fn model() -> Model<'static> {
    let padded = Padding::Explicit { top: 1, bottom: 0, left: 2, right: 1 };
    let mut model = Sequential::new([5, 6, 2])
        .conv2d_with(3, [3, 2], Conv2d::same().stride(2))
        .named("první")
        .relu()
        .conv2d_with(2, [1, 1], Conv2d::padded(padded))
        .max_pool2d_with(MaxPool2d::new(3).stride(1).padding(Padding::Same))
        .dropout(0.25)
        .flatten()
        .dense(4)
        .softmax()
        .build(3)
        .unwrap();
    model.set_trainable("conv2d", false).unwrap();
    model
}

/// Maps that are halved and enlarged again, one above the other, beside each other and turned; then all of it as a series.
pub fn enlarged() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([8, 7, 3]).conv2d_with(4, [3, 3], Conv2d::same()).relu();
    let half = x.max_pool2d_with(MaxPool2d::rectangular([2, 2]).ceil_mode()).conv2d(5, 1);
    let up = half.conv2d_transpose_with(4, [3, 3], Conv2dTranspose::same().stride(2)).relu();
    let above = net.layer(Concatenate::new().axis(1), &[x, up.cropping2d([[0, 0], [1, 0]])]);
    let mean = AveragePool2d::rectangular([4, 3]).strides([2, 1]).ceil_mode().count_padding();
    let mean = above.average_pool2d_with(mean.padding(Padding::Same)).conv2d(3, 1);
    let beside = net.concatenate(&[mean, half.up_sampling2d([2, 2]).cropping2d([[0, 0], [0, 1]])]);
    let larger = UpSampling2d::new([1, 2]).bilinear();
    let series = beside.up_sampling2d_with(larger).permute([2, 1, 3]).reshape([-1, 8]);
    let y = series.conv1d_with(6, 3, Conv1d::causal().dilation(2)).relu().max_pool1d(2);
    let y = y.depthwise_conv1d_with(3, DepthwiseConv1d::same()).up_sampling1d(2).zero_padding1d([1, 0]);
    let y = y.conv1d_transpose(4, 3).cropping1d([1, 1]).average_pool1d(2);
    let y = net.concatenate(&[y.global_average_pool1d(), y.global_max_pool1d()]);
    net.build(&[y.dense(4)], 8).unwrap()
}

/// The checksum of a file of version 2: FNV-1a over words of 64 bits, its own place left out; behind the header in four
/// sums in turn, what is left of blocks of 32 bytes in one, and after a megabyte of that in new ones.
pub fn checksum(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let words = |bytes: &[u8]| -> Vec<u64> {
        bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
    };
    let header = [&bytes[..24], &bytes[32..64]].concat();
    let sum = words(&header).into_iter().fold(BASIS, step);
    let four = |start: u64, block: &[u8]| {
        let (whole, rest) = block.split_at(block.len() / 32 * 32);
        let lane = |lane: usize, start| words(whole).into_iter().skip(lane).step_by(4).fold(start, step);
        let sum = (1..4).map(|i| lane(i, BASIS)).fold(lane(0, start), step);
        let sum = words(rest).into_iter().fold(sum, step);
        rest[rest.len() / 8 * 8..].iter().fold(sum, |sum, &byte| step(sum, byte.into()))
    };
    let mut blocks = bytes[64..].chunks(1 << 20);
    let first = four(sum, blocks.next().unwrap_or(&[]));
    blocks.fold(first, |sum, block| step(sum, four(BASIS, block)))
}

/// Puts a file's checksum right.
pub fn mend(file: &mut [u8]) {
    let sum = checksum(file);
    file[24..32].copy_from_slice(&sum.to_le_bytes());
}
