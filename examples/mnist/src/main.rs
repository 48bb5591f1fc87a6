//! `mnist` trains a digit reader; `mnist predict FILE` reads a digit with it; `mnist plan` tells what memory
//! it takes; `mnist export FOLDER` writes what firmware needs.

mod export;
mod options;
mod predict;
mod train;

use bantam_tools::{Failure, plan};
use clap::{Parser, Subcommand};
use std::io::Stdout;
use std::path::PathBuf;
use std::process::ExitCode;

/// Trains a small net to read handwritten digits
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
    Plan {
        /// The model
        #[arg(default_value = "mnist.bantam")]
        model: PathBuf,
        #[command(flatten)]
        options: plan::Options,
    },
    /// Writes a trained model, folded, and 300 test pictures, with what it reads in them, for firmware
    Export(export::Options),
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let options: Arguments = match bantam_tools::parse()? {
        Ok(options) => options,
        Err(status) => return Ok(status),
    };
    match options.command {
        None => return train::run(&options.train, out),
        Some(Command::Predict { file, model }) => predict::run(&file, &model, out)?,
        Some(Command::Plan { model, options }) => plan::run(&model, &options, out)?,
        Some(Command::Export(options)) => export::run(&options, out)?,
    }
    Ok(ExitCode::SUCCESS)
}
