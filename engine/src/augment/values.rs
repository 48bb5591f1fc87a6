//! What changes values and moves no pixel.

use super::{Augmentation, Convention, Transform};

/// Channels whose means are summed side by side.
const CHANNELS: usize = 8;

impl Augmentation {
    /// Changes the values of an image.
    pub(super) fn change_values(&self, drawn: &Transform, shape: [usize; 3], image: &mut [f32]) {
        if drawn.channel_shift != 0.0 {
            let range = image.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[least, most], &value| {
                [if value < least { value } else { least }, if value > most { value } else { most }]
            });
            scale_shift(image, 1.0, drawn.channel_shift, range);
        }
        let [least, most] = self.value_range;
        match self.convention {
            Convention::ImageDataGenerator if drawn.brightness != 1.0 => {
                scale_shift(image, drawn.brightness, least * (1.0 - drawn.brightness), self.value_range);
            }
            Convention::Layers if drawn.brightness != 0.0 => {
                scale_shift(image, 1.0, drawn.brightness * (most - least), self.value_range);
            }
            _ => {}
        }
        if drawn.contrast != 1.0 {
            self.change_contrast(drawn.contrast, shape, image);
        }
        if let Some(([height, width], value)) = self.cutout {
            let [rows, columns, channels] = shape;
            let part = |middle: usize, size: usize, of: usize| {
                // From the middle half of it to either side.
                let before = middle.min(size / 2);
                middle - before..of.min(middle + (size - size / 2))
            };
            let (rows, across) = (part(drawn.cutout[0], height, rows), part(drawn.cutout[1], width, columns));
            for row in rows {
                let row = &mut image[row * columns * channels..];
                row[across.start * channels..across.end * channels].fill(value);
            }
        }
    }

    /// Multiplies distances from the means of channels.
    fn change_contrast(&self, factor: f32, [rows, columns, channels]: [usize; 3], image: &mut [f32]) {
        let pixels = (rows * columns) as f32;
        for first in (0..channels).step_by(CHANNELS) {
            let count = CHANNELS.min(channels - first);
            let mut sums = [0.0; CHANNELS];
            for row in image.chunks_exact(columns * channels) {
                // A sum of sums of rows: errors do not grow with the size of the image.
                let mut row_sums = [0.0; CHANNELS];
                for pixel in row.chunks_exact(channels) {
                    for (sum, value) in row_sums.iter_mut().zip(&pixel[first..first + count]) {
                        *sum += value;
                    }
                }
                for (sum, row) in sums.iter_mut().zip(row_sums) {
                    *sum += row;
                }
            }
            for pixel in image.chunks_exact_mut(channels) {
                for (value, sum) in pixel[first..first + count].iter_mut().zip(sums) {
                    let mean = sum / pixels;
                    *value = clip((*value - mean) * factor + mean, self.value_range);
                }
            }
        }
    }
}

/// Values times a factor, plus a term, clipped to a range.
fn scale_shift(image: &mut [f32], factor: f32, term: f32, range: [f32; 2]) {
    for value in image {
        *value = clip(*value * factor + term, range);
    }
}

/// The nearest number of a range; NaN stays.
fn clip(value: f32, [least, most]: [f32; 2]) -> f32 {
    let value = if value < least { least } else { value };
    if value > most { most } else { value }
}
