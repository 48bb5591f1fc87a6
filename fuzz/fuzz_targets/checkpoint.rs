//! No bytes make a trainer panic that is to go on from them, and what it takes over it can write and train.
#![no_main]

use bantam::{Adam, Event, Loss, Optimizer, Samples, Sequential, Tensor, Trainer};
use libfuzzer_sys::fuzz_target;
use std::ops::ControlFlow;

/// Where the header keeps the file's length and checksum, that of the model's file, and its end.
const LENGTH: std::ops::Range<usize> = 16..24;
const CHECKSUM: std::ops::Range<usize> = 24..32;
const MODEL: std::ops::Range<usize> = 32..40;
const HEADER: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let trainer = || {
        let adam = Optimizer::from(Adam::default()).ema(0.9, None);
        Trainer::new(adam, Loss::SoftmaxCrossEntropy).batch_size(2)
    };
    let go_on = &mut |_: Event| ControlFlow::Continue(());
    let inputs = Tensor::new(&[3, 2], vec![0.5; 6]).expect("as many");
    let labels = Tensor::new(&[3, 1], vec![1.0; 3]).expect("as many");
    let data = Samples::new(inputs, labels).expect("as many of both");
    let _ = trainer().restore(bytes);

    // What the trainer knows is the fuzzer's, behind a header and a model that are right.
    let mut model = Sequential::new([2]).dense(2).build(1).expect("a net");
    let mut first = trainer();
    first.fit(&mut model, &data, None, go_on).expect("it learns");
    let mut file = first.checkpoint(&model).expect("as it was left");
    let len = u64::from_le_bytes(file[MODEL].try_into().expect("eight bytes")) as usize;
    file.truncate(HEADER + len);
    file.extend_from_slice(bytes);
    let len = file.len() as u64;
    file[LENGTH].copy_from_slice(&len.to_le_bytes());
    let sum = checksum(&file);
    file[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    let mut again = trainer();
    if let Ok(mut model) = again.restore(&file) {
        again.checkpoint(&model).expect("as it was left");
        let _ = again.fit(&mut model, &data, None, go_on);
    }
});

/// That of a model's file: FNV-1a over words, in four sums behind the header, and over what is left by bytes, as long as
/// there is no more than a megabyte.
fn checksum(file: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let words = |bytes: &[u8]| -> Vec<u64> {
        let (words, _) = bytes.as_chunks::<8>();
        words.iter().map(|&word| u64::from_le_bytes(word)).collect()
    };
    let header = [&file[..CHECKSUM.start], &file[CHECKSUM.end..HEADER]].concat();
    let header = words(&header).into_iter().fold(BASIS, step);
    let (body, rest) = file[HEADER..].split_at((file.len() - HEADER) / 32 * 32);
    let lane = |lane: usize, start| words(body).into_iter().skip(lane).step_by(4).fold(start, step);
    let sum = (1..4).map(|i| lane(i, BASIS)).fold(lane(0, header), step);
    let sum = words(rest).into_iter().fold(sum, step);
    rest[rest.len() / 8 * 8..].iter().fold(sum, |sum, &byte| step(sum, byte.into()))
}
