//! The tape on the chip: a small net learns by its gradients and an optimiser, with a heap of 64 KiB.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use bantam::{Error, Isa, Mode, Optimizer, Sequential, Sgd, Shape, Tape};
use firmware::{Heap, println};

firmware::program!(run);

#[global_allocator]
static HEAP: Heap<{ 64 * 1024 }> = Heap::new();

const STEPS: usize = 40;

/// Trains a small net to tell a lying bar from a standing one. Gives its first and its last loss.
fn train() -> Result<(f32, f32), Error> {
    let isa = Isa::detect();
    let mut model =
        Sequential::new([6, 6, 1]).conv2d(4, 3).relu().max_pool2d(2).flatten().dense(2).build(1)?;
    let mut optimizer = Optimizer::from(Sgd { rate: 0.2, ..Sgd::default() });
    let mut images = [0.0; 8 * 36];
    for (i, image) in images.chunks_mut(36).enumerate() {
        for k in 0..6 {
            image[if i % 2 == 0 { k * 6 + i / 2 } else { i / 2 * 6 + k }] = 1.0;
        }
    }
    let labels: [f32; 8] = core::array::from_fn(|i| (i % 2) as f32);
    let shape = Shape::new(&[8, 6, 6, 1])?;
    let (mut first, mut last) = (None, 0.0);
    let mut parameters = Vec::new();
    let mut memory = Tape::new(isa);
    for _ in 0..STEPS {
        let mut tape = memory.reset();
        parameters.clear();
        let x = tape.input(shape, &images)?;
        let y = model.record(&mut tape, x, Mode::Inference, &mut parameters)?;
        let targets = tape.one_hot(&labels, 2)?;
        let loss = tape.softmax_cross_entropy(y, targets)?;
        last = tape.value(loss)?[0];
        first.get_or_insert(last);
        let gradients = tape.backward(loss)?;
        model.update(isa, &mut optimizer, &parameters, &gradients)?;
        memory = gradients.into_tape();
    }
    Ok((first.unwrap_or(last), last))
}

fn run() -> Result<bool, Error> {
    let (first, last) = train()?;
    let learnt = last < first / 4.0;
    // Printing numbers with a point would cost 14 KiB of flash.
    let (first, last) = ((first * 1000.0) as u32, (last * 1000.0) as u32);
    println!("tape: loss from {first}/1000 to {last}/1000 in {STEPS} steps");
    println!("heap {} bytes at the most", HEAP.peak());
    Ok(learnt)
}
