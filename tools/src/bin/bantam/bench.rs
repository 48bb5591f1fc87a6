use bantam::{Isa, Options as PlanOptions, Plan, Session};
use bantam_tools::Failure;
use bantam_tools::options::{isa, load};
use bantam_tools::pictures::Chart;
use bantam_tools::pictures::times::Times;
use clap::Args;
use serde_json::json;
use std::io::{Stdout, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Args)]
#[command(after_help = "Example: bantam bench cats.bantam --threads 2 --picture times.svg")]
pub struct Options {
    /// The model
    model: PathBuf,
    /// Samples that run at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Instruction set [default: the widest of this CPU]
    #[arg(long, value_parser = isa)]
    isa: Option<Isa>,
    /// Seconds that are measured, after some that are not
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Draw where the time goes: a PNG, or by any other name an SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What steps took in the fastest run.
struct Fastest {
    whole: Duration,
    steps: Vec<Duration>,
}

/// Times a model's steps: the fastest of many runs.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let model = load(&options.model)?;
    let (batch, threads) = (usize::from(options.batch), usize::from(options.threads));
    let plan = PlanOptions::new(batch).isa(options.isa.unwrap_or_else(Isa::detect)).threads(threads);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let inputs: Vec<Vec<f32>> =
        model.input_shapes().iter().map(|shape| waves(batch * shape.elements())).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut session = Session::new(&model, plan)?;
    let times = pool.install(|| fastest(&mut session, &inputs, options.seconds))?;
    if let Some(path) = &options.picture {
        let names: Vec<String> = session.plan().steps().map(|step| step.names.join(" + ")).collect();
        let steps = names.iter().map(String::as_str).zip(times.steps.iter().copied());
        Times::new(steps, times.whole).save(path)?;
    }
    tell(session.plan(), &times, options, out)
}

fn fastest(session: &mut Session<'_>, inputs: &[&[f32]], seconds: f64) -> Result<Fastest, bantam::Error> {
    let mut times = Fastest { whole: Duration::MAX, steps: Vec::new() };
    // The first runs warm up. Between two looks at the clock there is one step.
    let mut now = Vec::new();
    let (start, seconds) = (Instant::now(), seconds.clamp(0.0, 1e6));
    while now.is_empty() || start.elapsed().as_secs_f64() < 1.25 * seconds {
        now.clear();
        let begin = Instant::now();
        session.run_observed(inputs, &mut |_| now.push(begin.elapsed()))?;
        let whole = begin.elapsed();
        if whole < times.whole && start.elapsed().as_secs_f64() >= 0.25 * seconds {
            let before = std::iter::once(&Duration::ZERO).chain(&now);
            times =
                Fastest { whole, steps: now.iter().zip(before).map(|(at, before)| *at - *before).collect() };
        }
    }
    Ok(times)
}

fn tell(plan: &Plan<'_>, times: &Fastest, options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let micros = |time: Duration| 1e6 * time.as_secs_f64();
    let whole = micros(times.whole);
    if options.json {
        let steps: Vec<_> = plan
            .steps()
            .zip(&times.steps)
            .map(|(step, &time)| json!({ "layers": step.names, "microseconds": micros(time), "multiply_adds": step.multiply_adds }))
            .collect();
        let all = json!({
            "isa": plan.isa().name(), "batch": options.batch, "threads": options.threads, "microseconds": whole,
            "multiply_adds": plan.multiply_adds(), "steps": steps,
        });
        writeln!(out, "{all}")?;
        return Ok(());
    }
    let names: Vec<String> = plan.steps().map(|step| step.names.join(" + ")).collect();
    let width = names.iter().map(String::len).fold(44, usize::max);
    writeln!(out, "{:width$} {:>12} {:>7} {:>14} {:>8}", "layers", "µs", "%", "multiply-adds", "GFLOP/s")?;
    let mut line = |name: &str, time: f64, multiply_adds: u64| {
        let (share, speed) = (100.0 * time / whole, 2e-3 * multiply_adds as f64 / time);
        writeln!(out, "{name:width$} {time:12.1} {share:7.1} {multiply_adds:14} {speed:8.1}")
    };
    for ((step, name), &time) in plan.steps().zip(&names).zip(&times.steps) {
        line(name, micros(time), step.multiply_adds)?;
    }
    line("all", whole, plan.multiply_adds())?;
    let (isa, batch, threads) = (plan.isa(), options.batch, options.threads);
    writeln!(
        out,
        "{isa}, batches of {batch}, threads: {threads}; the fastest run of {:.1} s",
        options.seconds
    )?;
    if let Some(path) = &options.picture {
        writeln!(out, "Wrote {}.", path.display())?;
    }
    Ok(())
}

/// Numbers from -1 to 1.
fn waves(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.37).sin()).collect()
}
