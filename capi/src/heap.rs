//! The allocator. It has memory only while a net is made, and that is the caller's.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

#[global_allocator]
static HEAP: Heap = Heap { busy: AtomicBool::new(false), stack: UnsafeCell::new(Stack::NONE) };

struct Heap {
    busy: AtomicBool,
    stack: UnsafeCell<Stack>,
}

// SAFETY: only who has set `busy` reaches the stack, and nothing allocates but what `within` runs.
unsafe impl Sync for Heap {}

/// Blocks one upon the other. What lies on top is freed and resized in place, other blocks are lost
/// when they are freed: lists that are claimed at once lose none.
#[derive(Clone, Copy)]
struct Stack {
    base: *mut u8,
    len: usize,
    used: usize,
    most: usize,
}

impl Stack {
    const NONE: Stack = Stack { base: null_mut(), len: 0, used: 0, most: 0 };

    fn take(&mut self, start: usize, size: usize) -> Option<*mut u8> {
        let end = start.checked_add(size).filter(|&end| end <= self.len)?;
        self.used = end;
        self.most = self.most.max(end);
        Some(self.base.wrapping_add(start))
    }

    fn push(&mut self, layout: Layout) -> Option<*mut u8> {
        let padding = self.base.wrapping_add(self.used).addr().wrapping_neg() % layout.align();
        self.take(self.used.checked_add(padding)?, layout.size())
    }

    /// Where the block on top begins, if it is this one.
    fn top(&self, block: *mut u8, size: usize) -> Option<usize> {
        let start = block.addr().wrapping_sub(self.base.addr());
        (start.wrapping_add(size) == self.used).then_some(start)
    }
}

/// Bytes that were claimed at the end, and at most.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    pub now: usize,
    pub most: usize,
}

/// Runs `work` with these bytes to allocate from; `None` while another thread does so. What it
/// allocated stays where it is.
///
/// # Safety
/// The bytes are valid for reads and writes, and nothing else uses them as long as what was allocated
/// is used.
pub(crate) unsafe fn within<R>(memory: *mut u8, len: usize, work: impl FnOnce() -> R) -> Option<R> {
    if take_turn() {
        return None;
    }
    // SAFETY: it is this thread's turn.
    unsafe { *HEAP.stack.get() = Stack { base: memory, len, used: 0, most: 0 } };
    let result = work();
    // SAFETY: as above.
    unsafe { *HEAP.stack.get() = Stack::NONE };
    HEAP.busy.store(false, Ordering::Release);
    Some(result)
}

/// Within `work`: what it has claimed so far.
pub(crate) fn usage() -> Use {
    // SAFETY: called by what `within` runs, whose turn it is.
    let stack = unsafe { *HEAP.stack.get() };
    Use { now: stack.used, most: stack.most }
}

/// Whether it is another's turn; else it is ours.
fn take_turn() -> bool {
    #[cfg(target_has_atomic = "8")]
    return HEAP.busy.swap(true, Ordering::Acquire);
    // Such a core is alone; an interrupt that comes between leaves things as they were.
    #[cfg(not(target_has_atomic = "8"))]
    return HEAP.busy.load(Ordering::Acquire) || {
        HEAP.busy.store(true, Ordering::Release);
        false
    };
}

// SAFETY: blocks lie within the stack's bytes, one upon the other, each at its alignment.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: only what `within` runs allocates, and it is its turn.
        let stack = unsafe { &mut *self.stack.get() };
        stack.push(layout).unwrap_or(null_mut())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let stack = unsafe { &mut *self.stack.get() };
        if let Some(start) = stack.top(block, layout.size()) {
            stack.used = start;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let stack = unsafe { &mut *self.stack.get() };
        if let Some(start) = stack.top(block, layout.size()) {
            return stack.take(start, size).unwrap_or(null_mut());
        }
        let Some(new) = Layout::from_size_align(size, layout.align()).ok().and_then(|new| stack.push(new))
        else {
            return null_mut();
        };
        // SAFETY: the new block lies above the old one, and both have so many bytes.
        unsafe { new.copy_from_nonoverlapping(block, layout.size().min(size)) };
        new
    }
}
