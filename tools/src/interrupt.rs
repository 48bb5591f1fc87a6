//! Ctrl-C, which ends a training after its batch.

use crate::Failure;
use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status of a program that Ctrl-C ended, as shells have it.
pub const STATUS: u8 = 130;

/// Whether training is to end after its batch.
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether the program is to end soon.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// From now on Ctrl-C, or the system's wish that the program end, is [requested], and the second one ends the program.
///
/// # Errors
/// The system refuses.
pub fn heed() -> Result<(), Failure> {
    let handler = || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            process::exit(STATUS.into());
        }
        let _ = writeln!(io::stderr(), "\nEnding after this batch; Ctrl-C again ends at once.");
    };
    match ctrlc::try_set_handler(handler) {
        // Who started the program ignores one of these signals, as `nohup` does. So it stays.
        Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        set => Ok(set?),
    }
}
