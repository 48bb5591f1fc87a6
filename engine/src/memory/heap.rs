//! What is claimed from a heap that may have no room: an error takes the place of an abort.

use crate::error::Error;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

/// An empty list with room for so many.
pub(crate) fn list<T>(count: usize) -> Result<Vec<T>, Error> {
    let mut list = Vec::new();
    reserve(&mut list, count)?;
    Ok(list)
}

/// Lists that are claimed together: whether there was memory for all is asked once.
#[derive(Default)]
pub(crate) struct Claims {
    /// The most bytes that there was no memory for.
    missing: usize,
}

impl Claims {
    /// An empty list with room for so many.
    pub fn list<T>(&mut self, count: usize) -> Vec<T> {
        let mut list = Vec::new();
        self.reserve(&mut list, count);
        list
    }

    /// Room for so many more in a list that is there.
    pub fn reserve<T>(&mut self, list: &mut Vec<T>, more: usize) {
        if list.try_reserve_exact(more).is_err() {
            self.refuse(more, size_of::<T>());
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&mut self, count: usize, size: usize) {
        self.missing = self.missing.max(count.saturating_mul(size));
    }

    pub fn check(self) -> Result<(), Error> {
        if self.missing == 0 { Ok(()) } else { Err(Error::OutOfMemory { bytes: self.missing }) }
    }
}

/// Room for so many more.
pub(crate) fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<(), Error> {
    match list.try_reserve_exact(more) {
        Ok(()) => Ok(()),
        Err(_) => Err(Error::OutOfMemory { bytes: more.saturating_mul(size_of::<T>()) }),
    }
}

/// One more of a list.
pub(crate) fn push<T>(list: &mut Vec<T>, value: T) -> Result<(), Error> {
    reserve(list, 1)?;
    list.push(value);
    Ok(())
}

/// So many zeros.
pub(crate) fn zeros(len: usize) -> Result<Vec<f32>, Error> {
    filled(len, 0.0)
}

/// So many of one value.
pub(crate) fn filled<T: Clone>(len: usize, value: T) -> Result<Vec<T>, Error> {
    let mut list = list(len)?;
    list.resize(len, value);
    Ok(list)
}

/// Resizes a list of bytes; new ones are zero.
pub(crate) fn resize(list: &mut Vec<u8>, len: usize) -> Result<(), Error> {
    let more = len.saturating_sub(list.len());
    list.try_reserve_exact(more).map_err(|_| Error::OutOfMemory { bytes: more })?;
    list.resize(len, 0);
    Ok(())
}

/// Appends bytes to a list.
pub(crate) fn extend(list: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    list.try_reserve(bytes.len()).map_err(|_| Error::OutOfMemory { bytes: bytes.len() })?;
    list.extend_from_slice(bytes);
    Ok(())
}

/// A copy of a text.
pub(crate) fn text(text: &str) -> Result<String, Error> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Error::OutOfMemory { bytes: text.len() })?;
    copy.push_str(text);
    Ok(copy)
}

/// The value in a box.
pub(crate) fn boxed<T>(value: T) -> Result<Box<T>, Error> {
    const { assert!(align_of::<T>() <= align_of::<u64>()) };
    if !probe(size_of::<T>()) {
        return Err(Error::OutOfMemory { bytes: size_of::<T>() });
    }
    Ok(Box::new(value))
}

/// Whether so many bytes are free for a box. One function for boxes of all types.
#[inline(never)]
pub(crate) fn probe(bytes: usize) -> bool {
    // What is free for a list is free for a box; the list must not be optimised away.
    let mut list: Vec<u64> = Vec::new();
    let free = list.try_reserve_exact(bytes.div_ceil(size_of::<u64>())).is_ok();
    black_box(list);
    free
}
