//! From a file's bytes to pixels of 8 bits.

use super::error::ImageError;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The channels of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Red, green and blue.
    #[default]
    Rgb,
    /// One channel, of the luma of ITU-R BT.601.
    Grey,
}

impl Color {
    /// How many there are.
    pub fn channels(self) -> usize {
        match self {
            Color::Rgb => 3,
            Color::Grey => 1,
        }
    }
}

/// Pixels row by row, channels last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub pixels: Vec<u8>,
}

/// What was lost or made up on the way from a file to [`Picture`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Converted {
    /// It is grey, and its three channels are equal.
    pub grey_to_rgb: bool,
    /// It had 16 bits a channel.
    pub to_8_bits: bool,
}

/// Decodes an image of at most `max_pixels`, of an animation the first frame. Alpha is dropped, as Pillow does.
pub(super) fn decode(
    bytes: &[u8],
    color: Color,
    max_pixels: u64,
) -> Result<(Picture, Converted), ImageError> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(ImageError::Unreadable)?;
    let format = reader.format().ok_or(ImageError::Foreign)?;
    let mut limits = Limits::default();
    // What a decoder takes for itself. A pixel has 8 bytes at the most.
    limits.max_alloc = Some(max_pixels.saturating_mul(16).saturating_add(1 << 24));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if !(1..=max_pixels).contains(&(u64::from(width) * u64::from(height))) {
        return Err(ImageError::Size { width, height, max: max_pixels });
    }
    if format == ImageFormat::Jpeg && !jpeg_ends(bytes) {
        return Err(ImageError::CutShort);
    }
    let to_8_bits = bits(decoder.original_color_type()) > 8;
    let decoded = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let grey = !decoded.color().has_color();
    let (channels, pixels) = match color {
        Color::Rgb => (3, decoded.into_rgb8().into_raw()),
        Color::Grey if grey => (1, decoded.into_luma8().into_raw()),
        Color::Grey => (1, decoded.into_rgb8().pixels().map(|pixel| luma(pixel.0)).collect()),
    };
    let converted = Converted { grey_to_rgb: grey && color == Color::Rgb, to_8_bits };
    Ok((Picture { width: width as usize, height: height as usize, channels, pixels }, converted))
}

/// What Pillow makes of a colour: the luma of ITU-R BT.601, rounded, in 16 binary places.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + (1 << 15)) >> 16) as u8
}

fn bits(color: ExtendedColorType) -> u16 {
    color.bits_per_pixel() / u16::from(color.channel_count().max(1))
}

fn damaged(error: image::ImageError) -> ImageError {
    ImageError::Damaged(error.to_string())
}

/// Whether a JPEG has its end. The decoder fills with grey what is missing, and does not say so.
fn jpeg_ends(bytes: &[u8]) -> bool {
    const MARKER: u8 = 0xFF;
    const END: u8 = 0xD9;
    const SCAN: u8 = 0xDA;
    // A thumbnail in a segment has an end too. So it is sought behind the segments.
    let mut at = 2;
    while let Some(&[marker, kind, high, low]) = bytes.get(at..at + 4) {
        match (marker, kind) {
            (MARKER, SCAN) => break,
            // Bytes between segments, or markers without one.
            (MARKER, MARKER | 0x00 | 0x01 | 0xD0..=0xD9) => at += 1,
            (MARKER, _) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
            _ => at += 1,
        }
    }
    bytes.get(at..).is_some_and(|scans| scans.windows(2).rev().any(|pair| pair == [MARKER, END]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_that_of_pillow() {
        // Image.new("RGB", (1, 1), color).convert("L").getpixel((0, 0)), Pillow 13.0.0
        for (color, grey) in [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([255, 255, 255], 255),
            ([12, 34, 56], 30),
        ] {
            assert_eq!(luma(color), grey, "{color:?}");
        }
    }
}
