//! Where a digit is seen: reads digits, and prints one beside the heat map of its class (Grad-CAM). Up to the last convolution
//! the model runs in the arena that reading alone takes; what follows is recorded on the heap, and its weights stay in flash.
#![no_std]
#![no_main]

use bantam::explain::{self, GradCam};
use bantam::{
    Aligned, Conv2d, Dense, Dropout, Error, Flatten, LayerType, MaxPool2d, Model, Options, Relu, Softmax,
    include_aligned, trainable_layers,
};
use core::fmt::{self, Write};
use firmware::digits::{DIGIT, PIXELS, SIDE};
use firmware::{Heap, board, println, stack};
use static_cell::ConstStaticCell;

firmware::program!(explain);

static MODEL: &[u8] = include_aligned!("../../data/mnist.bantam");
static DIGITS: &[u8] = include_bytes!("../../data/digits.bin");
const COUNT: usize = 20;
/// Which of them is printed.
const PRINTED: usize = 6;
const LAYERS: &[&LayerType] = trainable_layers![Conv2d, Relu, MaxPool2d, Flatten, Dropout, Dense, Softmax];
/// The last convolution's ReLU, and the bytes of its map.
const LAYER: &str = "re_lu_2";
const MAP: usize = 3 * 3 * 64 * size_of::<f32>();

/// Numbers that the plan takes, as in `infer`.
const ARENA: usize = 31_488 / size_of::<f32>();
static MEMORY: ConstStaticCell<Aligned<[f32; ARENA]>> = ConstStaticCell::new(Aligned([0.0; ARENA]));

#[global_allocator]
static HEAP: Heap<{ 16 * 1024 }> = Heap::new();

fn explain() -> Result<bool, Error> {
    let model = Model::from_bytes_with(MODEL, LAYERS)?;
    let arena = &mut MEMORY.take().0;
    let arena_bytes = size_of_val(arena);
    let mut cam = GradCam::with_arena(&model, LAYER, Options::new(1), arena)?;
    let (isa, planned) = (cam.plan().isa(), cam.plan().peak_bytes());
    let at_start = HEAP.used();
    HEAP.forget_peak();

    let (digits, _) = DIGITS.as_chunks::<DIGIT>();
    let (mut as_desktop, mut instructions, mut recorded) = (0, 0, 0);
    let mut image = [0.0; PIXELS];
    for (index, &[_, desktop, ref pixels @ ..]) in digits.iter().take(COUNT).enumerate() {
        for (x, &pixel) in image.iter_mut().zip(pixels) {
            *x = f32::from(pixel) / 255.0;
        }
        let (explained, taken) = board::instructions(|| cam.run_best(&image));
        let (class, map) = explained?;
        as_desktop += usize::from(class == desktop.into());
        instructions += taken;
        recorded = recorded.max(HEAP.peak() - at_start);
        if index == PRINTED {
            let map = explain::resized(isa, &map, [SIDE, SIDE])?;
            println!("a {class}, and where it is seen:");
            for (digit, heat) in image.chunks_exact(2 * SIDE).zip(map.data().chunks_exact(2 * SIDE)) {
                println!("{} {}", Rows(digit), Rows(heat));
            }
        }
        HEAP.forget_peak();
    }
    println!("{}, {isa}", env!("BOARD"));
    println!("{as_desktop} of {COUNT} digits read as on the desktop");
    println!("arena {arena_bytes} bytes, of which the plan takes {planned}");
    println!(
        "heap {at_start} bytes at the start, {recorded} more to explain, {MAP} of them the map's gradient"
    );
    println!("stack {} bytes at the most", stack::peak());
    println!("flash {} bytes, of which the model {}", board::flash_bytes(), MODEL.len());
    println!("{} instructions a digit", instructions / COUNT as u64);
    // The map's gradient, and less than two such maps for the steps of two dense layers and the heat.
    Ok(as_desktop == COUNT && planned == arena_bytes && recorded < 3 * MAP)
}

/// Two rows of an image as one of characters, which are about twice as high as they are wide.
struct Rows<'a>(&'a [f32]);

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHADES: &[u8] = b" .:-=+*#%@";
        let (upper, lower) = self.0.split_at(SIDE);
        upper.iter().zip(lower).try_for_each(|(upper, lower)| {
            let shade = (upper + lower) / 2.0 * SHADES.len() as f32;
            f.write_char(char::from(SHADES[(shade as usize).min(SHADES.len() - 1)]))
        })
    }
}
