//! Reads 100 digits. Model and pictures lie in flash; all that is computed lies in one arena, whose
//! size is known before the image is flashed.
#![no_std]
#![no_main]

use bantam::{
    Aligned, Conv2d, Dense, Dropout, Error, Flatten, MaxPool2d, Model, Options, Relu, Session, Softmax,
    argmax, include_aligned, layers,
};
use firmware::{Heap, board, println, stack};
use static_cell::ConstStaticCell;

firmware::program!(infer);

static MODEL: &[u8] = include_aligned!("../../data/mnist.bantam");
/// Each digit's class, the class that the desktop read, and the pixels.
static DIGITS: [u8; DIGIT_COUNT * (2 + PIXELS)] = first(include_bytes!("../../data/digits.bin"));
/// The Cortex-M55's flash has no room for more beside the model.
const DIGIT_COUNT: usize = if cfg!(armv8m) { 80 } else { 100 };
const PIXELS: usize = 28 * 28;
/// No others are linked.
const LAYERS: &[&bantam::LayerType] = layers![Conv2d, Relu, MaxPool2d, Flatten, Dropout, Dense, Softmax];

/// Numbers that the plan takes: NEON reads weights that are prepared for it, which a scalar FPU does not.
const ARENA: usize = if cfg!(target_arch = "aarch64") { 838_976 } else { 31_488 } / size_of::<f32>();
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
    let model = Model::from_bytes_with(MODEL, LAYERS)?;
    let arena = &mut MEMORY.take().0;
    let arena_bytes = size_of_val(arena);
    let mut session = Session::with_arena(&model, Options::new(1), arena)?;
    if session.plan().peak_bytes() != arena_bytes {
        println!("the plan takes {} bytes of the arena alone", session.plan().peak_bytes());
    }
    let multiply_adds = session.plan().multiply_adds() as u32;
    let at_start = HEAP.used();
    HEAP.forget_peak();

    let (digits, _) = DIGITS.as_chunks::<{ 2 + PIXELS }>();
    let (mut right, mut as_desktop, mut instructions) = (0, 0, 0);
    let mut image = [0.0; PIXELS];
    for &[class, desktop, ref pixels @ ..] in digits {
        for (x, &pixel) in image.iter_mut().zip(pixels) {
            *x = f32::from(pixel) / 255.0;
        }
        let (output, taken) = board::instructions(|| session.run(&image));
        let read = argmax(output?);
        right += usize::from(read == Some(class.into()));
        as_desktop += usize::from(read == Some(desktop.into()));
        instructions += taken;
    }

    let count = digits.len();
    // Small enough for 32 bits, which take less code to divide and to print.
    let instructions = u32::try_from(instructions).unwrap_or(u32::MAX) / count as u32;
    let hundredths = (100 * instructions).div_ceil(multiply_adds);
    println!("{}, {}", env!("BOARD"), session.plan().isa());
    println!("{right} of {count} digits read right, {as_desktop} as on the desktop");
    println!("arena {arena_bytes} bytes");
    println!("heap {at_start} bytes at the start, {} more later", HEAP.peak() - at_start);
    println!("stack {} bytes at the most", stack::peak());
    println!("flash {} bytes, of which the model {}", board::flash_bytes(), MODEL.len());
    println!("{instructions} instructions an inference");
    println!("{}.{:02} for each of {multiply_adds} multiply-adds", hundredths / 100, hundredths % 100);
    Ok(as_desktop == count && count > 0)
}
