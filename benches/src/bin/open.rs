//! Times what lies between a large model's file and its first answer:
//! `cargo run --release -p bantam-benches --bin open -- --help`.

use bantam::{Error, Model, Plan, Sequential, Session};
use bantam_benches::{mapped, numbers, write, zoo_net};
use bantam_mapped::LargePages;
use bantam_tools::{Failure, parse};
use bantam_zoo::NAMES;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};
use std::io::{Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Maps a model's file, checks it, plans, prepares the weights and answers once
#[derive(Parser)]
struct Options {
    /// The file
    file: PathBuf,
    /// Writes that net, with random weights, to the file, as ONNX if it ends in .onnx, and times nothing
    #[arg(long, value_name = "NET", value_parser = PossibleValuesParser::new(names()))]
    write: Option<String>,
    /// Without Winograd's algorithm: prepared weights are no larger than those of the file
    #[arg(long)]
    direct_only: bool,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Print JSON: seconds of each part and in all, and the answer
    #[arg(long)]
    json: bool,
}

/// Three dense layers for images of 32×32×3, 138 million weights, which are read once.
const PERCEPTRON: &str = "perceptron";

fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once(PERCEPTRON).chain(NAMES.iter().copied())
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let options: Options = match parse()? {
        Ok(options) => options,
        Err(status) => return Ok(status),
    };
    match &options.write {
        Some(net) => write(&build(net)?, &options.file)?,
        None => open(&options, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn build(net: &str) -> Result<Model<'static>, Error> {
    if net == PERCEPTRON { perceptron() } else { zoo_net(net) }
}

fn perceptron() -> Result<Model<'static>, Error> {
    Sequential::new([32, 32, 3]).flatten().dense(8192).relu().dense(12288).relu().dense(1000).build(1)
}

fn open(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", options.file.display());
    let threads = usize::from(options.threads);
    let mut watch = Watch { start: Instant::now(), seconds: Map::new() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let (answer, seconds) = pool?.install(|| {
        let file = mapped::map(&options.file)?;
        watch.took("map");
        let model = Model::from_bytes(&file).map_err(|error| told(&error))?;
        watch.took("check");
        let how = bantam::Options::new(1).threads(threads);
        let how = if options.direct_only { how.direct_only() } else { how };
        let plan = Plan::new(&model, how).map_err(|error| told(&error))?;
        watch.took("plan");
        let mut arena = LargePages::new(plan.peak_bytes()).map_err(|error| told(&error))?;
        let release = |weights: &[f32]| file.release_part(weights).unwrap_or_default();
        let session = Session::with_bytes_observed(&model, how, &mut arena, release);
        let mut session = session.map_err(|error| told(&error))?;
        watch.took("prepare");
        let image = numbers(model.input_shape().elements());
        let answer = session.run(&image).map_err(|error| told(&error))?.to_vec();
        watch.took("answer");
        Ok::<_, String>((answer, watch.all()))
    })?;
    if options.json {
        writeln!(out, "{}", json!({ "seconds": seconds, "answer": answer }))?;
    } else {
        for (part, seconds) in seconds {
            writeln!(out, "{part:8} {:8.1} ms", 1e3 * seconds.as_f64().unwrap_or(f64::NAN))?;
        }
    }
    Ok(())
}

/// What each part took, since the one before.
struct Watch {
    start: Instant,
    seconds: Map<String, Value>,
}

impl Watch {
    fn took(&mut self, part: &str) {
        let before: f64 = self.seconds.values().filter_map(Value::as_f64).sum();
        self.seconds.insert(part.to_string(), json!(self.start.elapsed().as_secs_f64() - before));
    }

    fn all(mut self) -> Map<String, Value> {
        self.seconds.insert("all".to_string(), json!(self.start.elapsed().as_secs_f64()));
        self.seconds
    }
}
