//! Times every layer of a list beside what the core reaches at best in the same run:
//! `cargo run --release -p bantam-benches --bin layers -- --help`.

use bantam::Session;
use bantam_benches::layers::{self, Layer, Ready};
use bantam_benches::{best_of, numbers, peak_multiply_adds};
use bantam_kernels::conv2d::Algorithm;
use bantam_kernels::{Isa, reduce};
use bantam_tools::{Failure, parse};
use clap::Parser;
use serde_json::{Map, Value};
use std::io::{self, Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Times convolutions and pools: f32, channels last, bias and ReLU included, weights packed before
/// the clock starts, best of several rounds.
#[derive(Parser)]
struct Options {
    /// Threads; with more than one, the engine's layers are timed on one thread and on all
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(conflicts_with_all = ["algorithm", "backward", "passes"])]
    threads: u16,
    /// Instruction set (default: the widest of this CPU)
    #[arg(long)]
    isa: Option<String>,
    /// auto, direct, winograd2x1, winograd1x4, winograd-rows, winograd-columns, winograd2, winograd3, winograd4, winograd5 or winograd6; layers that one does not fit are direct
    #[arg(long, default_value = "auto")]
    algorithm: String,
    /// JSON list of layers (default: the list in benches/layers.json)
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
    /// Only layers whose name contains this
    #[arg(long, default_value = "", value_name = "TEXT")]
    only: String,
    /// Only the layer of this name
    #[arg(long, value_name = "NAME", conflicts_with = "only")]
    exact: Option<String>,
    /// Rounds that the best is taken of
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Time the gradients too
    #[arg(long)]
    backward: bool,
    /// Print `{"name": seconds}` of the forward pass instead of the table
    #[arg(long)]
    json: bool,
    /// Time nothing: run each forward pass so often, and print its multiply-adds, to count instructions
    #[arg(long, value_name = "N", conflicts_with_all = ["backward", "json", "rounds"])]
    passes: Option<u64>,
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

/// Seconds of a round.
const ROUND: f64 = 0.03;

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let options: Options = match parse()? {
        Ok(options) => options,
        Err(status) => return Ok(status),
    };
    let isa = match &options.isa {
        None => Isa::detect(),
        Some(name) => Isa::named(name).ok_or_else(|| {
            let known = Isa::available().map(Isa::name).collect::<Vec<_>>().join(", ");
            format!("--isa: expected one that this CPU has ({known}), found {name}")
        })?,
    };
    let algorithm = match options.algorithm.as_str() {
        "auto" => None,
        name => Some(Algorithm::named(name).ok_or_else(|| {
            let known = "auto, direct, winograd2x1, winograd1x4, winograd-rows, winograd-columns, winograd2, winograd3, winograd4, winograd5 or winograd6";
            format!("--algorithm: expected {known}, found {name}")
        })?),
    };
    let mut list = match &options.layers {
        None => layers::parse(layers::BUILT_IN)?,
        Some(path) => {
            let place = path.display();
            let json = std::fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?;
            layers::parse(&json).map_err(|error| format!("{place}: {error}"))?
        }
    };
    list.retain(|layer| match &options.exact {
        Some(exact) => layer.name == *exact,
        None => layer.name.contains(&options.only),
    });

    if let Some(passes) = options.passes {
        count(isa, algorithm, &list, passes, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut seconds = Map::new();
    let mut keep = |layer: &Layer, best: f64| seconds.insert(layer.name.clone(), Value::from(best));
    if options.threads > 1 {
        let [one, all] = [1, options.threads]
            .map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build());
        let pools = [one?, all?];
        if !options.json {
            writeln!(out, "{isa}")?;
            writeln!(out, "layer         µs, 1 thread  µs, {} threads  times as fast", options.threads)?;
        }
        for layer in &list {
            keep(layer, on_threads(&options, isa, layer, &pools, out)?);
        }
    } else {
        if !options.json {
            writeln!(
                out,
                "{isa}, one thread; % is of the multiply-add peak measured beside the layer, for pools"
            )?;
            writeln!(
                out,
                "and depthwise convolutions of the speed of reading the input and writing the output"
            )?;
            let backward = if options.backward { "   input gradient   weight gradient" } else { "" };
            writeln!(out, "layer                µs  GFLOP/s      %  algorithm  scratch KiB{backward}")?;
        }
        for layer in &list {
            let mut ready = ready(layer, isa, algorithm)?;
            keep(layer, on_one_thread(&options, isa, &layer.name, &mut *ready, out)?);
        }
    }
    if options.json {
        writeln!(out, "{}", Value::Object(seconds))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A layer whose passes have all run once.
fn ready(layer: &Layer, isa: Isa, algorithm: Option<Algorithm>) -> Result<Box<dyn Ready>, String> {
    let ready = || {
        let mut ready = layer.kind.ready(isa, algorithm)?;
        ready.forward()?;
        ready.grad_input()?;
        ready.grad_weights().transpose()?;
        Ok(ready)
    };
    ready().map_err(|error: bantam_kernels::Error| format!("{}: {error}", layer.name))
}

fn count(
    isa: Isa,
    algorithm: Option<Algorithm>,
    list: &[Layer],
    passes: u64,
    out: &mut Stdout,
) -> Result<(), Failure> {
    writeln!(out, "{isa}, {passes} passes")?;
    writeln!(out, "layer          multiply-adds  algorithm")?;
    for layer in list {
        let mut ready = ready(layer, isa, algorithm)?;
        for _ in 0..passes {
            ready.forward().expect("it ran before");
        }
        writeln!(out, "{:13} {:14}  {}", layer.name, passes * ready.multiply_adds(), ready.algorithm())?;
    }
    Ok(())
}

fn on_one_thread(
    options: &Options,
    isa: Isa,
    name: &str,
    layer: &mut dyn Ready,
    out: &mut Stdout,
) -> io::Result<f64> {
    let time =
        |layer: &mut dyn Ready, pass: fn(&mut dyn Ready)| best_of(options.rounds, ROUND, || pass(layer));
    let forward = time(layer, |layer| layer.forward().expect("it ran before"));
    if options.json {
        return Ok(forward);
    }
    let bound = if layer.memory_bound() {
        let (input, output) = layer.arrays();
        best_of(options.rounds, ROUND, || read_and_write(isa, input, output))
    } else {
        layer.multiply_adds() as f64 / peak_multiply_adds(isa)
    };
    let percent = |seconds: f64| 100.0 * bound / seconds;
    write!(
        out,
        "{name:13} {:9.1} {:8.1} {:6.1}  {:9} {:12.0}",
        forward * 1e6,
        2e-9 * layer.multiply_adds() as f64 / forward,
        percent(forward),
        layer.algorithm(),
        layer.scratch_bytes() as f64 / 1024.0,
    )?;
    if options.backward {
        let input = time(layer, |layer| layer.grad_input().expect("it ran before"));
        write!(out, "  {:9.1} {:6.1}", input * 1e6, percent(input))?;
        if layer.grad_weights().is_some() {
            let weights = time(layer, |layer| {
                layer.grad_weights();
            });
            write!(out, "  {:9.1} {:6.1}", weights * 1e6, percent(weights))?;
        }
    }
    writeln!(out)?;
    Ok(forward)
}

/// What a layer asks of the memory at the least.
fn read_and_write(isa: Isa, input: &[f32], output: &mut [f32]) {
    std::hint::black_box(reduce::sum(isa, input));
    output.fill(std::hint::black_box(1.0));
}

/// Seconds on all threads.
fn on_threads(
    options: &Options,
    isa: Isa,
    layer: &Layer,
    pools: &[rayon::ThreadPool; 2],
    out: &mut Stdout,
) -> Result<f64, Failure> {
    let name = &layer.name;
    let told = |error: bantam::Error| format!("{name}: {error}");
    let (batch, model) = layer.net().map_err(told)?;
    let input = numbers(batch * model.input_shape().elements());
    let mut seconds = [0.0; 2];
    for (pool, seconds) in pools.iter().zip(&mut seconds) {
        *seconds = pool
            .install(|| {
                let net = bantam::Options::new(batch).isa(isa).threads(rayon::current_num_threads());
                let mut session = Session::new(&model, net)?;
                session.run(&input)?;
                Ok(best_of(options.rounds, ROUND, || {
                    std::hint::black_box(session.run(&input).expect("it ran before"));
                }))
            })
            .map_err(told)?;
    }
    let [one, all] = seconds;
    if !options.json {
        writeln!(out, "{name:13} {:12.1} {:14.1} {:14.2}", one * 1e6, all * 1e6, one / all)?;
    }
    Ok(all)
}
