//! Learns on the chip within a budget of bytes.
//!
//! First a residual net with batch normalisation, from weights that are drawn on the chip: once in all the memory that it
//! would take, and once within 104 KiB, where outputs are dropped and computed again. What it learns is the same to the
//! bit. Then the digit reader from flash: its last convolution, its classifier and all biases from there on learn digits that are shifted
//! and dark on light, within 208 KiB. The kernel of the dense layer between them stays in flash: it and the convolution's
//! are 294,912 bytes, and the chip has 262,144.
#![no_std]
#![no_main]

extern crate alloc;

use bantam::{
    Conv2d, Dense, Dropout, Error, Flatten, GraphBuilder, Isa, Loss, MaxPool2d, Model, Relu, Sgd, Softmax,
    Trainer, TrainingPlan, TrainingSession, argmax, include_aligned, trainable_layers,
};
use firmware::digits::{self, DIGIT, PIXELS};
use firmware::{Heap, board, println, stack};
use static_cell::ConstStaticCell;

firmware::program!(training);

static READER: &[u8] = include_aligned!("../../data/mnist.bantam");
/// Each digit's class, the class that the desktop read, and the pixels.
static TO_LEARN: &[u8] = include_bytes!("../../data/digits-to-learn.bin");
static OTHERS: &[u8] = include_bytes!("../../data/digits.bin");

const BATCH: usize = 4;
const EPOCHS: usize = 3;
static IMAGES: ConstStaticCell<[f32; BATCH * PIXELS]> = ConstStaticCell::new([0.0; BATCH * PIXELS]);

/// All that is left of the chip's RAM. Arenas are here too.
#[global_allocator]
static HEAP: Heap<{ 222 * 1024 }> = Heap::new();

fn training() -> Result<bool, Error> {
    let images = IMAGES.take();
    let ok = learns_the_same(images)? && last_convolution(images)?;
    println!("heap with arenas {} bytes, stack {} bytes at the most", HEAP.peak(), stack::peak());
    Ok(ok)
}

/// Two residual blocks; the second halves the map.
fn residual() -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let half = Conv2d::same().stride(2).no_bias();
    let stem = Conv2d::valid().stride(3).no_bias();
    let mut x = net.input([28, 28, 1]).conv2d_with(8, [5, 5], stem).batch_normalization().relu();
    for (filters, how) in [(8, Conv2d::same().no_bias()), (16, half)] {
        let y = x.conv2d_with(filters, [3, 3], how).batch_normalization().relu();
        let y = y.conv2d_with(filters, [3, 3], Conv2d::same().no_bias()).batch_normalization();
        let shortcut = x.conv2d_with(filters, [1, 1], how).batch_normalization();
        x = net.add(&[y, shortcut]).relu();
    }
    net.build(&[x.global_average_pool2d().dense(10)], 1)
}

/// Whether the residual net learns the same within a budget and in all the memory that it takes.
fn learns_the_same(images: &mut [f32; BATCH * PIXELS]) -> Result<bool, Error> {
    const BUDGET: usize = 104 * 1024;
    let model = residual()?;
    let trainer = trainer(Sgd { rate: 0.1, momentum: 0.9, ..Sgd::default() });
    println!("{}, residual net: {} parameters", env!("BOARD"), model.parameter_count());
    let all = TrainingPlan::new(&trainer, &model)?;
    println!("all outputs kept: {} bytes, {} multiply-adds a step", all.peak_bytes(), all.multiply_adds());
    let wanted = learn(&mut all.session()?, images)?;
    let plan = TrainingPlan::within(&trainer, &model, BUDGET)?;
    let (peak, multiply_adds) = (plan.peak_bytes(), plan.multiply_adds());
    println!("{}: {peak} bytes, {multiply_adds} multiply-adds a step", plan.way());
    let same = learn(&mut plan.session()?, images)? == wanted;
    println!("{}", if same { "the same model, to the bit" } else { "another model" });
    Ok(same && peak <= BUDGET)
}

/// Whether the digit reader reads digits as they come here, once its last convolution and its classifier learnt to.
fn last_convolution(images: &mut [f32; BATCH * PIXELS]) -> Result<bool, Error> {
    let layers = trainable_layers![Conv2d, Relu, MaxPool2d, Flatten, Dropout, Dense, Softmax];
    let mut model = Model::from_bytes_with(READER, layers)?;
    model.set_trainable("conv2d", false)?;
    model.set_trainable("conv2d_1", false)?;
    model.set_weight_trainable("dense", "kernel", false)?;
    let trainer = trainer(Sgd { rate: 0.01, ..Sgd::default() });
    let plan = TrainingPlan::within(&trainer, &model, 208 * 1024)?;
    let learnt: usize = plan.steps().map(|step| step.weight_bytes / size_of::<f32>()).sum();
    println!("digit reader: {learnt} of {} parameters learn", model.parameter_count());
    println!("{}: {} bytes, {} multiply-adds a step", plan.way(), plan.peak_bytes(), plan.multiply_adds());
    let mut session = plan.session()?;
    let before = right(&mut session, images)?;
    learn(&mut session, images)?;
    let after = right(&mut session, images)?;
    println!("{before} of 100 others read right before, {after} after");
    Ok(after >= before + 30)
}

fn trainer(sgd: Sgd) -> Trainer {
    Trainer::new(sgd, Loss::SoftmaxCrossEntropy).batch_size(BATCH).isa(Isa::detect())
}

/// Learns all digits some times over. Gives a checksum of what was learnt.
fn learn(session: &mut TrainingSession<'_>, images: &mut [f32; BATCH * PIXELS]) -> Result<u64, Error> {
    let mut instructions = 0;
    for epoch in 1..=EPOCHS {
        let (batches, _) = TO_LEARN.as_chunks::<{ BATCH * DIGIT }>();
        let (mut loss, mut right) = (0.0, 0.0);
        for batch in batches {
            let labels = digits::shifted::<BATCH>(batch, images);
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
    println!("{instructions} instructions");
    // Fowler, Noll and Vo's.
    let bits = session.weights().flat_map(|(.., values)| values).map(|value| u64::from(value.to_bits()));
    Ok(bits.fold(0xcbf2_9ce4_8422_2325, |sum, bits| (sum ^ bits).wrapping_mul(0x0100_0000_01b3)))
}

/// How many of the digits that are not learnt are read right.
fn right(session: &mut TrainingSession<'_>, images: &mut [f32]) -> Result<usize, Error> {
    let (others, _) = OTHERS.as_chunks::<DIGIT>();
    let mut right = 0;
    for digit in others {
        let [label] = digits::shifted(digit, images);
        let read = argmax(session.run(&images[..PIXELS])?);
        right += usize::from(read.is_some_and(|read| read as f32 == label));
    }
    Ok(right)
}
