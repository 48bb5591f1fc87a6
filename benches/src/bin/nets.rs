//! Times whole nets as an application runs them, batch by batch:
//! `cargo run --release -p bantam-benches --bin nets -- --help`.

use bantam::{Conv2d, Error, GraphBuilder, Isa, MaxPool2d, Model, Padding, Plan, Sequential, Session, Value};
use bantam_benches::{best_of, mapped, numbers, resident, write, zoo_net};
use bantam_mapped::LargePages;
use bantam_tools::{Failure, parse};
use bantam_zoo::NAMES;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, json};
use std::fmt::Display;
use std::io::{Stdout, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Times nets: f32, weights packed before the clock starts, best of several rounds.
#[derive(Parser)]
struct Options {
    /// Only this net (default: those that are not of the zoo)
    #[arg(long, value_parser = PossibleValuesParser::new(names()))]
    net: Option<String>,
    /// Images of a call (default: 1, and what a net is often run with besides)
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
    /// Instruction set (default: the widest of this CPU)
    #[arg(long)]
    isa: Option<String>,
    /// Without Winograd's algorithm: prepared weights are no larger than the model's
    #[arg(long)]
    direct_only: bool,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Rounds that the best is taken of
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print `{"NET-bBATCH": seconds per image, …, "peak_bytes": {…}}` instead of the table
    #[arg(long)]
    json: bool,
    /// Time nothing: save the net to this file, for other programs and one image if it ends in .onnx
    #[arg(long, value_name = "FILE", requires = "net", conflicts_with_all = ["json", "rounds", "passes"])]
    write: Option<PathBuf>,
    /// Time nothing: print how many bytes more this process takes to run the net, which `--write` has saved to this file, and
    /// how many it took to open it
    #[arg(long, value_name = "FILE", requires = "net", conflicts_with_all = ["rounds", "passes", "write"])]
    memory: Option<PathBuf>,
    /// Time nothing: run each net so often, and print the multiply-adds of a run, to count instructions
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "rounds"])]
    passes: Option<u64>,
}

/// A net without its softmax.
struct Net {
    name: &'static str,
    /// Images of a call.
    batches: &'static [usize],
    build: fn() -> Result<Model<'static>, Error>,
}

/// Those that are timed if none is named: the ConvNet for MNIST of *Deep Learning with Python*; a net shaped as ResNet-18, its batch
/// normalisation folded, for images of 56×56×3; the convolutions and pools of VGG-16, for images of 150×150×3; and 100 ReLUs over
/// 16 numbers, which tell what a node costs.
const NETS: [Net; 4] = [
    Net { name: "mnist", batches: &[1, 64], build: mnist },
    Net { name: "resnet18-56", batches: &[1, 16], build: resnet18 },
    Net { name: "vgg16-150", batches: &[1, 20], build: vgg16_base },
    Net {
        name: "relus",
        batches: &[1],
        build: || (0..100).fold(Sequential::new([16]), |net, _| net.relu()).build(1),
    },
];

/// A net of those, or one of the zoo.
fn build(name: &str) -> Result<Model<'static>, Error> {
    NETS.iter().find(|net| net.name == name).map_or_else(|| zoo_net(name), |net| (net.build)())
}

fn names() -> impl Iterator<Item = &'static str> {
    NETS.iter().map(|net| net.name).chain(NAMES.iter().copied())
}

fn batches(name: &str) -> &'static [usize] {
    NETS.iter().find(|net| net.name == name).map_or(&[1], |net| net.batches)
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

/// Seconds of a round.
const ROUND: f64 = 0.03;

/// Runs whose memory is measured.
const RUNS: usize = 5;

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
    if let (Some(net), Some(file)) = (&options.net, &options.write) {
        let model = build(net).map_err(|error| format!("{net}: {error}"))?;
        write(&model, file)?;
        return Ok(ExitCode::SUCCESS);
    }
    let threads = usize::from(options.threads);
    let how = |batch| {
        let how = bantam::Options::new(batch).isa(isa).threads(threads);
        if options.direct_only { how.direct_only() } else { how }
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool?;
    if let (Some(net), Some(file)) = (&options.net, &options.memory) {
        let batch = usize::from(options.batch.unwrap_or(1));
        let [opened, run] = pool.install(|| memory(file, how(batch), batch))?;
        match options.json {
            true => writeln!(out, "{}", json!({ format!("{net}-b{batch}"): run }))?,
            false => writeln!(out, "{net}-b{batch}: {run} bytes, and {opened} to open it")?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(passes) = options.passes {
        writeln!(out, "{isa}, {passes} passes")?;
        writeln!(out, "net                multiply-adds")?;
    } else if !options.json {
        writeln!(out, "{isa}, threads: {threads}")?;
        writeln!(out, "net                  µs/image    images/s    arena bytes")?;
    }
    let (mut seconds, mut peaks) = (Map::new(), Map::new());
    let nets = match &options.net {
        Some(net) => vec![net.as_str()],
        None => NETS.iter().map(|net| net.name).collect(),
    };
    for net in nets {
        let told = |error: Error| format!("{net}: {error}");
        let model = build(net).map_err(told)?;
        let asked = options.batch.map(usize::from);
        for &batch in asked.as_ref().map_or(batches(net), std::slice::from_ref) {
            let name = format!("{net}-b{batch}");
            let how = how(batch);
            if let Some(passes) = options.passes {
                writeln!(
                    out,
                    "{name:18} {:13}",
                    pool.install(|| count(&model, how, batch, passes)).map_err(told)?
                )?;
                continue;
            }
            let best =
                pool.install(|| seconds_per_image(&model, how, batch, options.rounds)).map_err(told)?;
            let peak = Plan::new(&model, how).map_err(told)?.peak_bytes();
            if !options.json {
                writeln!(out, "{name:18} {:10.2} {:11.0} {peak:14}", best * 1e6, 1.0 / best)?;
            }
            seconds.insert(name.clone(), json!(best));
            peaks.insert(name, json!(peak));
        }
    }
    if options.json {
        seconds.insert("peak_bytes".to_string(), peaks.into());
        writeln!(out, "{}", serde_json::Value::Object(seconds))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Bytes that this process takes at the most while it opens the net of a mapped file, and while it runs it then, and did not take
/// before.
fn memory(file: &Path, how: bantam::Options, batch: usize) -> Result<[usize; 2], String> {
    let told = |error: &dyn Display| format!("{}: {error}", file.display());
    let untold = || "expected a system that tells a process what memory it takes".to_string();
    let before = resident("VmRSS:").ok_or_else(untold)?;
    let most = || resident("VmHWM:").map(|most| most.saturating_sub(before)).ok_or_else(untold);
    let bytes = mapped::map(file)?;
    let model = Model::from_bytes(&bytes).map_err(|error| told(&error))?;
    let plan = Plan::new(&model, how).map_err(|error| told(&error))?;
    let mut arena = LargePages::new(plan.peak_bytes()).map_err(|error| told(&error))?;
    let release = |weights: &[f32]| bytes.release_part(weights).unwrap_or_default();
    let session = Session::with_bytes_observed(&model, how, &mut arena, release);
    let mut session = session.map_err(|error| told(&error))?;
    let images = numbers(batch * model.input_shape().elements());
    let mut run = || session.run(&images).map(|outputs| _ = std::hint::black_box(outputs));
    run().map_err(|error| told(&error))?;
    let opened = most()?;
    bytes.release().map_err(|error| told(&error))?;
    // Begins the peak anew (proc(5)): of the others, too, what it takes to make a net is not counted.
    std::fs::write("/proc/self/clear_refs", "5").map_err(|error| error.to_string())?;
    (0..RUNS).try_for_each(|_| run()).map_err(|error| told(&error))?;
    Ok([opened, most()?])
}

fn mnist() -> Result<Model<'static>, Error> {
    let net = Sequential::new([28, 28, 1]).conv2d(32, 3).relu().max_pool2d(2);
    let net = net.conv2d(64, 3).relu().max_pool2d(2).conv2d(64, 3).relu();
    net.flatten().dense(64).relu().dense(10).build(1)
}

fn pad(pad: usize) -> Padding {
    Padding::Explicit { top: pad, bottom: pad, left: pad, right: pad }
}

fn conv3x3(x: Value<'_>, filters: usize, stride: usize) -> Value<'_> {
    x.conv2d_with(filters, [3, 3], Conv2d::padded(pad(1)).stride(stride))
}

/// He et al., arXiv 1512.03385, with padding as PyTorch has it.
fn resnet18() -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let stem = net.input([56, 56, 3]).conv2d_with(64, [7, 7], Conv2d::padded(pad(3)).stride(2)).relu();
    let mut x = stem.max_pool2d_with(MaxPool2d::new(3).stride(2).padding(pad(1)));
    for (filters, first_stride) in [(64, 1), (128, 2), (256, 2), (512, 2)] {
        for stride in [first_stride, 1] {
            let shortcut = match stride {
                1 => x,
                _ => x.conv2d_with(filters, [1, 1], Conv2d::valid().stride(stride)),
            };
            let residual = conv3x3(conv3x3(x, filters, stride).relu(), filters, 1);
            x = net.add(&[residual, shortcut]).relu();
        }
    }
    net.build(&[x.global_average_pool2d().dense(1000)], 1)
}

/// Simonyan and Zisserman, arXiv 1409.1556, without its classifier.
fn vgg16_base() -> Result<Model<'static>, Error> {
    let mut net = Sequential::new([150, 150, 3]);
    for (filters, convolutions) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
        for _ in 0..convolutions {
            net = net.conv2d_with(filters, [3, 3], Conv2d::same()).relu();
        }
        net = net.max_pool2d(2);
    }
    net.build(1)
}

/// Multiply-adds of a pass.
fn count(model: &Model<'_>, how: bantam::Options, batch: usize, passes: u64) -> Result<u64, Error> {
    let mut session = Session::new(model, how)?;
    let images = numbers(batch * model.input_shape().elements());
    for _ in 0..passes {
        std::hint::black_box(session.run(&images)?);
    }
    Ok(session.plan().multiply_adds())
}

fn seconds_per_image(
    model: &Model<'_>,
    how: bantam::Options,
    batch: usize,
    rounds: u32,
) -> Result<f64, Error> {
    let mut session = Session::new(model, how)?;
    let images = numbers(batch * model.input_shape().elements());
    session.run(&images)?;
    let call = best_of(rounds, ROUND, || {
        std::hint::black_box(session.run(&images).expect("it ran before"));
    });
    Ok(call / batch as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the lifetimes of what they compute, no arena is smaller by more than a fiftieth.
    #[test]
    fn arenas_are_as_small_as_they_can_be() {
        for net in NETS {
            let model = (net.build)().unwrap();
            for isa in Isa::available() {
                for &batch in net.batches {
                    let plan = Plan::new(&model, bantam::Options::new(batch).isa(isa)).unwrap();
                    let (peak, bound) = (plan.peak_bytes(), plan.lower_bound_bytes());
                    assert!(
                        bound <= peak && peak * 50 <= bound * 51,
                        "{}: {peak}, {bound}\n{plan}",
                        net.name
                    );
                }
            }
        }
    }
}
