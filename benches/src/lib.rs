//! What the benchmarks share: layer shapes, nets, numbers to fill arrays with, the measured peak, and memory.

pub mod layers;
pub mod mapped;

use bantam::{Buffer, Error, Model, Softmax};
use bantam_kernels::{Isa, peak};
use bantam_tools::export::{ExportOptions, export};
use bantam_zoo::by_name;
use std::path::Path;
use std::time::Instant;

/// `n` numbers between -1 and 1, the same every time.
pub fn numbers(n: usize) -> Buffer {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut numbers = Buffer::new(n);
    numbers.fill_with(next);
    numbers
}

/// Seconds of one call of `work`: the best of seven rounds, each of as many calls as take about
/// `seconds_per_round`.
pub fn best_seconds(seconds_per_round: f64, work: impl FnMut()) -> f64 {
    best_of(7, seconds_per_round, work)
}

/// As [`best_seconds`], of so many rounds.
pub fn best_of(rounds: u32, seconds_per_round: f64, mut work: impl FnMut()) -> f64 {
    let mut round = |calls: u32| {
        let start = Instant::now();
        for _ in 0..calls {
            work();
        }
        start.elapsed().as_secs_f64() / f64::from(calls)
    };
    round(1);
    let calls = (seconds_per_round / round(1)).clamp(1.0, 1e6) as u32;
    (0..rounds).map(|_| round(calls)).fold(f64::INFINITY, f64::min)
}

/// Multiply-adds a second that this core reaches on registers alone.
pub fn peak_multiply_adds(isa: Isa) -> f64 {
    const ROUNDS: usize = 1 << 18;
    let per_call = peak::multiply_adds(isa, 1) * ROUNDS;
    per_call as f64
        / best_seconds(0.01, || {
            std::hint::black_box(peak::multiply_adds(isa, ROUNDS));
        })
}

/// A net of the zoo for the images that it was published for, its batch normalisations folded, without its softmax.
pub fn zoo_net(name: &str) -> Result<Model<'static>, Error> {
    let net = by_name(name).expect("the options have no others").build(1)?.fold()?;
    match net.nodes() {
        [.., before, last] if last.layer::<Softmax>().is_some() => {
            net.truncate_at(&String::from(before.name()))
        }
        _ => Ok(net),
    }
}

/// Saves a model; for other programs, one image and channels first, if the file's name ends in `.onnx`.
pub fn write(model: &Model<'_>, file: &Path) -> Result<(), String> {
    if file.extension().is_some_and(|ending| ending == "onnx") {
        let how = ExportOptions::new().batch(1).channels_first();
        return export(model, file, &how).map_err(|error| error.to_string());
    }
    model.save(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Bytes of this process, now (`VmRSS:`) or at the most (`VmHWM:`), where Linux tells them.
pub fn resident(field: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(1024 * line.split_whitespace().next()?.parse::<usize>().ok()?)
}
