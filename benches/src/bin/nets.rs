//! Times whole nets as an application runs them, batch by batch:
//! `cargo run --release -p bantam-benches --bin nets -- --help`.

use bantam::{Error, Isa, Model, Sequential, Session};
use bantam_benches::{best_of, numbers};
use clap::Parser;
use serde_json::{Map, Value};
use std::process::ExitCode;

/// Times nets: f32, weights packed before the clock starts, best of several rounds.
#[derive(Parser)]
struct Options {
    /// Instruction set (default: the widest of this CPU)
    #[arg(long)]
    isa: Option<String>,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Only the net and batch of this name
    #[arg(long, value_name = "NAME")]
    exact: Option<String>,
    /// Rounds that the best is taken of
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print `{"name": seconds per image}` instead of the table
    #[arg(long)]
    json: bool,
    /// Time nothing: run each net so often, and print the multiply-adds of a run, to count instructions
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "rounds"])]
    passes: Option<u64>,
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

/// Names and how many images a call takes.
const BATCHES: [(&str, usize); 2] = [("mnist-b1", 1), ("mnist-b64", 64)];

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
    let known = BATCHES.map(|(name, _)| name).join(" or ");
    if let Some(exact) = options.exact.as_ref().filter(|&exact| BATCHES.iter().all(|(name, _)| name != exact))
    {
        return Err(format!("--exact: expected {known}, found {exact}"));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.into()).build();
    let pool = pool.map_err(|error| error.to_string())?;
    let model = mnist().map_err(|error| error.to_string())?;

    if let Some(passes) = options.passes {
        println!("{isa}, {passes} passes");
        println!("net        multiply-adds");
    } else if !options.json {
        println!("{isa}, threads: {}", options.threads);
        println!("net          µs/image    images/s");
    }
    let mut seconds = Map::new();
    for (name, batch) in BATCHES {
        if options.exact.as_ref().is_some_and(|exact| exact != name) {
            continue;
        }
        if let Some(passes) = options.passes {
            let multiply_adds = pool.install(|| count(&model, batch, isa, passes));
            println!("{name:10} {:13}", multiply_adds.map_err(|error| format!("{name}: {error}"))?);
            continue;
        }
        let best = pool.install(|| seconds_per_image(&model, batch, isa, options.rounds));
        let best = best.map_err(|error| format!("{name}: {error}"))?;
        if !options.json {
            println!("{name:10} {:10.2} {:11.0}", best * 1e6, 1.0 / best);
        }
        seconds.insert(name.to_string(), Value::from(best));
    }
    if options.json {
        println!("{}", Value::Object(seconds));
    }
    Ok(())
}

/// The ConvNet for MNIST of *Deep Learning with Python*, without its softmax.
fn mnist() -> Result<Model<'static>, Error> {
    let net = Sequential::new([28, 28, 1]).conv2d(32, 3).relu().max_pool2d(2);
    let net = net.conv2d(64, 3).relu().max_pool2d(2).conv2d(64, 3).relu();
    net.flatten().dense(64).relu().dense(10).build(1)
}

/// Multiply-adds of a pass.
fn count(model: &Model<'_>, batch: usize, isa: Isa, passes: u64) -> Result<u64, Error> {
    let mut session = Session::new(model, batch, isa)?;
    let images = numbers(batch * model.input_shape().elements());
    for _ in 0..passes {
        std::hint::black_box(session.run(&images)?);
    }
    Ok(session.plan().multiply_adds())
}

fn seconds_per_image(model: &Model<'_>, batch: usize, isa: Isa, rounds: u32) -> Result<f64, Error> {
    let mut session = Session::new(model, batch, isa)?;
    let images = numbers(batch * model.input_shape().elements());
    session.run(&images)?;
    let call = best_of(rounds, ROUND, || {
        std::hint::black_box(session.run(&images).expect("it ran before"));
    });
    Ok(call / batch as f64)
}
