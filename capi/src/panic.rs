//! Where a defect of the library ends: nothing unwinds into C.

/// Stops at an instruction that is none: on a chip the fault's handler runs, a desktop kills the program.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    // SAFETY: it does nothing but trap.
    unsafe {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        core::arch::asm!("ud2", options(noreturn, nomem, nostack));
        #[cfg(target_arch = "arm")]
        core::arch::asm!("udf #0", options(noreturn, nomem, nostack));
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!("brk #1", options(noreturn, nomem, nostack));
        #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
        core::arch::asm!("unimp", options(noreturn, nomem, nostack));
    }
    #[allow(unreachable_code, reason = "reached on other processors")]
    loop {}
}
