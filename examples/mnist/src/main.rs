//! `mnist` trains a digit reader; `mnist predict FILE` reads a digit with it; `mnist plan` tells what memory
//! it takes; `mnist export FOLDER` writes what firmware needs.

mod export;
mod options;
mod plan;
mod predict;
mod train;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::path::PathBuf;
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
    /// Tells the memory that a model takes to run, and to learn its last layers
    Plan(plan::Options),
    /// Writes a trained model and 100 test pictures, with what it reads in them, for firmware
    Export(export::Options),
}

fn main() -> ExitCode {
    let options = Arguments::parse();
    let result: Result<(), Box<dyn Error>> = match options.command {
        None => train::run(&options.train),
        Some(Command::Predict { file, model }) => predict::run(&file, &model),
        Some(Command::Plan(options)) => plan::run(&options),
        Some(Command::Export(options)) => export::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
