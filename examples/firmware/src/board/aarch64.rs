//! Cortex-A in 64 bits: start-up and memory management by `aarch64-rt`, time by the generic timer.

use aarch64_rt::{ExceptionHandlers, InitialPagetable, entry, exception_handlers, initial_pagetable};
use core::arch::asm;
use core::ops::Range;
use critical_section::RawRestoreState;

/// Valid, accessed, shared with other cores, of the second kind of memory: written back.
const NORMAL: usize = 1 << 0 | 1 << 2 | 0b11 << 8 | 1 << 10;

initial_pagetable!({
    let mut gibibytes = [0; 512];
    gibibytes[1] = 0x4000_0000 | NORMAL;
    InitialPagetable(gibibytes)
});

struct Exceptions;
impl ExceptionHandlers for Exceptions {}
exception_handlers!(Exceptions);

struct OneCore;
critical_section::set_impl!(OneCore);

// SAFETY: one core runs, and no interrupt is ever enabled.
unsafe impl critical_section::Impl for OneCore {
    unsafe fn acquire() -> RawRestoreState {}
    unsafe fn release(_: RawRestoreState) {}
}

unsafe extern "C" {
    static boot_stack_begin: u32;
    static boot_stack_end: u32;
    static text_begin: u32;
    static bin_end: u32;
}

entry!(main, 8);
fn main(_: u64, _: u64, _: u64, _: u64) -> ! {
    crate::start()
}

pub(crate) fn stack() -> Range<*mut u32> {
    (&raw const boot_stack_begin).cast_mut()..(&raw const boot_stack_end).cast_mut()
}

/// Code, constants and the initial values of variables.
pub fn flash_bytes() -> usize {
    (&raw const bin_end).addr() - (&raw const text_begin).addr()
}

/// Instructions that `work` takes, to the tick of a clock of 62.5 MHz: the emulator lets a nanosecond
/// pass for each.
pub fn instructions<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let (start, hertz) = timer();
    let result = work();
    let (end, _) = timer();
    (result, (end - start) * 1_000_000_000 / hertz)
}

/// Ticks, and how many a second has.
fn timer() -> (u64, u64) {
    let (ticks, hertz);
    // SAFETY: these registers can be read at any level.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", "mrs {}, cntfrq_el0", out(reg) ticks, out(reg) hertz) };
    (ticks, hertz)
}
