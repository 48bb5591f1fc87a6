//! No bytes make the reader of model files panic or claim memory that they do not fill, and what
//! it reads can be written and run.
#![no_main]

use bantam::{Isa, Loss, Model, Options, Plan, RmsProp, Session, Trainer, TrainingPlan};
use libfuzzer_sys::fuzz_target;

/// Where the header keeps the file's length and checksum, and its end.
const LENGTH: std::ops::Range<usize> = 16..24;
const CHECKSUM: std::ops::Range<usize> = 24..32;
const HEADER: usize = 64;

/// What a plan may take to be run.
const ARENA: usize = 1 << 18;
const MULTIPLY_ADDS: u64 = 10_000_000;
/// Of samples and of outputs: a pool, whose work is not in multiply-adds, sees no more than their product.
const NUMBERS: usize = 1 << 12;

fuzz_target!(|bytes: &[u8]| {
    let _ = Model::from_bytes(&aligned(bytes));
    // As a fuzzer does not guess a length or checksum, they are put right, so that the rest is reached.
    if bytes.len() >= 64 {
        let mut file = aligned(bytes).into_vec();
        file.resize(bytes.len().next_multiple_of(HEADER), 0);
        let len = file.len() as u64;
        file[..8].copy_from_slice(b"BANTAM\r\n");
        if file[8] != 1 {
            file[8] = 2;
        }
        file[9..12].fill(0);
        file[LENGTH].copy_from_slice(&len.to_le_bytes());
        let sum = checksum(&file);
        file[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        if let Ok(model) = Model::from_bytes(&file) {
            let written = model.to_bytes().expect("what was read can be written");
            let again = Model::from_bytes(&written).expect("what was written can be read");
            // Not `==`: weights may be NaN.
            assert_eq!(written, again.to_bytes().expect("as before"));
            let _ = (model.metadata(), model.summary().to_string(), model.to_dot().to_string());
            let trainer = Trainer::new(RmsProp::default(), Loss::MeanSquaredError).batch_size(2);
            let _ = TrainingPlan::new(&trainer, &model);
            Isa::available().for_each(|isa| run(&model, isa));
        }
    }
});

/// Plans the model, and runs it if that takes little memory and time.
fn run(model: &Model<'_>, isa: Isa) {
    let Ok(plan) = Plan::new(model, Options::new(1).isa(isa)) else { return };
    let multiply_adds = plan.steps().fold(0, |sum: u64, layer| sum.saturating_add(layer.multiply_adds));
    let samples: Vec<usize> = model.input_shapes().iter().map(|shape| shape.elements()).collect();
    let most = samples.iter().fold(0usize, |sum, &len| sum.saturating_add(len));
    let numbers = plan.steps().map(|layer| layer.output.elements()).fold(most, usize::max);
    if plan.arena_len() <= ARENA && multiply_adds <= MULTIPLY_ADDS && numbers <= NUMBERS {
        let mut session = Session::new(model, Options::new(1).isa(isa)).expect("what was planned has room");
        let inputs: Vec<Vec<f32>> = samples.iter().map(|&len| vec![0.5; len]).collect();
        let _ = session.run_all(&inputs.iter().map(|input| &input[..]).collect::<Vec<_>>());
    }
}

/// A copy at an address that weights can be read from.
fn aligned(bytes: &[u8]) -> Box<[u8]> {
    // The system's allocator aligns all but the smallest blocks.
    bytes.into()
}

/// The file format's checksum: FNV-1a over words, from version 2 on in four sums behind the header, as long as there is no
/// more than a megabyte.
fn checksum(file: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let words = |bytes: &[u8]| -> Vec<u64> {
        let (words, _) = bytes.as_chunks::<8>();
        words.iter().map(|&word| u64::from_le_bytes(word)).collect()
    };
    let header = [&file[..CHECKSUM.start], &file[CHECKSUM.end..HEADER]].concat();
    let header = words(&header).into_iter().fold(BASIS, step);
    let body = words(&file[HEADER..]);
    if file[8] == 1 {
        return body.into_iter().fold(header, step);
    }
    let lane = |lane: usize, start| body.iter().copied().skip(lane).step_by(4).fold(start, step);
    (1..4).map(|i| lane(i, BASIS)).fold(lane(0, header), step)
}
