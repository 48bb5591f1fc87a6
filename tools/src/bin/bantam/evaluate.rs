use bantam::{BinaryAccuracy, CategoricalAccuracy, ConfusionMatrix, Metric, Sgd, Trainer, Weighted};
use bantam_tools::images::model::{class_names, loader};
use bantam_tools::images::{ImageFolder, OnBroken, Report};
use bantam_tools::options::{load, loss_of};
use bantam_tools::pictures::Chart;
use bantam_tools::pictures::confusion::Confusion;
use bantam_tools::{Failure, draw};
use clap::Args;
use serde_json::{Value, json};
use std::io::{Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Example: bantam evaluate cats.bantam cats_and_dogs/test")]
pub struct Options {
    /// The model
    model: PathBuf,
    /// The images: a folder with a folder for each class
    folder: PathBuf,
    /// End with an error where an image cannot be read, in place of skipping it
    #[arg(long)]
    refuse_broken: bool,
    /// Draw which class is taken for which: a PNG, or by any other name an SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures a model. Images that are skipped count nowhere.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let model = load(&options.model)?;
    let names = class_names(&model)?;
    let set = ImageFolder::new(&options.folder)
        .loader(loader(&options.model, &model)?)
        .on_broken(on_broken(options.refuse_broken))
        .open()?;
    let named = !model.metadata()?.class_names.is_empty();
    if named && set.class_names() != names || set.class_names().len() != names.len() {
        let (folder, found) = (options.folder.display(), set.class_names().join(", "));
        return Err(format!("{folder}: expected the classes {}, found {found}", names.join(", ")).into());
    }
    let (mut binary, mut categorical) =
        (Weighted(BinaryAccuracy::new()), Weighted(CategoricalAccuracy::new()));
    let mut confusion = Weighted(ConfusionMatrix::new(names.len())?);
    let accuracy: &mut dyn Metric =
        if model.output_shape().elements() == 1 { &mut binary } else { &mut categorical };
    let trainer = Trainer::new(Sgd::default(), loss_of(&model));
    let evaluation = trainer.evaluate_with(&model, &set, &mut [&mut *accuracy, &mut confusion])?;
    let accuracy = accuracy.result();
    let counts: Vec<usize> = confusion.0.counts().iter().map(|&count| count as usize).collect();
    if let Some(path) = &options.picture {
        Confusion::new(&names, &counts).save(path)?;
    }
    let report = set.report();
    // The loss is a mean over all images, of which those that are skipped have none.
    let read = report.images - report.skipped.len();
    let loss = f64::from(evaluation.loss) * report.images as f64 / read.max(1) as f64;
    if options.json {
        let rows: Vec<&[usize]> = counts.chunks(names.len()).collect();
        let all = json!({
            "images": read, "loss": loss, "accuracy": accuracy, "class_names": names, "confusion": rows,
            "skipped": skipped(&report),
        });
        writeln!(out, "{all}")?;
        return Ok(());
    }
    writeln!(out, "{}", draw::confusion(&names, &counts))?;
    writeln!(out, "{}: loss {loss:.4}, accuracy {:.2} %", draw::count(read, "image"), 100.0 * accuracy)?;
    if !report.is_clean() {
        writeln!(out, "{report}")?;
    }
    if let Some(path) = &options.picture {
        writeln!(out, "Wrote {}.", path.display())?;
    }
    Ok(())
}

/// Each image that was skipped, and why.
pub fn skipped(report: &Report) -> Vec<Value> {
    let skipped = report.skipped.iter();
    skipped.map(|it| json!({ "image": it.path.display().to_string(), "error": it.problem })).collect()
}

/// What happens to files that are no images.
pub fn on_broken(refuse: bool) -> OnBroken {
    if refuse { OnBroken::Refuse } else { OnBroken::Skip }
}
