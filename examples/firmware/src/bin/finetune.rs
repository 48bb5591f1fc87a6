//! Learns on the chip. The digits are shifted and dark on light, and the model has never seen such: its
//! convolutions stay in flash, its two dense layers learn from 200 of them in RAM, and what they learnt
//! goes to flash, where a power cut cannot hurt it.
#![no_std]
#![no_main]

use bantam::{
    Aligned, Conv2d, Dense, Dropout, Error, Flatten, Isa, Loss, MaxPool2d, Model, Relu, Sgd, Slots, Softmax,
    Trainer, TrainingPlan, TrainingSession, argmax, include_aligned, trainable_layers,
};
use embedded_storage::nor_flash::ReadNorFlash;
use firmware::digits::{self, DIGIT, PIXELS};
use firmware::flash::Flash;
use firmware::{Heap, board, println, stack};
use static_cell::ConstStaticCell;

firmware::program!(finetune);

static MODEL: &[u8] = include_aligned!("../../data/mnist.bantam");
/// Each digit's class, the class that the desktop read, and the pixels.
static TO_LEARN: &[u8] = include_bytes!("../../data/digits-to-learn.bin");
static OTHERS: &[u8] = include_bytes!("../../data/digits.bin");

const EPOCHS: usize = 5;
const BATCH: usize = 8;
const ARENA: usize = 200_256 / size_of::<f32>();
static MEMORY: ConstStaticCell<Aligned<[f32; ARENA]>> = ConstStaticCell::new(Aligned([0.0; ARENA]));
static IMAGES: ConstStaticCell<[f32; BATCH * PIXELS]> = ConstStaticCell::new([0.0; BATCH * PIXELS]);

#[global_allocator]
static HEAP: Heap<{ 12 * 1024 }> = Heap::new();

fn finetune() -> Result<bool, Error> {
    let mut model = Model::from_bytes_with(
        MODEL,
        trainable_layers![Conv2d, Relu, MaxPool2d, Flatten, Dropout, Dense, Softmax],
    )?;
    for name in ["conv2d", "conv2d_1", "conv2d_2"] {
        model.set_trainable(name, false)?;
    }
    let sgd = Sgd { rate: 0.05, ..Sgd::default() };
    let trainer = Trainer::new(sgd, Loss::SoftmaxCrossEntropy).batch_size(BATCH).isa(Isa::detect());
    let planned = TrainingPlan::new(&trainer, &model)?.peak_bytes();
    println!("{}: the plan takes an arena of {planned} bytes", env!("BOARD"));

    let arena = &mut MEMORY.take().0;
    let images = IMAGES.take();
    arena.fill(PAINT);
    let mut session = TrainingSession::with_arena(&trainer, &model, arena)?;
    let at_start = HEAP.used();
    HEAP.forget_peak();
    let before = right(&mut session, images)?;
    println!("{before} of 100 digits read right before");
    let (mut losses, mut instructions) = ([0; EPOCHS], 0);
    for loss in &mut losses {
        let (batches, _) = TO_LEARN.as_chunks::<{ BATCH * DIGIT }>();
        let mut sum = 0.0;
        for batch in batches {
            let labels = digits::shifted::<BATCH>(batch, images);
            let (learnt, taken) = board::instructions(|| session.step(images, &labels));
            sum += learnt?.loss;
            instructions += taken;
        }
        // Printing numbers with a point would cost 14 KiB of flash.
        *loss = (1000.0 * sum / batches.len() as f32) as usize;
        println!("loss {loss:4}/1000 {}", &BAR[..3 * (*loss / 40).clamp(1, BAR.len() / 3)]);
    }
    let after = right(&mut session, images)?;
    println!("{after} of 100 digits read right after {EPOCHS} epochs of 200 others");
    println!("heap {at_start} bytes at the start, {} more later", HEAP.peak() - at_start);

    let Some(cuts) = survive(&session)? else {
        println!("a power cut lost what was learnt");
        return Ok(false);
    };
    println!("power cut at each of {cuts} writes: one whole version was there each time");
    drop(session);
    let used = arena.iter().rposition(|x| x.to_bits() != PAINT.to_bits()).map_or(0, |last| 4 * (last + 1));
    println!("arena {used} bytes used of {planned}");
    let mut session = TrainingSession::with_arena(&trainer, &model, arena)?;
    let version = slots(Flash::new())?.load(&mut session)?;
    let again = right(&mut session, images)?;
    println!("{again} of 100 read right by version {} from flash", version.unwrap_or(0));

    println!("stack {} bytes at the most", stack::peak());
    println!("flash {} bytes, of which the model {}", board::flash_bytes(), MODEL.len());
    let learnt = EPOCHS * TO_LEARN.len() / DIGIT;
    println!("{} instructions a digit learnt", instructions / learnt as u64);
    let as_planned = used.next_multiple_of(LINE) == planned;
    let learnt = after >= before + 30 && losses[EPOCHS - 1] < losses[0];
    Ok(as_planned && learnt && again == after)
}

/// A plan counts whole cache lines.
const LINE: usize = 64;
const PAINT: f32 = f32::from_bits(0x7fc0_beef);
const BAR: &str = "████████████████████████████████████████";

fn slots(flash: Flash) -> Result<Slots<Flash>, Error> {
    let all = 0..flash.capacity() as u32;
    Slots::new(flash, all)
}

/// How many of the digits that are not learnt are read right.
fn right(session: &mut TrainingSession<'_>, images: &mut [f32]) -> Result<usize, Error> {
    let (others, _) = OTHERS.as_chunks::<DIGIT>();
    let mut right = 0;
    for digit in others {
        let [label] = digits::shifted(digit, images);
        right +=
            usize::from(argmax(session.run(&images[..PIXELS])?).is_some_and(|read| read as f32 == label));
    }
    Ok(right)
}

/// Saves what was learnt, then again with the power cut at each write, and at last as a whole. Gives the
/// number of cuts, if none lost anything.
fn survive(session: &TrainingSession<'_>) -> Result<Option<usize>, Error> {
    slots(Flash::new())?.save(session)?;
    let mut cuts = 0;
    loop {
        let saved = slots(Flash::with_power(cuts))?.save(session);
        let newest = slots(Flash::new())?.version(session)?;
        match saved {
            Ok(version) if newest == Some(version) => return Ok(Some(cuts)),
            Err(_) if newest == Some(1) => cuts += 1,
            _ => return Ok(None),
        }
    }
}
