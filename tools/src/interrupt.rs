//! Ctrl-C, which ends a training after its batch.

use crate::Failure;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

/// The exit status of a program that Ctrl-C ended, as shells have it.
pub const STATUS: u8 = 130;

/// Whether training is to end after its batch.
static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether the program is to end soon.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// From now on Ctrl-C, or the system's wish that the program end, is [requested], and the second one ends the program. It
/// is heeded even where who started the program had it ignored, as a shell does with `&`: a training loses nothing by it.
///
/// # Errors
/// The system refuses.
pub fn heed() -> Result<(), Failure> {
    register().map_err(|problem| format!("signals: {problem}").into())
}

fn register() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // They act in this order, so that the first signal does not find its own request.
        flag::register_conditional_shutdown(signal, STATUS.into(), Arc::clone(&REQUESTED))?;
        flag::register(signal, Arc::clone(&REQUESTED))?;
    }
    // What a signal interrupts may hold the lock of standard error, so that another thread has to say it.
    thread::Builder::new().spawn(|| {
        while !requested() {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = writeln!(io::stderr(), "\nEnding after this batch; Ctrl-C again ends at once.");
    })?;
    Ok(())
}
