//! Digits of MNIST that come with the page.

use crate::drawing::{Picture, SIDE};

/// The class, the class that the desktop read, and a byte a pixel.
const RECORD: usize = 2 + SIDE * SIDE;

/// A digit and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Digit {
    /// What it is.
    pub class: u8,
    /// Row by row: 0 is the ground and 255 is ink.
    pub pixels: &'static [u8; SIDE * SIDE],
}

impl Digit {
    /// As the model takes it.
    pub fn picture(&self) -> Picture {
        self.pixels.map(|pixel| f32::from(pixel) / 255.0)
    }
}

/// Those that nobody learns, so that they tell what is still known.
pub fn held_out() -> impl ExactSizeIterator<Item = Digit> {
    of(include_bytes!("../../firmware/data/digits.bin"))
}

/// Those that are learnt again beside new drawings.
pub fn to_learn() -> impl ExactSizeIterator<Item = Digit> + Clone {
    of(include_bytes!("../../firmware/data/digits-to-learn.bin"))
}

fn of(file: &'static [u8]) -> impl ExactSizeIterator<Item = Digit> + Clone {
    let (records, _) = file.as_chunks::<RECORD>();
    records.iter().map(|[class, _, pixels @ ..]| Digit { class: *class, pixels })
}
