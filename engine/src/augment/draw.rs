//! What is drawn for an image.

use super::Augmentation;
use crate::error::Error;
use core::f32::consts::PI;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What was drawn for one image. Pairs are of the vertical and the horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// Degrees, counter-clockwise.
    pub rotation: f32,
    /// Pixels, down and to the right.
    pub shift: [f32; 2],
    /// How far along an axis each pixel along the other is moved.
    pub shear: [f32; 2],
    /// Distance of pixels in the image.
    pub zoom: [f32; 2],
    /// Upside down, and left to right.
    pub flip: [bool; 2],
    /// Row and column of the image where the part that is cropped begins.
    pub crop: [usize; 2],
    /// Added to all channels.
    pub channel_shift: f32,
    /// What is multiplied or, of [`layers`](Augmentation::layers), added in shares of the range of values.
    pub brightness: f32,
    /// By which distances from a channel's mean are multiplied.
    pub contrast: f32,
    /// Row and column, in the output, of the middle of what is cut out.
    pub cutout: [usize; 2],
}

impl Augmentation {
    /// What is drawn from a seed for an image `[H, W, C]`.
    ///
    /// # Errors
    /// As [`output_shape`](Augmentation::output_shape).
    pub fn draw(&self, seed: u64, shape: [usize; 3]) -> Result<Transform, Error> {
        let output = self.output_shape(shape)?;
        let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));
        let rotation = self.rotation.at(random.share());
        let mut shift = [0.0; 2];
        for (axis, shift) in shift.iter_mut().enumerate() {
            let share = self.shift[axis].at(random.share());
            *shift = share * shape[axis] as f32 + self.shift_pixels[axis].at(random.share());
        }
        let (sin, cos) = sin_cos(self.shear.at(random.share()));
        // The shear of an angle is one by a slope, and a zoom.
        let shear = [self.shear_y.at(random.share()), self.shear_x.at(random.share()) - sin / cos];
        let shares = [random.share(), random.share()];
        let horizontal = self.zoom[1].at(if self.zoom_together { shares[0] } else { shares[1] });
        let zoom = [self.zoom[0].at(shares[0]) * cos, horizontal];
        let flip = self.flips.map(|flips| random.share() < 0.5 && flips);
        let crop = [random.below(shape[0] - output[0] + 1), random.below(shape[1] - output[1] + 1)];
        Ok(Transform {
            rotation,
            shift,
            shear,
            zoom,
            flip,
            crop,
            channel_shift: self.channel_shift.at(random.share()),
            brightness: self.brightness.at(random.share()),
            contrast: self.contrast.at(random.share()),
            cutout: [random.below(output[0]), random.below(output[1])],
        })
    }
}

impl Transform {
    /// The map from pixels of the output to those of an image `[H, W, C]`.
    pub(super) fn matrix(&self, [height, width, _]: [usize; 3]) -> [[f32; 3]; 2] {
        let centre = [(height - 1) as f32 * 0.5, (width - 1) as f32 * 0.5];
        let (sin, cos) = sin_cos(self.rotation);
        let rotation = [[cos, sin], [-sin, cos]];
        let mut step = self.zoom;
        let mut start = [0.0; 2];
        for axis in 0..2 {
            // Of a mirrored image coordinates are counted from its other end.
            step[axis] = if self.flip[axis] { -step[axis] } else { step[axis] };
            start[axis] = self.crop[axis] as f32 - centre[axis];
        }
        let sheared = [[step[0], self.shear[0] * step[1]], [self.shear[1] * step[0], step[1]]];
        let mut matrix = [[0.0; 3]; 2];
        for (axis, line) in matrix.iter_mut().enumerate() {
            let [a, b] = rotation[axis];
            line[0] = a * sheared[0][0] + b * sheared[1][0];
            line[1] = a * sheared[0][1] + b * sheared[1][1];
            let shift = a * self.shift[0] + b * self.shift[1];
            line[2] = centre[axis] - shift + line[0] * start[0] + line[1] * start[1];
        }
        matrix
    }
}

/// Of an angle in degrees; exact where one of them is 0.
fn sin_cos(degrees: f32) -> (f32, f32) {
    let quarters = libm::roundf(degrees / 90.0);
    let (sin, cos) = libm::sincosf((degrees - 90.0 * quarters) * (PI / 180.0));
    match quarters % 4.0 {
        0.0 => (sin, cos),
        1.0 | -3.0 => (cos, -sin),
        2.0 | -2.0 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

struct Random(Xoshiro256PlusPlus);

impl Random {
    /// From 0 up to 1.
    fn share(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// A whole number below another.
    fn below(&mut self, count: usize) -> usize {
        ((u64::from(self.0.next_u32()) * count as u64) >> u32::BITS) as usize
    }
}
