use super::training_session::fingerprint;
use crate::checksum::Checksum;
use crate::error::Error;
use crate::graph::Model;
use crate::layers::Role;
use crate::run::TrainingSession;
use alloc::borrow::Cow;
use core::ops::Range;
use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};

/// What a [`TrainingSession`] has learnt, in flash, in two slots that take turns: whenever the power goes,
/// one whole version is there.
///
/// A slot is erased, its weights are written, and its header comes last. It counts only if its checksum is
/// right. Little-endian:
///
/// | bytes | header |
/// | --- | --- |
/// | 0-7 | `BANTAMW\n` |
/// | 8-11 | version: one more than the other slot's |
/// | 12-15 | bytes of the weights, which follow the header |
/// | 16-23 | what tells the model from others |
/// | 24-31 | checksum of all of that and of the weights |
///
/// What the optimiser remembers is not kept.
pub struct Slots<F> {
    flash: F,
    /// Where each begins.
    starts: [u32; 2],
    /// Bytes of each.
    len: u32,
}

const MAGIC: [u8; 8] = *b"BANTAMW\n";
const HEADER: usize = 32;
/// Bytes that are read or written at a time.
const BLOCK: usize = 256;

/// A slot whose checksum is right.
#[derive(Clone, Copy)]
struct Whole {
    slot: usize,
    version: u32,
    len: u32,
    fingerprint: u64,
}

impl<F: NorFlash> Slots<F> {
    /// In that range of a flash memory; each slot is half of it. Nothing is written yet.
    ///
    /// # Errors
    /// The range does not begin and end with the memory's sectors or goes beyond it, or the memory is
    /// written by pieces that are no divisor of 32 bytes.
    pub fn new(flash: F, range: Range<u32>) -> Result<Slots<F>, Error> {
        let (sector, capacity) = (F::ERASE_SIZE as u32, flash.capacity() as u64);
        let whole = range.start.is_multiple_of(sector) && range.end.is_multiple_of(sector);
        if range.is_empty() || !whole || u64::from(range.end) > capacity {
            return Err(Error::Flash { problem: "expected a range of whole sectors within the memory" });
        }
        if !HEADER.is_multiple_of(F::WRITE_SIZE) || !HEADER.is_multiple_of(F::READ_SIZE) {
            return Err(Error::Flash { problem: "expected pieces of 1, 2, 4, 8, 16 or 32 bytes" });
        }
        let len = (range.end - range.start) / 2 / sector * sector;
        if (len as usize) < HEADER {
            return Err(Error::Flash { problem: "expected a range of two sectors or more" });
        }
        Ok(Slots { flash, starts: [range.start, range.start + len], len })
    }

    /// Writes what a session has learnt into the slot of the older version, and gives the new version's
    /// number, from 1.
    ///
    /// # Errors
    /// A slot is too small, or the memory refuses or does not keep it. The newest version that was there
    /// before is still whole.
    pub fn save(&mut self, session: &TrainingSession<'_>) -> Result<u32, Error> {
        let numbers: usize = session.weights().map(|(.., values)| values.len()).sum();
        let bytes = numbers * size_of::<f32>();
        let expected = u32::try_from((HEADER + bytes).next_multiple_of(F::ERASE_SIZE)).unwrap_or(u32::MAX);
        if expected > self.len {
            return Err(Error::SlotTooSmall { expected, got: self.len });
        }
        let newest = self.newest(|_| true)?;
        let version = newest.map_or(0, |newest| newest.version).saturating_add(1);
        let slot = newest.map_or(0, |newest| 1 - newest.slot);
        let start = self.starts[slot];
        self.flash.erase(start, start + expected).map_err(refused)?;

        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&version.to_le_bytes());
        header[12..16].copy_from_slice(&(bytes as u32).to_le_bytes());
        header[16..24].copy_from_slice(&fingerprint(session.model()).to_le_bytes());
        let mut sum = Checksum::NONE.add(&header[..24]);
        let mut at = start + HEADER as u32;
        let mut block = [0xff; BLOCK];
        let mut filled = 0;
        let mut left = numbers;
        for value in session.weights().flat_map(|(.., values)| values) {
            block[filled..filled + 4].copy_from_slice(&value.to_le_bytes());
            filled += 4;
            left -= 1;
            if filled == BLOCK || left == 0 {
                sum = sum.add(&block[..filled]);
                block[filled..].fill(0xff);
                let piece = &block[..filled.next_multiple_of(F::WRITE_SIZE)];
                self.flash.write(at, piece).map_err(refused)?;
                at += piece.len() as u32;
                filled = 0;
            }
        }
        header[24..].copy_from_slice(&sum.value().to_le_bytes());
        self.flash.write(start, &header).map_err(refused)?;
        match self.whole(slot)? {
            Some(written) if written.version == version => Ok(version),
            _ => Err(Error::Flash { problem: "what was written is not what is read" }),
        }
    }

    /// Overwrites a session's weights with the newest version that is whole, and gives its number; `None`
    /// if there is none.
    ///
    /// # Errors
    /// What is there was learnt on top of another model, or the memory cannot be read. The session's
    /// weights are then as they were, or, if reading failed half way, those of its model.
    pub fn load(&mut self, session: &mut TrainingSession<'_>) -> Result<Option<u32>, Error> {
        let Some(newest) = self.newest_of(session)? else { return Ok(None) };
        let mut weights = self.weights(newest);
        let read = session.overwrite(|values| weights.read(values));
        if read.is_err() {
            session.restart();
        }
        read.map(|()| Some(newest.version))
    }

    /// The model that a session learnt on top of, with the weights of the newest version that is whole, which lie in
    /// `memory`, and the version's number; `None` if there is none. It runs in a [`Session`](crate::Session) as any model
    /// does.
    ///
    /// # Errors
    /// What is there was learnt on top of another model, the memory in flash cannot be read, or `memory` is shorter than
    /// the weights.
    pub fn model<'m>(
        &mut self,
        model: &Model<'m>,
        memory: &'m mut [f32],
    ) -> Result<Option<(Model<'m>, u32)>, Error> {
        let roles = model.roles()?;
        let learnt = || (0..roles.len()).filter(|&parameter| roles[parameter] != Role::Constant);
        let len: usize = learnt().map(|parameter| model.parameters()[parameter].values().len()).sum();
        let bytes = len * size_of::<f32>();
        let Some(newest) = self.newest_like(fingerprint(model), bytes)? else { return Ok(None) };
        let (expected, got) = (bytes, size_of_val(memory));
        let Some((mut rest, _)) = memory.split_at_mut_checked(len) else {
            return Err(Error::ArenaTooSmall { expected, got });
        };
        let mut weights = self.weights(newest);
        let mut model = model.clone();
        for parameter in learnt() {
            let (values, tail) = rest.split_at_mut(model.parameters()[parameter].values().len());
            weights.read(values)?;
            model.replace_values(parameter, Cow::Borrowed(values));
            rest = tail;
        }
        Ok(Some((model, newest.version)))
    }

    /// The weights of a version, to be read from the first on.
    fn weights(&mut self, version: Whole) -> Weights<'_, F> {
        let at = self.starts[version.slot] + HEADER as u32;
        Weights { flash: &mut self.flash, at, left: version.len as usize, block: [0; BLOCK], taken: BLOCK }
    }

    /// The number of the version that [`load`](Self::load) would load.
    ///
    /// # Errors
    /// What is there was learnt on top of another model, or the memory cannot be read.
    pub fn version(&mut self, session: &TrainingSession<'_>) -> Result<Option<u32>, Error> {
        Ok(self.newest_of(session)?.map(|newest| newest.version))
    }

    /// The memory itself.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn newest_of(&mut self, session: &TrainingSession<'_>) -> Result<Option<Whole>, Error> {
        let bytes: usize = session.weights().map(|(.., values)| size_of_val(values)).sum();
        self.newest_like(fingerprint(session.model()), bytes)
    }

    fn newest_like(&mut self, fingerprint: u64, bytes: usize) -> Result<Option<Whole>, Error> {
        let ours = |found: &Whole| found.fingerprint == fingerprint && found.len as usize == bytes;
        match self.newest(ours)? {
            None if self.newest(|_| true)?.is_some() => Err(Error::OtherModel),
            newest => Ok(newest),
        }
    }

    fn newest(&mut self, wanted: impl Fn(&Whole) -> bool) -> Result<Option<Whole>, Error> {
        let [first, second] = [self.whole(0)?.filter(&wanted), self.whole(1)?.filter(&wanted)];
        let first_is_newer =
            second.is_none_or(|second| first.is_some_and(|first| first.version > second.version));
        Ok(if first_is_newer { first } else { second })
    }

    /// A slot's header, if the slot is whole.
    fn whole(&mut self, slot: usize) -> Result<Option<Whole>, Error> {
        let start = self.starts[slot];
        let mut header = [0; HEADER];
        self.flash.read(start, &mut header).map_err(refused)?;
        let u32_at =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let (version, len) = (u32_at(8), u32_at(12));
        if !header.starts_with(&MAGIC) || len > self.len - HEADER as u32 {
            return Ok(None);
        }
        let mut sum = Checksum::NONE.add(&header[..24]);
        let mut block = [0; BLOCK];
        for at in (0..len).step_by(BLOCK) {
            let bytes = BLOCK.min((len - at) as usize);
            let piece = &mut block[..bytes.next_multiple_of(F::READ_SIZE)];
            self.flash.read(start + HEADER as u32 + at, piece).map_err(refused)?;
            sum = sum.add(&block[..bytes]);
        }
        let whole = Whole { slot, version, len, fingerprint: u64_at(16) };
        Ok((sum.value() == u64_at(24)).then_some(whole))
    }
}

/// Weights in flash that are read from the first on.
struct Weights<'a, F> {
    flash: &'a mut F,
    at: u32,
    /// Bytes that are not in a block yet.
    left: usize,
    block: [u8; BLOCK],
    /// Bytes of the block that were given out.
    taken: usize,
}

impl<F: NorFlash> Weights<'_, F> {
    fn read(&mut self, values: &mut [f32]) -> Result<(), Error> {
        for value in values {
            if self.taken == BLOCK {
                let piece = self.left.min(BLOCK).next_multiple_of(F::READ_SIZE);
                self.flash.read(self.at, &mut self.block[..piece]).map_err(refused)?;
                (self.at, self.left, self.taken) =
                    (self.at + piece as u32, self.left.saturating_sub(BLOCK), 0);
            }
            if let Some(&bytes) = self.block[self.taken..].first_chunk() {
                *value = f32::from_le_bytes(bytes);
            }
            self.taken += 4;
        }
        Ok(())
    }
}

fn refused(error: impl NorFlashError) -> Error {
    let problem = match error.kind() {
        NorFlashErrorKind::NotAligned => "an address is not aligned",
        NorFlashErrorKind::OutOfBounds => "an address is out of bounds",
        _ => "it refused to read, write or erase",
    };
    Error::Flash { problem }
}
