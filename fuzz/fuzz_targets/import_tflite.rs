//! A file of TensorFlow Lite gives a model that runs, or an error.
#![no_main]

use bantam::{Options, Plan, Session};
use bantam_tools::import::ImportOptions;
use bantam_tools::import::tflite::from_bytes;
use libfuzzer_sys::fuzz_target;

/// What a plan may take to be run.
const ARENA: usize = 1 << 18;
const MULTIPLY_ADDS: u64 = 10_000_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(import) = from_bytes(bytes.to_vec(), &ImportOptions::new().input_size(4, 4)) else { return };
    let _ = import.report.to_string();
    let model = &import.model;
    let inputs: Vec<usize> = model.input_shapes().iter().map(|shape| shape.elements()).collect();
    let Ok(plan) = Plan::new(model, Options::new(1)) else { return };
    let small = plan.arena_len() <= ARENA
        && plan.multiply_adds() <= MULTIPLY_ADDS
        && inputs.iter().all(|&len| len <= ARENA);
    if small {
        let mut session = Session::new(model, Options::new(1)).expect("what was planned has room");
        let inputs: Vec<Vec<f32>> = inputs.iter().map(|&len| vec![0.5; len]).collect();
        let _ = session.run_all(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
});
