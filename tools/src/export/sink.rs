use bantam::{AtomicFile, Error};
use std::path::Path;

/// A file that is replaced as a whole, written piece by piece.
pub struct Sink {
    file: AtomicFile,
    buffer: Vec<u8>,
    written: u64,
}

impl Sink {
    /// Each write to the file waits for the disk.
    const PIECE: usize = 16 << 20;

    pub fn create(path: &Path) -> Result<Sink, Error> {
        Ok(Sink { file: AtomicFile::create(path)?, buffer: Vec::new(), written: 0 })
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.written
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        if self.buffer.len() + bytes.len() < Sink::PIECE {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.file.write(&self.buffer)?;
        self.buffer.clear();
        // No second copy of large weights.
        self.file.write(bytes)
    }

    pub fn commit(mut self) -> Result<(), Error> {
        self.file.write(&self.buffer)?;
        self.file.commit()
    }
}
