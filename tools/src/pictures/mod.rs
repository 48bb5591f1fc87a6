//! Pictures of how a training went, what a model takes for what, what it sees, and where its time goes.

mod chart;
pub mod confusion;
pub mod curves;
mod fine;
pub mod heat_map;
pub mod sheet;
pub mod times;

pub use chart::Chart;
pub use image::RgbImage;

use crate::Failure;
use bantam::AtomicFile;
use image::ImageFormat;
use std::io::Cursor;
use std::path::Path;

/// Writes an image as PNG, as a whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn save(image: &RgbImage, path: impl AsRef<Path>) -> Result<(), Failure> {
    write(path.as_ref(), &png(image)?)
}

fn png(image: &RgbImage) -> Result<Vec<u8>, Failure> {
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = AtomicFile::create(path)?;
    file.write(bytes)?;
    Ok(file.commit()?)
}

/// A level from 0 to 255.
fn level(number: f32) -> u8 {
    // NaN becomes 0.
    number.round().clamp(0.0, 255.0) as u8
}
