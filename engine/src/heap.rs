//! What is claimed from a heap that may have no room: an error takes the place of an abort.

use crate::Error;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

/// An empty list with room for so many.
pub(crate) fn list<T>(count: usize) -> Result<Vec<T>, Error> {
    let mut list = Vec::new();
    match list.try_reserve_exact(count) {
        Ok(()) => Ok(list),
        Err(_) => Err(Error::OutOfMemory { bytes: count.saturating_mul(size_of::<T>()) }),
    }
}

/// So many zeros.
pub(crate) fn zeros(len: usize) -> Result<Vec<f32>, Error> {
    let mut zeros = list(len)?;
    zeros.resize(len, 0.0);
    Ok(zeros)
}

/// Resizes a list of bytes; new ones are zero.
pub(crate) fn resize(list: &mut Vec<u8>, len: usize) -> Result<(), Error> {
    let more = len.saturating_sub(list.len());
    list.try_reserve_exact(more).map_err(|_| Error::OutOfMemory { bytes: more })?;
    list.resize(len, 0);
    Ok(())
}

/// A copy of a text.
pub(crate) fn text(text: &str) -> Result<String, Error> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Error::OutOfMemory { bytes: text.len() })?;
    copy.push_str(text);
    Ok(copy)
}

/// The value in a box, or as it was.
pub(crate) fn boxed<T>(value: T) -> Result<Box<T>, T> {
    // What is free for a list of one is free for a box; the list must not be optimised away.
    if black_box(list::<T>(1)).is_ok() { Ok(Box::new(value)) } else { Err(value) }
}
