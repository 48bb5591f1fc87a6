//! From a picture to one of the size that a model takes.

use super::decode::Picture;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// How pixels between pixels are made up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resampling {
    /// The pixel that is nearest, by Pillow's rule.
    Nearest,
    /// Lines between two.
    #[default]
    Bilinear,
    /// Cubic curves through four (Keys, IEEE Transactions on Acoustics, Speech, and Signal Processing 29, 1981, `a = -1/2`).
    Bicubic,
}

/// What happens to an image whose sides have another ratio than those of the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AspectRatio {
    /// It is distorted.
    #[default]
    Stretch,
    /// The largest part of that ratio around its centre is taken, as by Keras's `crop_to_aspect_ratio`.
    Crop,
    /// It is put into the middle of an image of that ratio and of this level, as by Keras's `pad_to_aspect_ratio`.
    Pad(u8),
}

/// How images become of one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Resizing {
    pub width: usize,
    pub height: usize,
    pub interpolation: Resampling,
    pub antialias: bool,
    pub aspect_ratio: AspectRatio,
}

/// A part of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// Memory that resizing needs, kept from image to image.
#[derive(Default)]
pub(super) struct Scratch {
    resizer: Resizer,
    between: Vec<u8>,
    bytes: Vec<u8>,
    numbers: Vec<f32>,
    /// An image that is not yet changed.
    pub image: Vec<f32>,
}

impl Resizing {
    /// Writes the picture in its new size, in levels from 0 to 255, `[H, W, C]`.
    ///
    /// With antialiasing it is Pillow's arithmetic, in whole levels; without, TensorFlow's, in `f32`.
    pub fn resize(&self, picture: Picture, scratch: &mut Scratch, out: &mut [f32]) {
        let (picture, part) = self.framed(picture);
        if (part.width, part.height) == (self.width, self.height) {
            for (row, out) in picture.rows_of(part).zip(out.chunks_exact_mut(self.width * picture.channels)) {
                widen(row, out);
            }
        } else if self.interpolation == Resampling::Nearest {
            self.nearest(&picture, part, out);
        } else if self.antialias {
            self.antialiased(&picture, part, scratch, out);
        } else {
            self.interpolated(&picture, part, scratch, out);
        }
    }

    /// The part of a picture that is resized.
    fn framed(&self, picture: Picture) -> (Picture, Part) {
        let Picture { width, height, channels, .. } = picture;
        let (of_width, of_height) = (width * self.height / self.width, height * self.width / self.height);
        match self.aspect_ratio {
            AspectRatio::Stretch => (picture, Part { left: 0, top: 0, width, height }),
            AspectRatio::Crop => {
                let cropped = (of_height.clamp(1, width), of_width.clamp(1, height));
                let (left, top) = ((width - cropped.0) / 2, (height - cropped.1) / 2);
                (picture, Part { left, top, width: cropped.0, height: cropped.1 })
            }
            AspectRatio::Pad(level) => {
                let (left, top) = (of_height.max(width) - width, of_width.max(height) - height);
                let (left, top) = (left / 2, top / 2);
                let (wide, high) = (width + 2 * left, height + 2 * top);
                if (wide, high) == (width, height) {
                    return (picture, Part { left: 0, top: 0, width, height });
                }
                let mut pixels = vec![level; wide * high * channels];
                let rows = pixels.chunks_exact_mut(wide * channels).skip(top);
                for (to, from) in rows.zip(picture.pixels.chunks_exact(width * channels)) {
                    to[left * channels..][..from.len()].copy_from_slice(from);
                }
                let part = Part { left: 0, top: 0, width: wide, height: high };
                (Picture { width: wide, height: high, channels, pixels }, part)
            }
        }
    }

    fn nearest(&self, picture: &Picture, part: Part, out: &mut [f32]) {
        let channels = picture.channels;
        let columns = nearest_positions(part.left, part.width, self.width);
        let rows = nearest_positions(part.top, part.height, self.height);
        for (row, out) in rows.zip(out.chunks_exact_mut(self.width * channels)) {
            let row = &picture.pixels[row * picture.width * channels..][..picture.width * channels];
            for (column, out) in columns.clone().zip(out.chunks_exact_mut(channels)) {
                widen(&row[column * channels..][..channels], out);
            }
        }
    }

    /// By a filter that is as wide as the pixels of the new size, along one axis and then the other, rounded between.
    fn antialiased(&self, picture: &Picture, part: Part, scratch: &mut Scratch, out: &mut [f32]) {
        let Scratch { resizer, between, bytes, .. } = scratch;
        let pixels = if picture.channels == 3 { PixelType::U8x3 } else { PixelType::U8 };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(self.filter())).use_alpha(false);
        let mut pass = |from: &[u8], from_size, part: Part, to: &mut Vec<u8>, to_size: (usize, usize)| {
            to.clear();
            to.resize(to_size.0 * to_size.1 * picture.channels, 0);
            let Part { left, top, width, height } = part;
            let options = options.crop(left as f64, top as f64, width as f64, height as f64);
            run(resizer, pixels, (from, from_size), (to, to_size), &options);
        };
        let size = (picture.width, picture.height);
        let ends = (self.width, self.height);
        // Pillow's rule: columns first where more than twice as many rows go as columns, of the whole picture.
        let rows = picture.height.saturating_sub(self.height);
        let columns = picture.width.saturating_sub(self.width);
        if rows > 2 * columns {
            let middle = (picture.width, self.height);
            let whole_rows = Part { left: 0, width: picture.width, ..part };
            pass(&picture.pixels, size, whole_rows, between, middle);
            pass(between, middle, Part { top: 0, height: self.height, ..part }, bytes, ends);
        } else {
            let middle = (self.width, picture.height);
            let whole_columns = Part { top: 0, height: picture.height, ..part };
            pass(&picture.pixels, size, whole_columns, between, middle);
            pass(between, middle, Part { left: 0, width: self.width, ..part }, bytes, ends);
        }
        widen(bytes, out);
    }

    /// By a filter that is as wide as the pixels of the old size.
    fn interpolated(&self, picture: &Picture, part: Part, scratch: &mut Scratch, out: &mut [f32]) {
        let Scratch { resizer, numbers, .. } = scratch;
        numbers.clear();
        picture.rows_of(part).for_each(|row| numbers.extend(row.iter().map(|&level| f32::from(level))));
        let pixels = if picture.channels == 3 { PixelType::F32x3 } else { PixelType::F32 };
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(self.filter())).use_alpha(false);
        let from = (bytemuck::cast_slice(numbers), (part.width, part.height));
        run(resizer, pixels, from, (bytemuck::cast_slice_mut(out), (self.width, self.height)), &options);
    }

    fn filter(&self) -> FilterType {
        match self.interpolation {
            Resampling::Bicubic => FilterType::CatmullRom,
            Resampling::Nearest | Resampling::Bilinear => FilterType::Bilinear,
        }
    }
}

impl Picture {
    fn rows_of(&self, part: Part) -> impl Iterator<Item = &[u8]> {
        let rows = self.pixels.chunks_exact(self.width * self.channels).skip(part.top).take(part.height);
        rows.map(move |row| &row[part.left * self.channels..][..part.width * self.channels])
    }
}

/// Which of `from` pixels each of `to` is. Pillow adds the step up, so that rounding may lead to a neighbour.
fn nearest_positions(first: usize, from: usize, to: usize) -> impl Iterator<Item = usize> + Clone {
    let step = from as f64 / to as f64;
    let last = first + from - 1;
    let positions = std::iter::successors(Some(first as f64 + step * 0.5), move |at| Some(at + step));
    positions.take(to).map(move |at| (at as usize).min(last))
}

fn widen(levels: &[u8], out: &mut [f32]) {
    out.iter_mut().zip(levels).for_each(|(out, &level)| *out = f32::from(level));
}

/// Resizes bytes of an image of some columns and rows.
fn run(
    resizer: &mut Resizer,
    pixels: PixelType,
    (from, from_size): (&[u8], (usize, usize)),
    (to, to_size): (&mut [u8], (usize, usize)),
    options: &ResizeOptions,
) {
    let size = |(width, height)| (width as u32, height as u32);
    let ((width, height), (to_width, to_height)) = (size(from_size), size(to_size));
    let from = ImageRef::new(width, height, from, pixels).expect("a whole image");
    let mut to = Image::from_slice_u8(to_width, to_height, to, pixels).expect("memory for an image");
    resizer.resize(&from, &mut to, options).expect("a part of the image, and pixels of one type");
}
