//! Times every layer of the list on one thread, beside the peak that the core reaches in the same
//! run: `cargo run --release -p bantam-benches --bin layers -- --help`.

use bantam_benches::layers::{Convolution, convolutions};
use bantam_benches::{best_seconds, peak_multiply_adds};
use bantam_kernels::{Error, Isa};
use clap::Parser;
use serde_json::{Map, Value};
use std::process::ExitCode;

/// Times convolution layers: f32, channels last, bias and ReLU included, weights packed before
/// the clock starts, one thread, best of seven rounds.
#[derive(Parser)]
struct Options {
    /// Instruction set (default: the widest of this CPU)
    #[arg(long)]
    isa: Option<String>,
    /// Only layers whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Time the gradients too
    #[arg(long)]
    backward: bool,
    /// Print `{"name": seconds}` of the forward pass instead of the table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let isa = match &options.isa {
        None => Isa::detect(),
        Some(name) => match Isa::named(name) {
            Some(isa) => isa,
            None => {
                let known = Isa::available().map(Isa::name).collect::<Vec<_>>().join(", ");
                eprintln!("--isa: expected one that this CPU has ({known}), got {name}");
                return ExitCode::FAILURE;
            }
        },
    };
    match run(&options, isa) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, isa: Isa) -> Result<(), Error> {
    if !options.json {
        println!("{isa}, one thread; % is of the multiply-add peak measured beside the layer");
        let backward = if options.backward { "  input gradient   weight gradient" } else { "" };
        println!("{:13} {:>10} {:>9} {:>7}{backward}", "layer", "µs", "GFLOP/s", "%");
    }
    let mut seconds = Map::new();
    for (name, geometry) in convolutions(&options.only)? {
        let work = geometry.multiply_adds() as f64;
        let mut layer = Convolution::new(isa, geometry)?;
        layer.forward()?;
        let peak = peak_multiply_adds(isa);
        let forward = best_seconds(0.03, || layer.forward().expect("it ran before"));
        seconds.insert(name.into(), Value::from(forward));
        if options.json {
            continue;
        }
        let percent = |seconds: f64| 100.0 * work / seconds / peak;
        print!("{name:13} {:10.1} {:9.1} {:7.1}", forward * 1e6, 2e-9 * work / forward, percent(forward));
        if options.backward {
            layer.grad_input()?;
            layer.grad_weights()?;
            let input = best_seconds(0.03, || layer.grad_input().expect("it ran before"));
            let weights = best_seconds(0.03, || layer.grad_weights().expect("it ran before"));
            print!(
                "  {:7.1} {:6.1}  {:8.1} {:6.1}",
                input * 1e6,
                percent(input),
                weights * 1e6,
                percent(weights)
            );
        }
        println!();
    }
    if options.json {
        println!("{}", Value::Object(seconds));
    }
    Ok(())
}
