use bantam_tools::Failure;
use bantam_tools::draw::count;
use bantam_tools::pictures::Chart;
use bantam_tools::pictures::curves::Curves;
use bantam_tools::training::whole_log;
use clap::Args;
use std::io::{Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "\
Examples:
  bantam curves cats.jsonl
  bantam curves cats.jsonl --smooth 0.8 --out cats.png")]
pub struct Options {
    /// The log that `bantam train` writes beside its model, a line of JSON for each epoch
    log: PathBuf,
    /// How much what was before counts in each point, from 0 to less than 1: 0.8 shows where noise goes
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    smooth: f32,
    /// Where the picture goes: a PNG, or by any other name an SVG [default: beside the log, as .svg]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn share(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|share| (0.0..1.0).contains(share)).ok_or("expected 0 to less than 1".into())
}

/// Draws the curves of a training.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let epochs = whole_log(&options.log)?;
    if epochs.is_empty() {
        return Err(format!("{}: expected epochs, found none", options.log.display()).into());
    }
    let path = options.out.clone().unwrap_or_else(|| options.log.with_extension("svg"));
    Curves::new(&epochs).smooth(options.smooth).save(&path)?;
    writeln!(out, "Wrote {}: {}.", path.display(), count(epochs.len(), "epoch"))?;
    Ok(())
}
