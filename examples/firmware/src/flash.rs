//! The flash for what is learnt. The emulated board has memory there that takes any write; this holds it
//! to what flash does, and can lose its power.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

unsafe extern "C" {
    static _slots_start: u8;
    static _slots_end: u8;
}

/// Pages of 4 KiB that are erased as a whole, and words of 4 bytes that are written once after.
pub struct Flash {
    /// Writes and erasures that are still done before the power goes, in the middle of one.
    power: usize,
}

/// Why flash did not do what it was told.
#[derive(Debug)]
pub enum FlashError {
    /// The power is gone.
    NoPower,
    /// It was not erased before.
    NotErased,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Flash {
    /// With power for ever. There is one memory: have one of these at a time.
    pub fn new() -> Flash {
        Flash { power: usize::MAX }
    }

    /// With power for so many writes and erased pages. Then half of one is done.
    pub fn with_power(power: usize) -> Flash {
        Flash { power }
    }

    /// How many of so many words there is power for.
    fn spend(&mut self, words: usize) -> (usize, Result<(), FlashError>) {
        match self.power.checked_sub(1) {
            Some(left) => {
                self.power = left;
                (words, Ok(()))
            }
            None => (words / 2, Err(FlashError::NoPower)),
        }
    }

    fn word(&self, offset: usize) -> *mut u32 {
        assert!(offset.is_multiple_of(Self::WRITE_SIZE) && offset < self.capacity());
        (&raw const _slots_start).cast_mut().wrapping_add(offset).cast()
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let (words, _) = bytes.as_chunks_mut::<4>();
        for (i, bytes) in words.iter_mut().enumerate() {
            // SAFETY: `word` gives aligned words of the region, which nothing else uses.
            *bytes = unsafe { self.word(offset as usize + 4 * i).read_volatile() }.to_le_bytes();
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        (&raw const _slots_end).addr() - (&raw const _slots_start).addr()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        for page in (from as usize..to as usize).step_by(Self::ERASE_SIZE) {
            let (words, result) = self.spend(Self::ERASE_SIZE / 4);
            for i in 0..words {
                // SAFETY: as in `read`.
                unsafe { self.word(page + 4 * i).write_volatile(u32::MAX) };
            }
            result?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let (words, _) = bytes.as_chunks::<4>();
        let (count, result) = self.spend(words.len());
        for (i, bytes) in words[..count].iter().enumerate() {
            let word = self.word(offset as usize + 4 * i);
            // SAFETY: as in `read`.
            unsafe {
                if word.read_volatile() != u32::MAX {
                    return Err(FlashError::NotErased);
                }
                word.write_volatile(u32::from_le_bytes(*bytes));
            }
        }
        result
    }
}
