//! Images that tests make for themselves.

use image::{DynamicImage, GrayImage, RgbImage};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// An image whose pixels say which it is.
pub fn picture(width: u32, height: u32, which: u8) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb([which, (x * 7) as u8, (y * 5) as u8]))
}

pub fn grey(width: u32, height: u32, level: u8) -> GrayImage {
    GrayImage::from_pixel(width, height, image::Luma([level]))
}

pub fn save(image: impl Into<DynamicImage>, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.into().save(path).unwrap();
}

/// A folder with a PNG for each of those names, of 6×4 pixels whose red is its place among them.
pub fn folder(names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (which, name) in names.iter().enumerate() {
        save(picture(6, 4, which as u8), &folder.path().join(name));
    }
    folder
}
