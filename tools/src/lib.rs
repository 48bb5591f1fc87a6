//! What a desktop has beside the engine: folders of images as data sets, and what its programs share. The program `bantam`
//! trains on such folders.
#![forbid(unsafe_code)]

pub mod bar;
pub mod draw;
pub mod export;
pub mod features;
pub mod images;
pub mod import;
pub mod interrupt;
pub mod options;
pub mod pictures;
pub mod plan;
pub mod steps;
pub mod training;

use clap::Parser;
use std::error::Error;
use std::io::{self, ErrorKind, Stdout, Write};
use std::process::ExitCode;

/// Why a command failed. The errors of files name them, so a bare [`io::Error`] is standard output's.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Runs a program. What went wrong is said on standard error, and is its status.
pub fn main_of(run: impl FnOnce(&mut Stdout) -> Result<ExitCode, Failure>) -> ExitCode {
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

/// The program's arguments; or its status, if it was asked for help or cannot read them, which has then been said.
///
/// # Errors
/// Nothing can be written.
pub fn parse<P: Parser>() -> Result<Result<P, ExitCode>, Failure> {
    let help = match P::try_parse() {
        Ok(options) => return Ok(Ok(options)),
        Err(help) => help,
    };
    let printed = help.print();
    if !help.use_stderr() {
        printed?;
    }
    Ok(Err(ExitCode::from(u8::try_from(help.exit_code())?)))
}
