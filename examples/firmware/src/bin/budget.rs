//! A residual net with batch normalisation learns digits on the chip, from weights that are drawn there: once in all the
//! memory that it would take, and once within 104 KiB, where outputs are dropped and computed again. What it learns is the
//! same to the bit.
#![no_std]
#![no_main]

extern crate alloc;

use bantam::{
    Aligned, Conv2d, Error, GraphBuilder, Isa, Loss, Model, Sgd, Trainer, TrainingPlan, TrainingSession,
};
use firmware::{Heap, board, println, stack};
use static_cell::ConstStaticCell;

firmware::program!(budget);

/// Each digit's class, the class that the desktop read, and the pixels.
static DIGITS: &[u8] = include_bytes!("../../data/digits-to-learn.bin");
const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;

const BATCH: usize = 4;
const EPOCHS: usize = 3;
const BUDGET: usize = 104 * 1024;
/// What the plan that keeps all outputs takes.
const ARENA: usize = 136_000 / size_of::<f32>();
static MEMORY: ConstStaticCell<Aligned<[f32; ARENA]>> = ConstStaticCell::new(Aligned([0.0; ARENA]));
static IMAGES: ConstStaticCell<[f32; BATCH * PIXELS]> = ConstStaticCell::new([0.0; BATCH * PIXELS]);

#[global_allocator]
static HEAP: Heap<{ 64 * 1024 }> = Heap::new();

/// Two residual blocks; the second halves the map.
fn net() -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let half = Conv2d::same().stride(2).no_bias();
    let stem = Conv2d::valid().stride(3).no_bias();
    let mut x = net.input([SIDE, SIDE, 1]).conv2d_with(8, [5, 5], stem).batch_normalization().relu();
    for (filters, how) in [(8, Conv2d::same().no_bias()), (16, half)] {
        let y = x.conv2d_with(filters, [3, 3], how).batch_normalization().relu();
        let y = y.conv2d_with(filters, [3, 3], Conv2d::same().no_bias()).batch_normalization();
        let shortcut = x.conv2d_with(filters, [1, 1], how).batch_normalization();
        x = net.add(&[y, shortcut]).relu();
    }
    net.build(&[x.global_average_pool2d().dense(10)], 1)
}

fn budget() -> Result<bool, Error> {
    let model = net()?;
    let sgd = Sgd { rate: 0.1, momentum: 0.9, ..Sgd::default() };
    let trainer = Trainer::new(sgd, Loss::SoftmaxCrossEntropy).batch_size(BATCH).isa(Isa::detect());
    println!("{}: {} parameters, batches of {BATCH}", env!("BOARD"), model.parameter_count());
    let (arena, images) = (&mut MEMORY.take().0, IMAGES.take());
    let all = TrainingPlan::new(&trainer, &model)?;
    println!(
        "all outputs kept: an arena of {} bytes, {} multiply-adds a step",
        all.peak_bytes(),
        all.multiply_adds()
    );
    let (wanted, kept) = learn(&mut all.session_in(arena)?, images)?;
    let plan = TrainingPlan::within(&trainer, &model, BUDGET)?;
    let (peak, multiply_adds) = (plan.peak_bytes(), plan.multiply_adds());
    println!("{}: an arena of {peak} bytes, {multiply_adds} multiply-adds a step", plan.way());
    let (got, again) = learn(&mut plan.session_in(&mut arena[..BUDGET / size_of::<f32>()])?, images)?;
    println!("{kept} and {again} instructions");
    let same = got == wanted;
    println!("{}", if same { "the same model, to the bit" } else { "another model" });
    println!("heap {} bytes, stack {} bytes at the most", HEAP.peak(), stack::peak());
    Ok(same && peak <= BUDGET)
}

/// Learns all digits some times over. Gives a checksum of what was learnt, and the instructions that steps took.
fn learn(session: &mut TrainingSession<'_>, images: &mut [f32; BATCH * PIXELS]) -> Result<(u64, u64), Error> {
    let mut instructions = 0;
    for epoch in 1..=EPOCHS {
        let (batches, _) = DIGITS.as_chunks::<{ BATCH * (2 + PIXELS) }>();
        let (mut loss, mut right) = (0.0, 0.0);
        for batch in batches {
            let mut labels = [0.0; BATCH];
            let (digits, _) = batch.as_chunks::<{ 2 + PIXELS }>();
            for ((&[class, _, ref pixels @ ..], image), label) in
                digits.iter().zip(images.chunks_exact_mut(PIXELS)).zip(&mut labels)
            {
                image.iter_mut().zip(pixels).for_each(|(x, &pixel)| *x = f32::from(pixel) / 255.0);
                *label = class.into();
            }
            let (learnt, taken) = board::instructions(|| session.step(&images[..], &labels));
            let learnt = learnt?;
            loss += learnt.loss;
            right += learnt.accuracy.unwrap_or(0.0);
            instructions += taken;
        }
        // Printing numbers with a point would cost 14 KiB of flash.
        let [loss, right] = [1000.0 * loss, 100.0 * right].map(|sum| (sum / batches.len() as f32) as u32);
        println!("epoch {epoch}: loss {loss}/1000, {right} of 100 right");
    }
    // Fowler, Noll and Vo's.
    let bits = session.weights().flat_map(|(.., values)| values).map(|value| u64::from(value.to_bits()));
    let checksum = bits.fold(0xcbf2_9ce4_8422_2325, |sum, bits| (sum ^ bits).wrapping_mul(0x0100_0000_01b3));
    Ok((checksum, instructions))
}
