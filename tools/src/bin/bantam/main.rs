//! `bantam` trains models on folders of images, and tells and shows what they do.

mod augment;
mod augmentation;
mod bench;
mod curves;
mod evaluate;
mod explain;
mod export;
mod import;
mod net;
mod predict;
mod rate;
mod summary;
mod train;

use bantam_mapped::LargePagesAllocator;
use bantam_tools::{Failure, main_of, parse, plan};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::io::{Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// For the arenas of training.
#[global_allocator]
static ALLOCATOR: LargePagesAllocator = LargePagesAllocator;

/// Trains models on folders of images, and tells and shows what they do
///
/// A folder of images has a folder for each class, whose name is the class's.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  bantam train cats_and_dogs/train --augment --dropout 0.5 --out cats.bantam
  bantam evaluate cats.bantam cats_and_dogs/test
  bantam predict cats.bantam my-cat.jpg
  bantam explain cats.bantam my-cat.jpg
  bantam curves cats.jsonl --out curves.png
  bantam augment cats_and_dogs/train --augment --sheet sheet.png

Exit status: 0 if all went well, 1 if something failed, 2 if the arguments are wrong, 130 after Ctrl-C."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains a ConvNet on a folder of images
    Train(Box<train::Options>),
    /// Tells the classes of images
    Predict(predict::Options),
    /// Shows where in an image a class is seen
    Explain(explain::Options),
    /// Measures a model on a folder of images: loss, accuracy, and which class is taken for which
    Evaluate(evaluate::Options),
    /// Prints the layers of a model, and what its file says beside them
    Summary(summary::Options),
    /// Tells the memory that a model takes to run, and to learn its last layers
    Plan {
        /// The model
        model: PathBuf,
        #[command(flatten)]
        options: plan::Options,
    },
    /// Makes a model of one of another program
    Import(import::Options),
    /// Makes a model of another program of one
    Export(export::Options),
    /// Draws loss and accuracy over the epochs of a training
    Curves(curves::Options),
    /// Draws images changed at random, as training would see them
    Augment(augment::Options),
    /// Times a model
    Bench(bench::Options),
    /// Prints a script that completes commands in a shell
    #[command(
        after_help = "Example: bantam completions bash > ~/.local/share/bash-completion/completions/bantam"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    main_of(run)
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let arguments: Arguments = match parse()? {
        Ok(arguments) => arguments,
        Err(status) => return Ok(status),
    };
    match arguments.command {
        Command::Train(options) => return train::run(&options, out),
        Command::Predict(options) => return predict::run(&options, out),
        Command::Explain(options) => explain::run(&options, out)?,
        Command::Evaluate(options) => evaluate::run(&options, out)?,
        Command::Summary(options) => summary::run(&options, out)?,
        Command::Plan { model, options } => plan::run(&model, &options, out)?,
        Command::Import(options) => import::run(&options, out)?,
        Command::Export(options) => export::run(&options, out)?,
        Command::Curves(options) => curves::run(&options, out)?,
        Command::Augment(options) => augment::run(&options, out)?,
        Command::Bench(options) => bench::run(&options, out)?,
        Command::Completions { shell } => {
            // It panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "bantam", &mut script);
            out.write_all(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
