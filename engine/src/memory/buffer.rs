use crate::error::Error;
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
    len.saturating_add(CacheLine::NUMBERS - 1) / CacheLine::NUMBERS * CacheLine::NUMBERS
}

/// So many elements, and what follows from the next line on.
pub(crate) fn split_lines(scratch: &mut [f32], len: usize) -> (&mut [f32], &mut [f32]) {
    let (front, rest) = scratch.split_at_mut(whole_lines(len));
    (&mut front[..len], rest)
}

/// The first whole line after `len` numbers from `start` on.
pub(crate) fn end_of(start: usize, len: usize) -> usize {
    whole_lines(start.saturating_add(len))
}

/// Checks that an array of so many numbers can exist.
pub(crate) fn check_len(len: usize) -> Result<(), Error> {
    if len > isize::MAX as usize / size_of::<f32>() {
        return Err(bantam_kernels::Error::TooLarge { what: "arena" }.into());
    }
    Ok(())
}
