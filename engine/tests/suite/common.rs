//! What several tests use: numbers, a model, and the checksum of a model's file.

use bantam::{Conv2d, MaxPool2d, Model, Padding, Sequential};

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
