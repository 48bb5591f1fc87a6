use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use embedded_alloc::LlffHeap;

/// A global allocator with memory of its own that knows how much of it was ever in use.
pub struct Heap<const BYTES: usize> {
    heap: LlffHeap,
    memory: UnsafeCell<[MaybeUninit<u8>; BYTES]>,
    ready: AtomicBool,
    used: AtomicUsize,
    peak: AtomicUsize,
}

// SAFETY: `memory` is given to `heap` once, and not touched otherwise.
unsafe impl<const BYTES: usize> Sync for Heap<BYTES> {}

impl<const BYTES: usize> Heap<BYTES> {
    /// With all of its memory free.
    #[expect(clippy::new_without_default, reason = "it must be const")]
    pub const fn new() -> Heap<BYTES> {
        Heap {
            heap: LlffHeap::empty(),
            memory: UnsafeCell::new([MaybeUninit::uninit(); BYTES]),
            ready: AtomicBool::new(false),
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The most bytes that were in use since [`forget_peak`](Heap::forget_peak).
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Takes what is in use for the peak.
    pub fn forget_peak(&self) {
        self.peak.store(self.used(), Relaxed);
    }
}

// SAFETY: memory is that of `LlffHeap`, which keeps the contract.
unsafe impl<const BYTES: usize> GlobalAlloc for Heap<BYTES> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // There is one core, and nothing interrupts it: loads and stores need not be one.
        if !self.ready.load(Relaxed) {
            self.ready.store(true, Relaxed);
            // SAFETY: this is done once, before anything is allocated, with memory of `BYTES` bytes.
            unsafe { self.heap.init(self.memory.get().addr(), BYTES) };
        }
        let used = self.used() + layout.size();
        self.used.store(used, Relaxed);
        self.peak.store(used.max(self.peak()), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { self.heap.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.used.store(self.used() - layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { self.heap.dealloc(block, layout) };
    }
}
