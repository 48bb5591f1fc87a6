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

/// Blocks one upon the other. One that is freed on top is gone, another leaves a hole that smaller blocks fill; if
/// there are more holes than can be noted, what lies in those is lost. Blocks are offsets from the base.
#[derive(Clone, Copy)]
struct Stack {
    base: *mut u8,
    len: usize,
    used: usize,
    most: usize,
    /// No two touch. Some are empty.
    holes: [Block; 8],
    /// When all blocks from here on are gone, so are the holes among them.
    #[cfg(feature = "training")]
    floor: usize,
    /// Blocks from there on.
    #[cfg(feature = "training")]
    above: usize,
}

#[derive(Clone, Copy)]
struct Block {
    start: usize,
    end: usize,
}

const NO_HOLES: [Block; 8] = [Block { start: 0, end: 0 }; 8];

/// Blocks are of whole units, so that no two have a gap between them that is no hole.
const UNIT: usize = 8;

impl Stack {
    const NONE: Stack = Stack {
        base: null_mut(),
        len: 0,
        used: 0,
        most: 0,
        holes: NO_HOLES,
        #[cfg(feature = "training")]
        floor: 0,
        #[cfg(feature = "training")]
        above: 0,
    };

    fn alloc(&mut self, layout: Layout) -> Option<*mut u8> {
        let at = self.place(layout)?;
        #[cfg(feature = "training")]
        {
            self.above += 1;
        }
        Some(at)
    }

    fn place(&mut self, layout: Layout) -> Option<*mut u8> {
        let place = |base: *mut u8, start: usize| {
            let padding = base.wrapping_add(start).addr().wrapping_neg() % layout.align();
            let start = start.checked_add(padding)?;
            let end = start.checked_add(layout.size())?.checked_next_multiple_of(UNIT)?;
            Some(Block { start, end })
        };
        for hole in &mut self.holes {
            if let Some(block) = place(self.base, hole.start).filter(|block| block.end <= hole.end) {
                hole.start = block.end;
                return Some(self.base.wrapping_add(block.start));
            }
        }
        let block = place(self.base, self.used)?;
        self.grow(block)
    }

    /// Makes a block the one on top.
    fn grow(&mut self, block: Block) -> Option<*mut u8> {
        if block.end > self.len {
            return None;
        }
        self.used = block.end;
        self.most = self.most.max(block.end);
        Some(self.base.wrapping_add(block.start))
    }

    fn free(&mut self, mut block: Block) {
        #[cfg(feature = "training")]
        if block.start >= self.floor {
            self.above -= 1;
            if self.above == 0 {
                (self.used, self.holes) = (self.floor, NO_HOLES);
                return;
            }
        }
        for hole in &mut self.holes {
            if hole.end == block.start || block.end == hole.start {
                block = Block { start: block.start.min(hole.start), end: block.end.max(hole.end) };
                *hole = Block { start: 0, end: 0 };
            }
        }
        if block.end == self.used {
            self.used = block.start;
        } else if let Some(hole) = self.holes.iter_mut().find(|hole| hole.start == hole.end) {
            *hole = block;
        }
    }

    /// Where a block lies that `alloc` gave.
    fn block(&self, at: *mut u8, size: usize) -> Block {
        let start = at.addr() - self.base.addr();
        Block { start, end: (start + size).next_multiple_of(UNIT) }
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
/// is used. Nothing is freed or resized when `work` is done.
pub(crate) unsafe fn within<R>(memory: *mut u8, len: usize, work: impl FnOnce() -> R) -> Option<R> {
    if take_turn() {
        return None;
    }
    // SAFETY: it is this thread's turn.
    unsafe { *HEAP.stack.get() = Stack { base: memory, len, ..Stack::NONE } };
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

/// Within `work`: what is claimed from here on leaves nothing behind once all of it is freed, however many holes it had.
#[cfg(feature = "training")]
pub(crate) fn begin_trials() {
    // SAFETY: called by what `within` runs, whose turn it is.
    let stack = unsafe { &mut *HEAP.stack.get() };
    // Blocks in holes below would not be counted.
    (stack.floor, stack.above, stack.holes) = (stack.used, 0, NO_HOLES);
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

// SAFETY: blocks lie within the stack's bytes, apart from each other, each at its alignment.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: only what `within` runs allocates, and it is its turn.
        let stack = unsafe { &mut *self.stack.get() };
        stack.alloc(layout).unwrap_or(null_mut())
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let stack = unsafe { &mut *self.stack.get() };
        stack.free(stack.block(at, layout.size()));
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let stack = unsafe { &mut *self.stack.get() };
        let block = stack.block(at, layout.size());
        if block.end == stack.used {
            return stack.grow(stack.block(at, size)).unwrap_or(null_mut());
        }
        let new = Layout::from_size_align(size, layout.align()).ok().and_then(|new| stack.alloc(new));
        let Some(new) = new else { return null_mut() };
        // SAFETY: the blocks are apart, and both have so many bytes.
        unsafe { new.copy_from_nonoverlapping(at, layout.size().min(size)) };
        stack.free(block);
        new
    }
}
