//! `mnist` trains a digit reader; `mnist predict FILE` reads a digit with it; `mnist plan` tells what memory
//! it takes; `mnist export FOLDER` writes what firmware needs.

mod export;
mod options;
mod plan;
mod predict;
mod train;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::io::{self, ErrorKind, Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command failed. The errors of files name them, so a bare [`io::Error`] is standard output's.
type Failure = Box<dyn Error + Send + Sync>;

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
    Plan(plan::Options),
    /// Writes a trained model, folded, and 300 test pictures, with what it reads in them, for firmware
    Export(export::Options),
}

fn main() -> ExitCode {
    let mut out = io::stdout();
    let ended = run(&mut out).and_then(|status| {
        out.flush()?;
        Ok(status)
    });
    let message = match ended {
        Ok(status) => return status,
        Err(error) => match error.downcast_ref::<io::Error>() {
            // Who reads has read enough.
            Some(problem) if problem.kind() == ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Some(problem) => format!("standard output: {problem}"),
            None => error.to_string(),
        },
    };
    // Unlike `eprintln`, no panic where nobody listens.
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::FAILURE
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let options = match Arguments::try_parse() {
        Ok(options) => options,
        Err(help) => {
            let printed = help.print();
            if !help.use_stderr() {
                printed?;
            }
            return Ok(ExitCode::from(u8::try_from(help.exit_code())?));
        }
    };
    match options.command {
        None => return train::run(&options.train, out),
        Some(Command::Predict { file, model }) => predict::run(&file, &model, out)?,
        Some(Command::Plan(options)) => plan::run(&options, out)?,
        Some(Command::Export(options)) => export::run(&options, out)?,
    }
    Ok(ExitCode::SUCCESS)
}
