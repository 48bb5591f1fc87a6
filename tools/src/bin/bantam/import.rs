use bantam_tools::Failure;
use bantam_tools::draw::count;
use bantam_tools::import::{self, Import, ImportOptions};
use clap::Args;
use std::io::{Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "\
Examples:
  bantam import flowers.keras -o flowers.bantam
  bantam import base.h5 --input-size 150x150 --check images.npy features.npy
  bantam import net.onnx --dimension height=224 --dimension width=224")]
pub struct Options {
    /// The model of another program: .keras, .h5 or .onnx
    file: PathBuf,
    /// Where the model goes [default: the file's name with .bantam]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Rows and columns of the images, where the file leaves them open
    #[arg(long, value_name = "HxW", value_parser = bantam_tools::options::size)]
    input_size: Option<[usize; 2]>,
    /// The size of a dimension that the file leaves open, by its name
    #[arg(long = "dimension", value_name = "NAME=SIZE", value_parser = dimension)]
    dimensions: Vec<(String, usize)>,
    /// Compare with recorded arrays: one of each input, then one of each output
    #[arg(long, value_name = "NPY", num_args = 2..)]
    check: Vec<PathBuf>,
    /// The largest difference that passes the check, by the root mean square of the recorded output
    #[arg(long, value_name = "SHARE", default_value_t = 1e-4, requires = "check")]
    tolerance: f32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads the model, checks it, writes it and reports. What does not pass the check is not written.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let mut how = ImportOptions::new();
    if let Some([height, width]) = options.input_size {
        how = how.input_size(height, width);
    }
    for (name, size) in &options.dimensions {
        how = how.dimension(name, *size);
    }
    let Import { model, mut report } = import::import(&options.file, &how)?;
    if !options.check.is_empty() {
        let difference = import::check(&model, &report, &options.check)?;
        let (got, most) = (difference.relative(), options.tolerance);
        // One that is not a number fails too.
        if got.is_nan() || got > most {
            let expected = format!("expected at most {most:.1e} of their root mean square, got {got:.1e}");
            return Err(format!("difference from the recorded outputs: {expected}").into());
        }
        report.largest_difference = Some(difference);
    }
    let path = options.out.clone().unwrap_or_else(|| options.file.with_extension("bantam"));
    model.save(&path)?;
    if options.json {
        let mut all = report.to_json();
        all["parameters"] = model.parameter_count().into();
        all["model"] = path.display().to_string().into();
        writeln!(out, "{all}")?;
    } else {
        let layers = count(model.nodes().len() as u64, "layer");
        let parameters = count(model.parameter_count() as u64, "parameter");
        writeln!(out, "{report}\nWrote {}: {layers}, {parameters}.", path.display())?;
    }
    Ok(())
}

/// A name and a number with an equals sign between them.
fn dimension(text: &str) -> Result<(String, usize), String> {
    let size = text.rsplit_once('=').and_then(|(name, size)| Some((name.to_string(), size.parse().ok()?)));
    size.filter(|&(_, size)| size > 0)
        .ok_or_else(|| format!("expected a name and a size, such as height=224, got {text}"))
}
