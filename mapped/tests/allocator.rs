//! What lies in large pages is what it would be elsewhere.

use bantam::{Loss, Samples, Sequential, Sgd, Tensor, Trainer};
use bantam_mapped::LargePagesAllocator;
use std::ops::ControlFlow;

#[global_allocator]
static ALLOCATOR: LargePagesAllocator = LargePagesAllocator;

/// More than is large.
const NUMBERS: usize = 3 << 20;

#[test]
fn zeros_are_zeros_and_what_grows_stays_as_it_was() {
    assert!(vec![0.0_f32; NUMBERS].iter().all(|&number| number == 0.0));
    let mut grown = Vec::new();
    // From small to large, through all lengths between.
    grown.extend((0..NUMBERS).map(|i| i as u32));
    grown.reserve_exact(NUMBERS);
    assert!(grown.iter().zip(0..).all(|(&number, i)| number == i));
    grown.truncate(1000);
    grown.shrink_to_fit();
    assert!(grown.iter().zip(0..).all(|(&number, i)| number == i));
}

#[test]
fn a_net_learns_in_large_pages() {
    let mut model = Sequential::new([32, 32, 3]).conv2d(64, 3).relu().flatten().dense(2).build(1).unwrap();
    let images = (0..64 * 32 * 32 * 3).map(|i| (i % 7) as f32 / 7.0).collect();
    let labels = (0..64).map(|i| (i % 2) as f32).collect();
    let inputs = Tensor::new(&[64, 32, 32, 3], images).unwrap();
    let data = Samples::new(inputs, Tensor::new(&[64, 1], labels).unwrap()).unwrap();
    let mut trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).batch_size(64).epochs(1);
    assert!(trainer.peak_bytes(&model, &data).unwrap() > 2 * (8 << 20));
    let before = model.weights("dense").unwrap()[0].values().to_vec();
    trainer.fit(&mut model, &data, None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_ne!(model.weights("dense").unwrap()[0].values(), before);
}
