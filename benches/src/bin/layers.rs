//! Times every layer of a list on one thread, beside what the core reaches at best in the same run:
//! `cargo run --release -p bantam-benches --bin layers -- --help`.

use bantam_benches::layers::{self, Convolution, Depthwise, Kind, MaxPool};
use bantam_benches::{best_of, peak_multiply_adds};
use bantam_kernels::Isa;
use bantam_kernels::conv2d::{Algorithm, Geometry};
use clap::Parser;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::process::ExitCode;

/// Times convolutions and pools: f32, channels last, bias and ReLU included, weights packed before
/// the clock starts, one thread, best of several rounds.
#[derive(Parser)]
struct Options {
    /// Instruction set (default: the widest of this CPU)
    #[arg(long)]
    isa: Option<String>,
    /// auto, direct, winograd2, winograd3, winograd4 or winograd6; layers that one does not fit are direct
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
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Seconds of a round.
const ROUND: f64 = 0.03;

fn run(options: &Options) -> Result<(), String> {
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
            let known = "auto, direct, winograd2, winograd3, winograd4 or winograd6";
            format!("--algorithm: expected {known}, found {name}")
        })?),
    };
    let list = match &options.layers {
        None => layers::parse(layers::BUILT_IN)?,
        Some(path) => {
            let place = path.display();
            let json = std::fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?;
            layers::parse(&json).map_err(|error| format!("{place}: {error}"))?
        }
    };

    if !options.json {
        println!("{isa}, one thread; % is of the multiply-add peak measured beside the layer,");
        println!(
            "for pools and depthwise convolutions of the speed of reading the input and writing the output"
        );
        let backward = if options.backward { "   input gradient   weight gradient" } else { "" };
        println!("layer                µs  GFLOP/s      %  algorithm  scratch KiB{backward}");
    }
    let mut seconds = Map::new();
    let asked = |name: &str| match &options.exact {
        Some(exact) => name == exact,
        None => name.contains(&options.only),
    };
    for layer in list.iter().filter(|layer| asked(&layer.name)) {
        let name = &layer.name;
        let best = match &layer.kind {
            Kind::Convolution(geometry) => convolution(options, isa, *geometry, algorithm, name),
            Kind::Depthwise(geometry) => depthwise(options, Depthwise::new(isa, *geometry), name),
            Kind::MaxPool(geometry) => pool(options, MaxPool::new(isa, *geometry), name),
            Kind::Grouped(groups) => {
                eprintln!("{name}: left out, no kernel for {groups} groups yet");
                continue;
            }
        };
        seconds.insert(name.clone(), Value::from(best.map_err(|error| format!("{name}: {error}"))?));
    }
    if options.json {
        println!("{}", Value::Object(seconds));
    }
    Ok(())
}

fn convolution(
    options: &Options,
    isa: Isa,
    geometry: Geometry,
    algorithm: Option<Algorithm>,
    name: &str,
) -> Result<f64, bantam_kernels::Error> {
    let work = geometry.multiply_adds() as f64;
    let mut layer = Convolution::new(isa, geometry, algorithm)?;
    layer.forward()?;
    let run =
        |layer: &mut Convolution| best_of(options.rounds, ROUND, || layer.forward().expect("it ran before"));
    if options.json {
        return Ok(run(&mut layer));
    }
    let peak = peak_multiply_adds(isa);
    let forward = run(&mut layer);
    let percent = |seconds: f64| 100.0 * work / seconds / peak;
    let scratch = layer.scratch_bytes() as f64 / 1024.0;
    print!(
        "{name:13} {:9.1} {:8.1} {:6.1}  {:9} {scratch:12.0}",
        forward * 1e6,
        2e-9 * work / forward,
        percent(forward),
        layer.algorithm().name(),
    );
    if options.backward {
        layer.grad_input()?;
        layer.grad_weights()?;
        for seconds in [
            best_of(options.rounds, ROUND, || layer.grad_input().expect("it ran before")),
            best_of(options.rounds, ROUND, || layer.grad_weights().expect("it ran before")),
        ] {
            print!("  {:9.1} {:6.1}", seconds * 1e6, percent(seconds));
        }
    }
    println!();
    Ok(forward)
}

fn depthwise(options: &Options, mut layer: Depthwise, name: &str) -> Result<f64, bantam_kernels::Error> {
    layer.forward()?;
    let forward = best_of(options.rounds, ROUND, || layer.forward().expect("it ran before"));
    if options.json {
        return Ok(forward);
    }
    let floor = best_of(options.rounds, ROUND, || layer.floor());
    let percent = |seconds: f64| 100.0 * floor / seconds;
    print!(
        "{name:13} {:9.1} {:8.1} {:6.1}  {:9} {:12.0}",
        forward * 1e6,
        2e-9 * layer.multiply_adds() as f64 / forward,
        percent(forward),
        "depthwise",
        0.0
    );
    if options.backward {
        layer.grad_input()?;
        layer.grad_weights()?;
        for seconds in [
            best_of(options.rounds, ROUND, || layer.grad_input().expect("it ran before")),
            best_of(options.rounds, ROUND, || layer.grad_weights().expect("it ran before")),
        ] {
            print!("  {:9.1} {:6.1}", seconds * 1e6, percent(seconds));
        }
    }
    println!();
    Ok(forward)
}

fn pool(options: &Options, mut layer: MaxPool, name: &str) -> Result<f64, bantam_kernels::Error> {
    layer.forward()?;
    let forward = best_of(options.rounds, ROUND, || layer.forward().expect("it ran before"));
    if !options.json {
        let floor = best_of(options.rounds, ROUND, || layer.floor());
        let bytes = layer.bytes() as f64;
        println!(
            "{name:13} {:9.1} {:8.1} {:6.1}  GB/s read and written",
            forward * 1e6,
            1e-9 * bytes / forward,
            100.0 * floor / forward
        );
    }
    Ok(forward)
}
