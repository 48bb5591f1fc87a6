//! What programs that read digits share: a model and pictures in flash, one arena, and the figures that are printed.

use crate::{Heap, board, println, stack};
use bantam::{Error, LayerType, Model, Options, Session, argmax};

/// Rows and columns of a digit.
pub const SIDE: usize = 28;
/// Pixels of a digit.
pub const PIXELS: usize = SIDE * SIDE;
/// Bytes of a digit in a file: its class, the class that the desktop read, and the pixels.
pub const DIGIT: usize = 2 + PIXELS;

/// Reads digits one by one and prints how many are right and what that took. Says whether all are read as on the
/// desktop.
///
/// # Errors
/// The model is none of these layers, or needs another arena.
pub fn read<const BYTES: usize>(
    model: &[u8],
    layers: &[&'static LayerType],
    arena: &mut [f32],
    digits: &[u8],
    heap: &Heap<BYTES>,
) -> Result<bool, Error> {
    let (model_bytes, arena_bytes) = (model.len(), size_of_val(arena));
    let model = Model::from_bytes_with(model, layers)?;
    let mut session = Session::with_arena(&model, Options::new(1), arena)?;
    if session.plan().peak_bytes() != arena_bytes {
        println!("the plan takes {} bytes of the arena alone", session.plan().peak_bytes());
    }
    let multiply_adds = session.plan().multiply_adds() as u32;
    let at_start = heap.used();
    heap.forget_peak();

    let (digits, _) = digits.as_chunks::<DIGIT>();
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
    println!("heap {at_start} bytes at the start, {} more later", heap.peak() - at_start);
    println!("stack {} bytes at the most", stack::peak());
    println!("flash {} bytes, of which the model {model_bytes}", board::flash_bytes());
    println!("{instructions} instructions an inference");
    println!("{}.{:02} for each of {multiply_adds} multiply-adds", hundredths / 100, hundredths % 100);
    Ok(as_desktop == count && count > 0)
}

/// So many digits as a model that was trained on the desktop has never seen them: two rows lower and three columns to the
/// right, dark on light. Gives their classes.
pub fn shifted<const N: usize>(digits: &[u8], images: &mut [f32]) -> [f32; N] {
    let mut labels = [0.0; N];
    let (digits, _) = digits.as_chunks::<DIGIT>();
    for ((&[class, _, ref pixels @ ..], image), label) in
        digits.iter().zip(images.chunks_exact_mut(PIXELS)).zip(&mut labels)
    {
        image.fill(1.0);
        for (row, pixels) in image.chunks_exact_mut(SIDE).skip(2).zip(pixels.chunks_exact(SIDE)) {
            for (x, &pixel) in row[3..].iter_mut().zip(pixels) {
                *x = 1.0 - f32::from(pixel) / 255.0;
            }
        }
        *label = class.into();
    }
    labels
}
