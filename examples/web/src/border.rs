//! The border to the page: functions that JavaScript calls, with numbers alone. Arrays lie in the module's memory, and the page
//! reads and writes them there while no call runs. A call may move them, so that the page asks for addresses after it.
//!
//! What is refused gives `false`, or a number that is said below, and a sentence in `page_text`.
//!
//! SAFETY of the names: nothing else that is linked has one that begins with `page_`.

use crate::digits;
use crate::drawing::{self, Picture, SIDE};
use crate::reader::{self, Reader};
use bantam::Error;
use std::cell::RefCell;
use std::fmt::Write;

/// Rows and columns of what is drawn on.
const CANVAS: usize = 16 * SIDE;

struct Page {
    reader: Reader<'static>,
    /// What is drawn; alpha is the ink.
    canvas: Vec<[u8; 4]>,
    picture: Picture,
    heat: Picture,
    numbers: Vec<f32>,
    file: Vec<u8>,
}

thread_local! {
    static PAGE: RefCell<Option<Page>> = const { RefCell::new(None) };
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes the reader. `page_text` then has a line for each part of `page_numbers`: name, rows, columns, channels.
#[unsafe(no_mangle)]
pub extern "C" fn page_start() -> bool {
    let page = || -> Result<Page, Error> {
        // As long as the page.
        let model = Box::leak(Box::new(reader::model()?));
        let reader = Reader::new(model)?;
        let mut lines = format!("picture {SIDE} {SIDE} 1\n");
        for (name, shape) in reader.layers() {
            let (rows, columns, channels) = match *shape.dims() {
                [rows, columns, channels] => (rows, columns, channels),
                _ => (1, 1, shape.elements()),
            };
            // A string takes all that is written to it.
            let _ = writeln!(lines, "{name} {rows} {columns} {channels}");
        }
        tell(lines);
        let canvas = vec![[0; 4]; CANVAS * CANVAS];
        let [picture, heat] = [[0.0; SIDE * SIDE]; 2];
        Ok(Page { reader, canvas, picture, heat, numbers: Vec::new(), file: Vec::new() })
    };
    match page() {
        Ok(page) => {
            PAGE.set(Some(page));
            true
        }
        Err(error) => refuse(error, false),
    }
}

/// Rows and columns of the canvas.
#[unsafe(no_mangle)]
pub extern "C" fn page_canvas_side() -> usize {
    CANVAS
}

/// The canvas: red, green, blue and alpha of each pixel, row by row.
#[unsafe(no_mangle)]
pub extern "C" fn page_canvas() -> *mut u8 {
    with(std::ptr::null_mut(), |page| Ok(page.canvas.as_flattened_mut().as_mut_ptr()))
}

/// Draws one of MNIST's digits, by its index, beginning anew behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn page_draw_sample(index: usize) -> bool {
    with(false, |page| {
        let mut digits = digits::held_out();
        let Some(digit) = digits.nth(index % digits.len()) else { return Ok(false) };
        let scale = CANVAS / SIDE;
        for (i, pixel) in page.canvas.iter_mut().enumerate() {
            *pixel = [0, 0, 0, digit.pixels[i / CANVAS / scale * SIDE + i % CANVAS / scale]];
        }
        Ok(true)
    })
}

/// Reads what is drawn: `page_numbers` has all that the reader makes of it.
#[unsafe(no_mangle)]
pub extern "C" fn page_read() -> bool {
    with(false, |page| {
        page.picture = drawing::picture(&page.canvas, CANVAS);
        page.numbers.clear();
        page.numbers.extend(page.picture);
        page.numbers.extend(page.reader.read(&page.picture)?);
        Ok(true)
    })
}

/// What was read last, or nothing.
#[unsafe(no_mangle)]
pub extern "C" fn page_numbers() -> *const f32 {
    with(std::ptr::null(), |page| Ok(page.numbers.as_ptr()))
}

/// How many numbers there are.
#[unsafe(no_mangle)]
pub extern "C" fn page_numbers_len() -> usize {
    with(0, |page| Ok(page.numbers.len()))
}

/// Where the layer of that index, among those behind the picture in `page_start`'s text, sees a digit in what was read last:
/// a number a pixel of the picture, from 0 to 1; or null.
#[unsafe(no_mangle)]
pub extern "C" fn page_heat(layer: usize, digit: usize) -> *const f32 {
    with(std::ptr::null(), |page| {
        let name = page.reader.layers().nth(layer).map_or("", |(name, _)| name);
        page.heat = page.reader.heat(&page.picture, name, digit)?;
        Ok(page.heat.as_ptr())
    })
}

/// Keeps what was read last to learn from, as that digit.
#[unsafe(no_mangle)]
pub extern "C" fn page_keep(digit: u8) -> bool {
    with(false, |page| {
        page.reader.keep(page.picture, digit);
        Ok(true)
    })
}

/// Throws away what was kept, by its index.
#[unsafe(no_mangle)]
pub extern "C" fn page_discard(index: usize) -> bool {
    with(false, |page| {
        page.reader.discard(index);
        Ok(true)
    })
}

/// Learns a step, and gives the loss before it, or a NaN.
#[unsafe(no_mangle)]
pub extern "C" fn page_learn() -> f32 {
    with(f32::NAN, |page| page.reader.learn())
}

/// Forgets what was learnt.
#[unsafe(no_mangle)]
pub extern "C" fn page_forget() -> bool {
    with(false, |page| page.reader.forget().map(|()| true))
}

/// How many of a hundred digits of MNIST are read right, or -1.
#[unsafe(no_mangle)]
pub extern "C" fn page_still_right() -> isize {
    with(-1, |page| page.reader.still_right().map(|right| right as isize))
}

/// Makes a model file with what was learnt.
#[unsafe(no_mangle)]
pub extern "C" fn page_make_file() -> bool {
    with(false, |page| {
        page.file = page.reader.file()?;
        Ok(true)
    })
}

/// The model file that was made last, or nothing.
#[unsafe(no_mangle)]
pub extern "C" fn page_file() -> *const u8 {
    with(std::ptr::null(), |page| Ok(page.file.as_ptr()))
}

/// How many bytes the file has.
#[unsafe(no_mangle)]
pub extern "C" fn page_file_len() -> usize {
    with(0, |page| Ok(page.file.len()))
}

/// What `page_start` tells, or why the last call was refused, in UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn page_text() -> *const u8 {
    TEXT.with_borrow(|text| text.as_ptr())
}

/// How many bytes the text has.
#[unsafe(no_mangle)]
pub extern "C" fn page_text_len() -> usize {
    TEXT.with_borrow(String::len)
}

fn tell(text: String) {
    TEXT.set(text);
}

fn refuse<T>(why: impl ToString, refused: T) -> T {
    tell(why.to_string());
    refused
}

fn with<T>(refused: T, work: impl FnOnce(&mut Page) -> Result<T, Error>) -> T {
    PAGE.with_borrow_mut(|page| match page.as_mut().map(work) {
        Some(Ok(done)) => done,
        Some(Err(error)) => refuse(error, refused),
        None => refuse("page_start was not called", refused),
    })
}
