//! Many small images in one.

use super::level;
use image::{Rgb, RgbImage};
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};

/// Tiles of one size, in rows, on white.
#[derive(Clone, Debug)]
pub struct Sheet {
    image: RgbImage,
    tile: [usize; 2],
    columns: usize,
    next: usize,
}

/// Pixels between tiles.
const GAP: usize = 2;

impl Sheet {
    /// A sheet for so many tiles of `[height, width]` pixels.
    ///
    /// # Panics
    /// There is no column, or the sheet has 2³² pixels in a row or column.
    pub fn new(tiles: usize, columns: usize, tile: [usize; 2]) -> Sheet {
        let side = |tiles: usize, pixels: usize| {
            u32::try_from(tiles * (pixels + GAP) + GAP).expect("a sheet of less than 2^32 pixels a side")
        };
        let size = [side(tiles.div_ceil(columns), tile[0]), side(columns, tile[1])];
        let image = RgbImage::from_pixel(size[1], size[0], Rgb([255; 3]));
        Sheet { image, tile, columns, next: 0 }
    }

    /// The next tile, from levels of 0 to 255, `[height, width, 3]`, or `[height, width, 1]` in grey.
    ///
    /// # Panics
    /// There is no place for another, or it has another number of pixels.
    pub fn push(&mut self, levels: &[f32]) {
        let pixels = self.tile[0] * self.tile[1];
        let channels = levels.len() / pixels;
        assert!(levels.len() == channels * pixels && [1, 3].contains(&channels), "a tile's pixels");
        self.put(|at| {
            let pixel = &levels[at * channels..];
            Rgb([pixel[0], pixel[channels / 2], pixel[channels - 1]].map(level))
        });
    }

    /// The next tile, from numbers of any size, `[height, width, 3]` or `[height, width, 1]`: grey where they are as their mean, and
    /// a tenth of all levels lighter for each standard deviation, as *Deep Learning with Python* draws patterns.
    ///
    /// # Panics
    /// As [`push`](Self::push).
    pub fn push_pattern(&mut self, pattern: &[f32]) {
        self.push(&standardised(pattern, 25.5));
    }

    /// The next tile, from numbers of any size, `[height, width]`: dark and blue where they are below their mean, light and yellow
    /// above, with 64 levels for a standard deviation, as in *Deep Learning with Python*. A map that is all one number is dark.
    ///
    /// # Panics
    /// As [`push`](Self::push).
    pub fn push_map(&mut self, map: &[f32]) {
        let levels = standardised(map, 64.0);
        self.put(|at| {
            let color = ViridisRGB.get_color(f32::from(level(levels[at])) / 255.0);
            Rgb([color.0, color.1, color.2])
        });
    }

    fn put(&mut self, pixel: impl Fn(usize) -> Rgb<u8>) {
        let [height, width] = self.tile;
        let (left, top) =
            (self.next % self.columns * (width + GAP) + GAP, self.next / self.columns * (height + GAP) + GAP);
        for at in 0..height * width {
            self.image.put_pixel((left + at % width) as u32, (top + at / width) as u32, pixel(at));
        }
        self.next += 1;
    }

    /// The sheet, each of its pixels as a square of so many a side.
    pub fn magnified(self, times: u32) -> RgbImage {
        let (width, height) = self.image.dimensions();
        RgbImage::from_fn(width * times, height * times, |x, y| *self.image.get_pixel(x / times, y / times))
    }

    /// The sheet.
    pub fn into_image(self) -> RgbImage {
        self.image
    }
}

/// Numbers as levels around 128, so many for a standard deviation. All the same become 0.
fn standardised(map: &[f32], levels: f64) -> Vec<f32> {
    let len = map.len() as f64;
    let mean = map.iter().map(|&x| f64::from(x)).sum::<f64>() / len;
    let variance = map.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / len;
    if variance == 0.0 {
        return vec![0.0; map.len()];
    }
    map.iter().map(|&x| ((f64::from(x) - mean) / variance.sqrt() * levels + 128.0) as f32).collect()
}

/// An image `[H, W, C]` with each pixel as a square of so many a side.
///
/// # Panics
/// `image` has another length.
pub fn magnified(image: &[f32], [height, width, channels]: [usize; 3], times: usize) -> Vec<f32> {
    assert_eq!(image.len(), height * width * channels, "[H, W, C]");
    let mut large = Vec::with_capacity(image.len() * times * times);
    for row in 0..height * times {
        for column in 0..width * times {
            let pixel = (row / times * width + column / times) * channels;
            large.extend_from_slice(&image[pixel..pixel + channels]);
        }
    }
    large
}

/// What a layer gives for one image, `[H, W, C]`: a tile for each channel.
///
/// # Panics
/// `maps` has another length.
pub fn activations(maps: &[f32], [height, width, channels]: [usize; 3], columns: usize) -> Sheet {
    assert_eq!(maps.len(), height * width * channels, "[H, W, C]");
    let mut sheet = Sheet::new(channels, columns.min(channels.max(1)), [height, width]);
    for channel in 0..channels {
        let map: Vec<f32> = maps.iter().skip(channel).step_by(channels).copied().collect();
        sheet.push_map(&map);
    }
    sheet
}

/// The windows of a convolution's weights, `[KH, KW, Cin, Cout]`: a tile for each filter in colour, if there are three
/// channels, else a tile for each filter's channel. Grey is 0, and the largest weight of the tile white or black.
///
/// # Panics
/// `weights` has another length.
pub fn filters(weights: &[f32], [rows, columns, from, to]: [usize; 4], across: usize) -> Sheet {
    assert_eq!(weights.len(), rows * columns * from * to, "[KH, KW, Cin, Cout]");
    let (tiles, channels) = if from == 3 { (to, 3) } else { (from * to, 1) };
    let mut sheet = Sheet::new(tiles, across.min(tiles.max(1)), [rows, columns]);
    for tile in 0..tiles {
        let (filter, first) = (tile % to, tile / to);
        let weight = |at: usize| weights[(at / channels * from + first + at % channels) * to + filter];
        let tile: Vec<f32> = (0..rows * columns * channels).map(weight).collect();
        let largest = tile.iter().fold(f32::MIN_POSITIVE, |largest, weight| largest.max(weight.abs()));
        sheet.push(&tile.iter().map(|weight| 127.5 + 127.5 * weight / largest).collect::<Vec<_>>());
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_where_they_belong() {
        let mut sheet = Sheet::new(3, 2, [1, 2]);
        sheet.push(&[0.0, 10.4]);
        sheet.push(&[1.0, 2.0, 3.0, -5.0, 300.0, 6.0]);
        sheet.push_map(&[7.0, 7.0]);
        let image = sheet.into_image();
        assert_eq!(image.dimensions(), (10, 8));
        let at = |x, y| image.get_pixel(x, y).0;
        assert_eq!([at(2, 2), at(3, 2), at(4, 2)], [[0; 3], [10; 3], [255; 3]]);
        assert_eq!([at(6, 2), at(7, 2)], [[1, 2, 3], [0, 255, 6]]);
        let dark = ViridisRGB.get_color(0.0);
        assert_eq!([at(2, 5), at(6, 5)], [[dark.0, dark.1, dark.2], [255; 3]]);
    }

    #[test]
    fn a_map_is_drawn_around_its_mean() {
        // Mean 2, standard deviation 2.
        assert_eq!(standardised(&[0.0, 4.0], 64.0), [64.0, 192.0]);
        assert_eq!(standardised(&[3.0, 3.0], 64.0), [0.0, 0.0]);
    }

    #[test]
    fn filters_are_parted_by_channel_or_coloured() {
        // [1, 2, 2, 2]: tiles are those of channel 0, then of channel 1.
        let weights = [1.0, -2.0, 0.5, 1.0, -0.5, 2.0, 0.25, -1.0];
        let image = filters(&weights, [1, 2, 2, 2], 4).into_image();
        let row: Vec<u8> = [2, 3, 6, 7, 10, 11, 14, 15].iter().map(|&x| image.get_pixel(x, 2).0[0]).collect();
        assert_eq!(row, [255, 64, 0, 255, 255, 191, 255, 0]);
        // [1, 1, 3, 1].
        let image = filters(&[1.0, 0.0, -1.0], [1, 1, 3, 1], 4).into_image();
        assert_eq!(image.get_pixel(2, 2).0, [255, 128, 0]);
    }
}
