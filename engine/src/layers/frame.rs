//! A frame around maps: `ZeroPadding2d` puts it there, `Cropping2d` takes it away, and each is the other's gradient.

use crate::error::Error;
use bantam_kernels::channels;

/// Maps and their frames. Sizes are elements.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    rows: usize,
    row: usize,
    framed_row: usize,
    /// Where a map begins in its frame.
    first: usize,
    framed: usize,
}

impl Frame {
    /// `[[top, bottom], [left, right]]` around maps of `[H, W, C]`.
    pub fn new([[top, bottom], [left, right]]: [[usize; 2]; 2], [h, w, c]: [usize; 3]) -> Frame {
        let framed_row = (left + w + right) * c;
        let (first, framed) = (top * framed_row + left * c, (top + h + bottom) * framed_row);
        Frame { rows: h, row: w * c, framed_row, first, framed }
    }

    /// Elements of a map, and from its first to its last in the frame.
    fn lens(&self) -> [usize; 2] {
        [self.rows * self.row, (self.rows - 1) * self.framed_row + self.row]
    }

    /// Maps in frames of zeros.
    pub fn pad(&self, maps: &[f32], framed: &mut [f32]) -> Result<(), Error> {
        let [map, inside] = self.lens();
        framed.fill(0.0);
        for (x, y) in maps.chunks_exact(map).zip(framed.chunks_exact_mut(self.framed)) {
            let y = &mut y[self.first..][..inside];
            channels::copy(self.rows, self.row, x, self.row, y, self.framed_row)?;
        }
        Ok(())
    }

    /// Maps without their frames.
    pub fn crop(&self, framed: &[f32], maps: &mut [f32]) -> Result<(), Error> {
        let [map, inside] = self.lens();
        for (x, y) in maps.chunks_exact_mut(map).zip(framed.chunks_exact(self.framed)) {
            let y = &y[self.first..][..inside];
            channels::copy(self.rows, self.row, y, self.framed_row, x, self.row)?;
        }
        Ok(())
    }
}
