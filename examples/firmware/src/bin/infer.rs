//! Reads 100 digits. Model and pictures lie in flash; all that is computed lies in one arena, whose
//! size is known before the image is flashed.
#![no_std]
#![no_main]

use bantam::{
    Aligned, Conv2d, Dense, Dropout, Error, Flatten, LayerType, MaxPool2d, Relu, Softmax, include_aligned,
    layers,
};
use firmware::{Heap, digits};
use static_cell::ConstStaticCell;

firmware::program!(infer);

static MODEL: &[u8] = include_aligned!("../../data/mnist.bantam");
static DIGITS: [u8; DIGIT_COUNT * digits::DIGIT] = first(include_bytes!("../../data/digits.bin"));
/// The Cortex-M55's flash has no room for more beside the model.
const DIGIT_COUNT: usize = if cfg!(armv8m) { 80 } else { 100 };
/// No others are linked.
const LAYERS: &[&LayerType] = layers![Conv2d, Relu, MaxPool2d, Flatten, Dropout, Dense, Softmax];

/// Numbers that the plan takes: NEON reads weights that are prepared for it, which a scalar FPU does not.
const ARENA: usize = if cfg!(target_arch = "aarch64") { 838_848 } else { 31_488 } / size_of::<f32>();
static MEMORY: ConstStaticCell<Aligned<[f32; ARENA]>> = ConstStaticCell::new(Aligned([0.0; ARENA]));

#[global_allocator]
static HEAP: Heap<{ 2048 * size_of::<usize>() }> = Heap::new();

const fn first<const N: usize>(all: &[u8]) -> [u8; N] {
    let (mut some, mut i) = ([0; N], 0);
    while i < N {
        some[i] = all[i];
        i += 1;
    }
    some
}

fn infer() -> Result<bool, Error> {
    digits::read(MODEL, LAYERS, &mut MEMORY.take().0, &DIGITS, &HEAP)
}
