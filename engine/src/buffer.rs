use crate::Error;
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
    ///
    /// # Panics
    /// As `Vec`'s, where there is no memory for them: [`try_new`](Buffer::try_new) gives an error.
    pub fn new(len: usize) -> Buffer {
        Buffer { lines: alloc::vec![CacheLine::ZERO; len.div_ceil(CacheLine::NUMBERS)], len }
    }

    /// So many zeros.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn try_new(len: usize) -> Result<Buffer, Error> {
        let mut buffer = Buffer::default();
        buffer.resize(len)?;
        Ok(buffer)
    }

    /// Keeps its memory if it was larger. What the numbers are then is unspecified.
    pub(crate) fn resize(&mut self, len: usize) -> Result<(), Error> {
        let lines = len.div_ceil(CacheLine::NUMBERS);
        let more = lines.saturating_sub(self.lines.len());
        if self.lines.try_reserve_exact(more).is_err() {
            return Err(Error::OutOfMemory { bytes: more.saturating_mul(size_of::<CacheLine>()) });
        }
        self.lines.resize(lines, CacheLine::ZERO);
        self.len = len;
        Ok(())
    }

    /// Makes room for so many at the least.
    pub(crate) fn grow(&mut self, len: usize) -> Result<(), Error> {
        self.resize(self.len.max(len))
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

/// The first whole line after `len` numbers from `start` on, if an array that long can exist.
pub(crate) fn end_of(start: usize, len: usize) -> Result<usize, Error> {
    match start.checked_add(len) {
        Some(end) if end <= isize::MAX as usize / size_of::<f32>() => Ok(whole_lines(end)),
        _ => Err(bantam_kernels::Error::TooLarge { what: "arena" }.into()),
    }
}
