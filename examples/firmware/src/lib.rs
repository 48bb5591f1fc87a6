//! What programs on the boards share: a start, a heap, a stack whose depth is known, and a clock that
//! counts instructions. What they print goes to the host, and so does their exit status.
#![no_std]

#[cfg_attr(target_arch = "aarch64", path = "board/aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "board/cortex_m.rs")]
pub mod board;
#[cfg(feature = "engine")]
pub mod digits;
#[cfg(all(feature = "engine", target_arch = "arm"))]
pub mod flash;
mod heap;
pub mod stack;

pub use heap::Heap;
pub use semihosting::println;

use core::panic::PanicInfo;
use semihosting::process;

/// Makes a function the program of an image: it gives whether all is well, or an error that is printed.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        #[unsafe(no_mangle)]
        extern "Rust" fn firmware_program() -> bool {
            match $run() {
                Ok(well) => well,
                Err(error) => {
                    $crate::println!("error: {error}");
                    false
                }
            }
        }
    };
}

unsafe extern "Rust" {
    safe fn firmware_program() -> bool;
}

/// What a board calls when memory is as Rust expects it.
fn start() -> ! {
    stack::paint();
    process::exit(if firmware_program() { 0 } else { 1 })
}

/// Says nothing of where and why: the texts would take more flash than all kernels.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    println!("error: the program panicked");
    process::exit(2)
}
