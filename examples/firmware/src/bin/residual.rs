//! Reads 100 digits with a residual net: depthwise convolutions, sums, maps beside each other, and a global average.
//! It was trained with batch normalisations, which were folded into the convolutions before the file was written.
//! For the boards with a scalar FPU.
#![no_std]
#![no_main]

use bantam::{
    Add, Aligned, Concatenate, Conv2d, Dense, DepthwiseConv2d, Error, GlobalAveragePool2d, LayerType,
    MaxPool2d, Relu, Softmax, include_aligned, layers,
};
use firmware::{Heap, digits};
use static_cell::ConstStaticCell;

firmware::program!(residual);

static MODEL: &[u8] = include_aligned!("../../data/residual/mnist.bantam");
static DIGITS: &[u8] = include_bytes!("../../data/residual/digits.bin");
/// No others are linked.
const LAYERS: &[&LayerType] =
    layers![Add, Concatenate, Conv2d, Dense, DepthwiseConv2d, GlobalAveragePool2d, MaxPool2d, Relu, Softmax];

/// Numbers that the plan takes.
const ARENA: usize = 75264 / size_of::<f32>();
static MEMORY: ConstStaticCell<Aligned<[f32; ARENA]>> = ConstStaticCell::new(Aligned([0.0; ARENA]));

#[global_allocator]
static HEAP: Heap<{ 12 * 1024 }> = Heap::new();

fn residual() -> Result<bool, Error> {
    digits::read(MODEL, LAYERS, &mut MEMORY.take().0, DIGITS, &HEAP)
}
