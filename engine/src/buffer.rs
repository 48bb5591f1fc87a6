use alloc::vec::Vec;
use bantam_kernels::CacheLine;
use core::ops::{Deref, DerefMut};

/// Numbers on the heap that begin on a cache line: kernels are faster there.
///
/// ```
/// let mut images = bantam::Buffer::new(2 * 28 * 28);
/// images[3] = 0.5;
/// assert_eq!(images.len(), 1568);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    lines: Vec<CacheLine>,
    len: usize,
}

impl Buffer {
    /// So many zeros.
    pub fn new(len: usize) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.resize(len);
        buffer
    }

    /// Keeps its memory if it was larger. What the numbers are then is not said.
    pub(crate) fn resize(&mut self, len: usize) {
        self.lines.resize(len.div_ceil(CacheLine::NUMBERS), CacheLine::ZERO);
        self.len = len;
    }

    /// Makes room for so many at the least.
    pub(crate) fn grow(&mut self, len: usize) {
        self.resize(self.len.max(len));
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &CacheLine::numbers(&self.lines)[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut CacheLine::numbers_mut(&mut self.lines)[..self.len]
    }
}

/// Rounds up to whole lines, so that what follows begins on one.
pub(crate) fn whole_lines(len: usize) -> usize {
    len.next_multiple_of(CacheLine::NUMBERS)
}
