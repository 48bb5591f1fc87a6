//! Cortex-M: start-up by `cortex-m-rt`, time by SysTick.

use core::arch::naked_asm;
use core::ops::Range;
use cortex_m::peripheral::{MPU, SYST, syst::SystClkSource};
use cortex_m_rt::entry;
use semihosting::{println, process};

/// Nanoseconds of so many ticks of the processor's clock on the emulated board: 32 or 25 MHz.
const NANOSECONDS: [u64; 2] =
    if matches!(env!("BOARD").as_bytes(), b"cortex-m55") { [125, 4] } else { [40, 1] };
const RELOAD: u32 = 0x00ff_ffff;

unsafe extern "C" {
    static _stack_end: u32;
    static _stack_start: u32;
    static __sidata: u32;
    static __sdata: u32;
    static __edata: u32;
}

#[entry]
fn main() -> ! {
    if let Some(cortex_m::Peripherals { MPU, mut SYST, .. }) = cortex_m::Peripherals::take() {
        guard_stack(&MPU);
        SYST.set_clock_source(SystClkSource::Core);
        SYST.set_reload(RELOAD);
        SYST.clear_current();
        SYST.enable_counter();
    }
    crate::start()
}

/// Lets nothing touch the 64 KiB below the stack: the emulated boards ignore what is written there.
#[cfg(not(armv8m))]
fn guard_stack(mpu: &MPU) {
    let below = (&raw const _stack_end).wrapping_byte_sub(1 << 16).addr() as u32;
    // SAFETY: Armv7-M, B3.5: region 0 is of 2¹⁶ bytes that nothing uses, and without access; the rest of
    // memory is as it is without the unit.
    unsafe {
        mpu.rbar.write(below | 1 << 4);
        mpu.rasr.write(15 << 1 | 1);
        mpu.ctrl.write(1 << 2 | 1);
    }
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// As above, by the stack's own limit.
#[cfg(armv8m)]
fn guard_stack(_: &MPU) {
    // SAFETY: the stack's pointer is above.
    unsafe { cortex_m::register::msplim::write((&raw const _stack_end).addr() as u32) };
}

/// Begins the stack anew: it may be what overflowed.
#[unsafe(naked)]
#[unsafe(export_name = "HardFault")]
extern "C" fn hard_fault() -> ! {
    naked_asm!("ldr r0, =_stack_start", "mov sp, r0", "bl {}", sym fault)
}

extern "C" fn fault() -> ! {
    println!("error: a fault, as of a stack that is too small");
    process::exit(3)
}

/// The bottom of RAM.
pub(crate) fn stack() -> Range<*mut u32> {
    (&raw const _stack_end).cast_mut()..(&raw const _stack_start).cast_mut()
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
    let [nanoseconds, of_ticks] = NANOSECONDS;
    (result, u64::from(ticks) * nanoseconds / of_ticks)
}
