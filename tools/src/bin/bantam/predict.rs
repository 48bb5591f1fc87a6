use bantam::Session;
use bantam_tools::Failure;
use bantam_tools::images::model::{class_names, loader, probabilities};
use bantam_tools::options::load;
use clap::Args;
use serde_json::json;
use std::io::{self, Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
#[command(after_help = "Example: bantam predict cats.bantam a.jpg b.png --top 3")]
pub struct Options {
    /// The model
    model: PathBuf,
    /// JPEG, PNG, BMP, GIF (its first frame) or WebP
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Tell so many classes, the most probable first
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Print a line of JSON for each image
    #[arg(long)]
    json: bool,
}

/// Tells each image's classes. One that cannot be read is said to be so, and the status is 1 then.
pub fn run(options: &Options, out: &mut Stdout) -> Result<ExitCode, Failure> {
    let model = load(&options.model)?;
    let (loader, names) = (loader(&options.model, &model)?, class_names(&model)?);
    let mut session = Session::new(&model, bantam::Options::new(1))?;
    let mut pixels = vec![0.0; model.input_shape().elements()];
    let mut status = ExitCode::SUCCESS;
    let width =
        options.images.iter().map(|path| path.display().to_string().chars().count()).max().unwrap_or(0);
    for path in &options.images {
        let shown = path.display().to_string();
        if let Err(problem) = loader.load(path, &mut pixels) {
            status = ExitCode::FAILURE;
            if options.json {
                writeln!(out, "{}", json!({ "image": shown, "error": problem.to_string() }))?;
            }
            let _ = writeln!(io::stderr(), "error: {shown}: {problem}");
            continue;
        }
        let probabilities = probabilities(&model, session.run(&pixels)?);
        let mut classes: Vec<(&String, f32)> = names.iter().zip(probabilities).collect();
        classes.sort_by(|a, b| b.1.total_cmp(&a.1));
        classes.truncate(options.top as usize);
        if options.json {
            let classes: Vec<_> =
                classes.iter().map(|(name, p)| json!({ "class": name, "probability": p })).collect();
            writeln!(out, "{}", json!({ "image": shown, "classes": classes }))?;
        } else {
            let classes: Vec<_> =
                classes.iter().map(|(name, p)| format!("{name} {:.1} %", 100.0 * p)).collect();
            writeln!(out, "{shown:width$}  {}", classes.join(", "))?;
        }
    }
    Ok(status)
}
