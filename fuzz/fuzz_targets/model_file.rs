//! No bytes make the reader of model files panic or claim memory that they do not fill, and what
//! it reads can be written and run.
#![no_main]

use bantam::{Isa, Loss, Model, Plan, RmsProp, Session, Trainer, TrainingPlan};
use libfuzzer_sys::fuzz_target;

/// Where the header keeps the file's length and checksum.
const LENGTH: std::ops::Range<usize> = 16..24;
const CHECKSUM: std::ops::Range<usize> = 24..32;

/// What a plan may take to be run.
const ARENA: usize = 1 << 18;
const MULTIPLY_ADDS: u64 = 10_000_000;
/// Of samples and of outputs: a pool, whose work is not in multiply-adds, sees no more than their product.
const NUMBERS: usize = 1 << 12;

fuzz_target!(|bytes: &[u8]| {
    let _ = Model::from_bytes(&aligned(bytes));
    // As a fuzzer does not guess a checksum, it is put right, so that the rest is reached.
    if bytes.len() >= 64 {
        let mut file = aligned(bytes);
        let len = file.len() as u64;
        file[..8].copy_from_slice(b"BANTAM\r\n");
        file[8..12].copy_from_slice(&1u32.to_le_bytes());
        file[LENGTH].copy_from_slice(&len.to_le_bytes());
        let sum = checksum(&file);
        file[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        if let Ok(model) = Model::from_bytes(&file) {
            let written = model.to_bytes().expect("what was read can be written");
            let again = Model::from_bytes(&written).expect("what was written can be read");
            // Not `==`: weights may be NaN.
            assert_eq!(written, again.to_bytes().expect("as before"));
            let trainer = Trainer::new(RmsProp::default(), Loss::MeanSquaredError).batch_size(2);
            let _ = TrainingPlan::new(&trainer, &model);
            Isa::available().for_each(|isa| run(&model, isa));
        }
    }
});

/// Plans the model, and runs it if that takes little memory and time.
fn run(model: &Model<'_>, isa: Isa) {
    let Ok(plan) = Plan::new(model, 1, isa) else { return };
    let multiply_adds = plan.layers().fold(0, |sum: u64, layer| sum.saturating_add(layer.multiply_adds));
    let samples = model.input_shape().elements();
    let numbers = plan.layers().map(|layer| layer.output.elements()).fold(samples, usize::max);
    if plan.arena_len() <= ARENA && multiply_adds <= MULTIPLY_ADDS && numbers <= NUMBERS {
        let mut session = Session::new(model, 1, isa).expect("what was planned has room");
        let _ = session.run(&vec![0.5; samples]);
    }
}

/// A copy at an address that weights can be read from.
fn aligned(bytes: &[u8]) -> Box<[u8]> {
    // The system's allocator aligns all but the smallest blocks.
    bytes.into()
}

/// The file format's checksum.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |state: u64, word: u64| (state ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let mut state = 0xcbf2_9ce4_8422_2325;
    for part in [&bytes[..CHECKSUM.start], &bytes[CHECKSUM.end..]] {
        let words = part.chunks_exact(8);
        let rest = words.remainder();
        state = words
            .fold(state, |state, word| step(state, u64::from_le_bytes(word.try_into().expect("8 bytes"))));
        state = rest.iter().fold(state, |state, &byte| step(state, byte.into()));
    }
    state
}
