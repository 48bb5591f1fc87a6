//! Times what lies between a large model's file and its first answer:
//! `cargo run --release -p bantam-benches --bin open -- --help`.

use bantam::{Conv2d, Error, Model, Plan, Sequential, Session};
use bantam_benches::numbers;
use bantam_mapped::{LargePages, MappedFile};
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Maps a model's file, checks it, plans, prepares the weights and answers once
#[derive(Parser)]
struct Options {
    /// The file
    file: PathBuf,
    /// Writes that net, of 138 million random weights, to the file, and times nothing
    #[arg(long, value_name = "NET")]
    write: Option<Net>,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Print JSON: seconds of each part and in all, and the answer
    #[arg(long)]
    json: bool,
}

/// Nets without their softmax.
#[derive(Clone, Copy, ValueEnum)]
enum Net {
    /// VGG-16 for images of 224×224×3
    Vgg16,
    /// Three dense layers for images of 32×32×3
    Perceptron,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.write {
        Some(net) => write(net, &options.file),
        None => open(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Simonyan and Zisserman, arXiv 1409.1556, configuration D, without its softmax.
fn vgg16() -> Result<Model<'static>, Error> {
    let mut net = Sequential::new([224, 224, 3]);
    for (filters, convolutions) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
        for _ in 0..convolutions {
            net = net.conv2d_with(filters, [3, 3], Conv2d::same()).relu();
        }
        net = net.max_pool2d(2);
    }
    net.flatten().dense(4096).relu().dense(4096).relu().dense(1000).build(1)
}

fn perceptron() -> Result<Model<'static>, Error> {
    Sequential::new([32, 32, 3]).flatten().dense(8192).relu().dense(12288).relu().dense(1000).build(1)
}

fn write(net: Net, file: &Path) -> Result<(), String> {
    let model = match net {
        Net::Vgg16 => vgg16(),
        Net::Perceptron => perceptron(),
    };
    model.and_then(|model| model.save(file)).map_err(|error| error.to_string())
}

fn open(options: &Options) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", options.file.display());
    let threads = usize::from(options.threads);
    let mut watch = Watch { start: Instant::now(), seconds: Map::new() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| error.to_string())?;
    let (answer, seconds) = pool.install(|| {
        // SAFETY: a bench's file, which nobody writes to while it runs.
        let file = unsafe { MappedFile::open(&options.file) }.map_err(|error| told(&error))?;
        watch.took("map");
        let model = Model::from_bytes(&file).map_err(|error| told(&error))?;
        watch.took("check");
        let how = bantam::Options::new(1).threads(threads);
        let plan = Plan::new(&model, how).map_err(|error| told(&error))?;
        watch.took("plan");
        let mut arena = LargePages::new(plan.peak_bytes()).map_err(|error| told(&error))?;
        let mut session = Session::with_bytes(&model, how, &mut arena).map_err(|error| told(&error))?;
        watch.took("prepare");
        let image = numbers(model.input_shape().elements());
        let answer = session.run(&image).map_err(|error| told(&error))?.to_vec();
        watch.took("answer");
        Ok::<_, String>((answer, watch.all()))
    })?;
    if options.json {
        println!("{}", json!({ "seconds": seconds, "answer": answer }));
    } else {
        for (part, seconds) in seconds {
            println!("{part:8} {:8.1} ms", 1e3 * seconds.as_f64().unwrap_or(f64::NAN));
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
