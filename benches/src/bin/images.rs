//! Times a folder of images as a data set: `cargo run --release -p bantam-benches --bin images -- --help`.

use bantam::{Augmentation, Dataset};
use bantam_tools::images::ImageFolder;
use bantam_tools::{Failure, parse};
use clap::Parser;
use serde_json::json;
use std::io::{Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Times decoding, resizing and augmentation of a folder of images, and scaling to 0..1: the fastest of some epochs.
#[derive(Parser)]
struct Options {
    /// The images: a folder with a folder for each class
    folder: PathBuf,
    /// Rows and columns of what comes out
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u16).range(1..))]
    size: u16,
    /// Threads that decode
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Epochs that the fastest is taken of
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    epochs: u16,
    /// Without augmentation, which else is rotation, shifts, shear, zoom and flips
    #[arg(long)]
    plain: bool,
    /// Print `{"images_per_second": …}` instead of a sentence
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let options: Options = match parse()? {
        Ok(options) => options,
        Err(status) => return Ok(status),
    };
    let (size, threads) = (usize::from(options.size), usize::from(options.threads));
    let mut folder =
        ImageFolder::new(&options.folder).target_size(size, size).rescale(1.0 / 255.0).threads(threads);
    if !options.plain {
        let augmentation =
            Augmentation::image_data_generator().rotation(40.0).width_shift(0.2).height_shift(0.2);
        folder = folder.augment(augmentation.shear(0.2).zoom(0.2).horizontal_flip());
    }
    let set = folder.open()?;
    let order: Vec<usize> = (0..set.len()).collect();
    let mut pixels = vec![0.0; set.input_shape().elements()];
    let mut fastest = f64::INFINITY;
    for epoch in 0..options.epochs {
        let start = Instant::now();
        set.begin_epoch(&order, epoch.into())?;
        for &index in &order {
            set.read(index, &mut pixels, &mut [0.0])?;
        }
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    let speed = set.len() as f64 / fastest;
    if options.json {
        writeln!(out, "{}", json!({ "images_per_second": speed }))?;
    } else {
        writeln!(out, "{} images of {size}×{size}, threads: {threads}: {speed:.0} images/s", set.len())?;
    }
    Ok(ExitCode::SUCCESS)
}
