//! Training steps on the chip: the tape, its gradients and an optimiser, with a heap of 64 KiB.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use bantam::{Error, Isa, Mode, Optimizer, Sequential, Sgd, Shape, Tape};
use core::mem::MaybeUninit;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use embedded_alloc::LlffHeap;
use panic_semihosting as _;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();
const HEAP_BYTES: usize = 64 * 1024;
static mut MEMORY: [MaybeUninit<u8>; HEAP_BYTES] = [MaybeUninit::uninit(); HEAP_BYTES];

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

#[entry]
fn main() -> ! {
    // SAFETY: this is done once, before anything allocates, with memory that nothing else uses.
    unsafe { HEAP.init((&raw mut MEMORY).addr(), HEAP_BYTES) };
    match train() {
        Ok((first, last)) if last < first / 4.0 => {
            // Printing numbers with a point would cost 14 KiB of flash.
            let (first, last) = ((first * 1000.0) as u32, (last * 1000.0) as u32);
            hprintln!("training: loss from {}/1000 to {}/1000 in {} steps", first, last, STEPS);
            debug::exit(debug::EXIT_SUCCESS);
        }
        Ok(_) => hprintln!("training: it does not learn"),
        Err(error) => hprintln!("training: {}", error),
    }
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
