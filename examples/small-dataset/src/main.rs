//! A ConvNet from scratch on few pictures, as in chapter 5.2 of *Deep Learning with Python*: without help it learns them by
//! heart; with augmentation and dropout it learns what they show.

use bantam::{AtomicFile, Loss, RmsProp, Trainer};
use bantam_tools::Failure;
use bantam_tools::images::ImageLoader;
use clap::Parser;
use serde_json::json;
use small_dataset::data::Data;
use small_dataset::net::convnet;
use small_dataset::watch::Watch;
use std::io::{Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Trains a ConvNet on few pictures, without and with augmentation and dropout
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  small-dataset
  small-dataset photographs --rate 1e-4 --epochs 100"
)]
struct Arguments {
    /// Colour images: a folder with the folders train, validation and test, which have a folder for each class [default:
    /// digits of MNIST, which is in this repository]
    folder: Option<PathBuf>,
    /// Digits to learn
    #[arg(long, default_value_t = 300, conflicts_with = "folder", value_parser = clap::value_parser!(u16).range(1..))]
    pictures: u16,
    /// Rows and columns that images of a folder are made to have
    #[arg(long, default_value_t = 150, requires = "folder", value_parser = clap::value_parser!(u16).range(3..))]
    size: u16,
    /// How often every picture is learnt
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// The learning rate of RMSprop
    #[arg(long, default_value_t = 1e-3)]
    rate: f32,
    /// What digits, weights, their order and changes are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads that learn; the result is the same to the bit [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// The folder that the curves go to: small-dataset-plain.svg and small-dataset-augmented.svg
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Print a line of JSON for each epoch and one at the end, and nothing else
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let arguments: Arguments = match bantam_tools::parse()? {
        Ok(arguments) => arguments,
        Err(status) => return Ok(status),
    };
    let Arguments { epochs, rate, seed, json, .. } = arguments;
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.map_or(0, usize::from)).build_global()?;
    let mut watch = Watch { out, json, curves: arguments.out.join("small-dataset") };
    // What cannot be written is refused now, and not when everything is learnt.
    for name in ["plain", "augmented"] {
        drop(AtomicFile::create(watch.curves_of(name))?);
    }
    let data = match &arguments.folder {
        Some(folder) => {
            let size = arguments.size.into();
            Data::folder(folder, &ImageLoader::new().target_size(size, size).rescale(1.0 / 255.0))?
        }
        None => Data::digits(arguments.pictures.into(), seed)?,
    };
    if !json {
        let [learnt, validated, tested] = [&data.plain, &data.validation, &data.test].map(|set| set.len());
        writeln!(watch.out, "{learnt} pictures of {} classes to learn,", data.classes.len())?;
        writeln!(watch.out, "{validated} to validate with, {tested} held out.")?;
    }

    // The same pictures twice: as they are, and other ones in every epoch, with a dropout.
    let mut shares = Vec::new();
    for (name, pictures, dropout) in [("plain", &data.plain, 0.0), ("augmented", &data.augmented, 0.5)] {
        let mut model = convnet(pictures.input_shape(), data.classes.len(), dropout, seed)?;
        if !json {
            writeln!(watch.out, "\n{}", model.summary())?;
        }
        let optimizer = RmsProp { rate, ..RmsProp::default() };
        let mut trainer = Trainer::new(optimizer, Loss::SoftmaxCrossEntropy);
        trainer = trainer.epochs(epochs as usize).batch_size(20).seed(seed);
        let took = watch.fit(name, &mut trainer, &mut model, &**pictures, &*data.validation)?;
        // Of the last epoch's weights. Pictures that are held out choose nothing.
        let share = trainer.evaluate(&model, &*data.test)?.accuracy.unwrap_or(0.0);
        if !json {
            let (percent, seconds, curves) = (100.0 * share, took.as_secs_f64(), watch.curves_of(name));
            writeln!(
                watch.out,
                "{name}: {percent:.2} % of the pictures held out are read right, {seconds:.0} s."
            )?;
            writeln!(watch.out, "Wrote {}.", curves.display())?;
        }
        shares.push(share);
    }
    if json {
        writeln!(watch.out, "{}", json!({ "plain": shares[0], "augmented": shares[1] }))?;
    }
    Ok(ExitCode::SUCCESS)
}
