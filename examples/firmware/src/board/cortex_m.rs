//! Cortex-M: start-up by `cortex-m-rt`, time by SysTick.

use core::ops::Range;
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::entry;

/// Ticks a second of the processor's clock on the emulated board.
const HERTZ: u64 = if matches!(env!("BOARD").as_bytes(), b"cortex-m55") { 32_000_000 } else { 25_000_000 };
const RELOAD: u32 = 0x00ff_ffff;

unsafe extern "C" {
    static __sheap: u32;
    static _stack_start: u32;
    static __sidata: u32;
    static __sdata: u32;
    static __edata: u32;
}

#[entry]
fn main() -> ! {
    if let Some(cortex_m::Peripherals { mut SYST, .. }) = cortex_m::Peripherals::take() {
        SYST.set_clock_source(SystClkSource::Core);
        SYST.set_reload(RELOAD);
        SYST.clear_current();
        SYST.enable_counter();
    }
    crate::start()
}

/// From the end of all variables to the end of RAM.
pub(crate) fn stack() -> Range<*mut u32> {
    (&raw const __sheap).cast_mut()..(&raw const _stack_start).cast_mut()
}

/// Code, constants and the initial values of variables.
pub fn flash_bytes() -> usize {
    (&raw const __sidata).addr() + (&raw const __edata).addr() - (&raw const __sdata).addr()
}

/// Instructions that `work` takes, less than 500 million, to the tick of a clock of 25 MHz: the
/// emulator lets a nanosecond pass for each.
pub fn instructions<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let start = SYST::get_current();
    let result = work();
    let ticks = start.wrapping_sub(SYST::get_current()) & RELOAD;
    (result, u64::from(ticks) * 1_000_000_000 / HERTZ)
}
