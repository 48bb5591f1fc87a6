//! How deep the stack was: it is painted before the program begins, and searched for the paint.

use crate::board;

const PAINT: u32 = 0xcafe_f00d;
/// Bytes below a local variable that are left as they are: the frame of who paints.
const MARGIN: usize = 512;

/// Paints what lies below the caller.
pub(crate) fn paint() {
    let local = 0u32;
    let end = (&raw const local).wrapping_byte_sub(MARGIN);
    let mut word = board::stack().start;
    while word.cast_const() < end {
        // SAFETY: from the stack's start to well below the frames in use there is memory that nothing
        // else uses; it is written through the address alone, whatever variables may come to lie there.
        unsafe { word.write_volatile(PAINT) };
        word = word.wrapping_add(1);
    }
}

/// The most bytes that were in use.
pub fn peak() -> usize {
    let stack = board::stack();
    let mut word = stack.start;
    // SAFETY: these are words of the stack, painted at the start.
    while word < stack.end && unsafe { word.read_volatile() } == PAINT {
        word = word.wrapping_add(1);
    }
    stack.end.addr() - word.addr()
}
