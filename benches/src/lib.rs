//! What the benchmarks share: layer shapes, numbers to fill them with, and the measured peak.

use bantam_kernels::{Isa, peak};
use std::time::Instant;

/// `n` numbers between -1 and 1, the same every time.
pub fn numbers(n: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Best seconds of `rounds` calls of `work`.
pub fn best_of(rounds: usize, mut work: impl FnMut()) -> f64 {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

/// Multiply-adds a second that this core reaches on registers alone, best of seven rounds.
pub fn measured_peak(isa: Isa) -> f64 {
    const ROUNDS: usize = 1 << 21;
    let mut done = 0;
    let seconds = best_of(7, || done = peak::multiply_adds(isa, ROUNDS));
    done as f64 / seconds
}
