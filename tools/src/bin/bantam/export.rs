use bantam_tools::Failure;
use bantam_tools::draw::count;
use bantam_tools::export::{ExportOptions, export};
use bantam_tools::options::load;
use clap::Args;
use std::io::{Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "\
Examples:
  bantam export flowers.bantam -o flowers.onnx
  bantam export flowers.bantam -o flowers.onnx --batch 1 --opset 21
  bantam export flowers.bantam -o flowers.h5")]
pub struct Options {
    /// The model
    model: PathBuf,
    /// Where it goes; the ending tells the format: .onnx; of weights alone .h5 and .safetensors
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// How many samples it takes at a time: a number, or open
    #[arg(long, value_name = "N|open", default_value = "open", value_parser = batch)]
    batch: Batch,
    /// ONNX: take inputs of maps as [N, C, H, W]
    #[arg(long)]
    channels_first: bool,
    /// ONNX: the version of its operators [default: 17, or the first that has all that the model needs]
    #[arg(long, value_name = "VERSION")]
    opset: Option<u32>,
}

/// Samples at a time, any number if there is none.
type Batch = Option<usize>;

/// Reads the model and writes it as the other program has it.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let model = load(&options.model)?;
    let mut how = ExportOptions::new();
    if let Some(samples) = options.batch {
        how = how.batch(samples);
    }
    if options.channels_first {
        how = how.channels_first();
    }
    if let Some(version) = options.opset {
        how = how.opset(version);
    }
    export(&model, &options.out, &how)?;
    let layers = count(model.nodes().len() as u64, "layer");
    let parameters = count(model.parameter_count() as u64, "parameter");
    writeln!(out, "Wrote {}: {layers}, {parameters}.", options.out.display())?;
    Ok(())
}

fn batch(text: &str) -> Result<Batch, String> {
    match text.parse() {
        _ if text == "open" => Ok(None),
        Ok(samples @ 1..) => Ok(Some(samples)),
        _ => Err(format!("expected a number of samples, or open, got {text}")),
    }
}
