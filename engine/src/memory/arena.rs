use crate::error::Error;
use crate::memory::buffer::Buffer;

/// Memory that a plan was made for: a session's own or the caller's.
pub(crate) enum Arena<'a> {
    Own(Buffer),
    Lent(&'a mut [f32]),
}

impl<'a> Arena<'a> {
    /// The caller's, of so many numbers at the least.
    pub fn lent(numbers: &'a mut [f32], len: usize) -> Result<Arena<'a>, Error> {
        check(numbers, len)?;
        Ok(Arena::Lent(numbers))
    }

    pub fn numbers(&self) -> &[f32] {
        match self {
            Arena::Own(buffer) => buffer,
            Arena::Lent(numbers) => numbers,
        }
    }

    pub fn numbers_mut(&mut self) -> &mut [f32] {
        match self {
            Arena::Own(buffer) => buffer,
            Arena::Lent(numbers) => numbers,
        }
    }
}

/// The whole numbers of a caller's bytes.
pub(crate) fn from_bytes(bytes: &mut [u8]) -> Result<&mut [f32], Error> {
    let whole = bytes.len() / size_of::<f32>() * size_of::<f32>();
    let numbers = bytemuck::try_cast_slice_mut(&mut bytes[..whole]);
    numbers.map_err(|_| Error::MisalignedArena { expected: align_of::<f32>() })
}

fn check(numbers: &[f32], len: usize) -> Result<(), Error> {
    let (expected, got) = (len * size_of::<f32>(), size_of_val(numbers));
    if got < expected { Err(Error::ArenaTooSmall { expected, got }) } else { Ok(()) }
}
