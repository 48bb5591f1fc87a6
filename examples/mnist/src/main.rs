//! `mnist` trains a digit reader; `mnist predict FILE` reads a digit with it; `mnist export FOLDER`
//! writes what firmware needs.

mod export;
mod predict;
mod train;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Trains a small ConvNet to read handwritten digits
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: train::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Reads a digit from a picture with a trained model
    Predict {
        /// The picture, PNG or JPEG
        file: PathBuf,
        /// The model
        #[arg(long, default_value = "mnist.bantam")]
        model: PathBuf,
    },
    /// Writes a trained model and 100 test pictures, with what it reads in them, for firmware
    Export {
        /// Where mnist.bantam and digits.bin go
        folder: PathBuf,
        /// The model
        #[arg(long, default_value = "mnist.bantam")]
        model: PathBuf,
        /// Folder with the four IDX files, plain or .gz (default: MNIST, which comes with this program)
        #[arg(long)]
        data: Option<PathBuf>,
    },
}

/// The folder of the IDX files: that one or our own.
fn data_folder(chosen: Option<&Path>) -> PathBuf {
    chosen.unwrap_or(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data"))).to_path_buf()
}

fn main() -> ExitCode {
    let options = Arguments::parse();
    let result: Result<(), Box<dyn Error>> = match options.command {
        None => train::run(&options.train),
        Some(Command::Predict { file, model }) => predict::run(&file, &model),
        Some(Command::Export { folder, model, data }) => export::run(&folder, &model, data.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
