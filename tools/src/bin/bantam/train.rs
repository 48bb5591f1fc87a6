use crate::augmentation::Changes;
use crate::evaluate::{on_broken, skipped};
use crate::net::convnet;
use crate::rate::Rate;
use bantam::{AtomicFile, Dataset, Epoch, Metadata, Scaling};
use bantam_tools::bar::{Bar, figures};
use bantam_tools::draw::count;
use bantam_tools::images::model::Resizing;
use bantam_tools::images::{Color, ImageFolder, ImageLoader, ImageSet};
use bantam_tools::steps::Steps;
use bantam_tools::training::{self, Ended, Figure, Progress, Training};
use bantam_tools::{Failure, interrupt};
use clap::Args;
use serde_json::json;
use std::io::{self, Stdout, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Levels become numbers from 0 to 1.
const SCALING: Scaling = Scaling { scale: 1.0 / 255.0, offset: 0.0 };

#[derive(Args)]
#[command(after_help = "\
Examples:
  bantam train cats_and_dogs/train
  bantam train cats_and_dogs/train --validation cats_and_dogs/validation --augment --dropout 0.5 --epochs 100
  bantam train flowers --size 96 --optimizer adam --rate 1e-3 --schedule cosine --out flowers.bantam")]
pub struct Options {
    /// The images: a folder with a folder for each class
    folder: PathBuf,
    /// A folder of other images of the same classes, which the model is measured on after each epoch
    #[arg(long, value_name = "FOLDER", conflicts_with = "split")]
    validation: Option<PathBuf>,
    /// The share of each class that is not learnt but measured on, drawn by --seed; 0 for none
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    split: f64,
    /// Rows and columns of the model's images
    #[arg(long, value_name = "PIXELS", default_value_t = 150, value_parser = clap::value_parser!(u16).range(1..))]
    size: u16,
    /// Grey images in place of RGB
    #[arg(long)]
    grey: bool,
    #[command(flatten)]
    resizing: Resizing,
    /// Images in a step
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// How many epochs
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Steps of an epoch, whose images are drawn anew for each: none twice before all were taken [default: all images]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// The share of what goes into the dense layers that is dropped in each step
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    dropout: f32,
    #[command(flatten)]
    rate: Rate,
    /// Count each image so that all classes count the same, however many images each has
    #[arg(long)]
    balanced: bool,
    /// What weights, the order of images and their changes are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the model goes: the best so far on the validation set, or without one the last. The checkpoint and the log are
    /// beside it: `model.checkpoint`, `model.jsonl`
    #[arg(long, default_value = "model.bantam", help_heading = "Files")]
    out: PathBuf,
    /// Write the log as comma-separated values too
    #[arg(long, help_heading = "Files")]
    csv: bool,
    /// Go on from the checkpoint beside the model, if there is one: all files become what they would have become at once
    #[arg(long, help_heading = "Files")]
    resume: bool,
    /// End when so many epochs in a row were no better than the best before
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,
    /// What tells which epoch is the best
    #[arg(long, value_enum, default_value_t = Figure::Accuracy)]
    best_by: Figure,
    /// End with an error where an image cannot be read, in place of skipping it
    #[arg(long)]
    refuse_broken: bool,
    /// Threads that learn; the result is the same to the bit [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Threads that decode images; the result is the same to the bit [default: all cores but one, and at least one]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    decoders: Option<u16>,
    /// Print a line of JSON for each epoch and one at the end, and nothing else
    #[arg(long)]
    json: bool,
    // Last, or what follows would be under its heading.
    #[command(flatten)]
    augmentation: Changes,
}

impl Options {
    fn folder(&self, path: &Path) -> ImageFolder {
        let size = usize::from(self.size);
        let color = if self.grey { Color::Grey } else { Color::Rgb };
        let loader = ImageLoader::new().target_size(size, size).color(color).scaling(&[SCALING]);
        let folder = ImageFolder::new(path).loader(self.resizing.apply(loader));
        let folder = folder.on_broken(on_broken(self.refuse_broken));
        match self.decoders {
            Some(threads) => folder.threads(threads.into()),
            None => folder,
        }
    }

    /// What is learnt, and what is measured on.
    fn sets(&self) -> Result<(ImageSet, Option<ImageSet>), Failure> {
        let mut folder = self.folder(&self.folder);
        if let Some(augmentation) = self.augmentation.augmentation() {
            folder = folder.augment(augmentation);
        }
        let Some(validation) = &self.validation else {
            if self.split == 0.0 {
                return Ok((folder.open()?, None));
            }
            let (training, validation) = folder.validation_split(self.split, self.seed)?;
            return Ok((training, Some(validation)));
        };
        let (training, validation) = (folder.open()?, self.folder(validation).open()?);
        if training.class_names() != validation.class_names() {
            let [expected, found] = [&training, &validation].map(|set| set.class_names().join(", "));
            return Err(format!("--validation: expected the classes {expected}, found {found}").into());
        }
        Ok((training, Some(validation)))
    }
}

/// Trains, and writes the model.
pub fn run(options: &Options, out: &mut Stdout) -> Result<ExitCode, Failure> {
    // What cannot be written is refused now, and not when everything is learnt.
    drop(AtomicFile::create(&options.out)?);
    let (training, validation) = options.sets()?;
    let classes = training.class_names().len();
    let mut model = convnet(training.input_shape().dims(), classes, options.dropout, options.seed)
        .map_err(|error| format!("a net for images of {}: {error}", training.input_shape()))?;
    model.set_metadata(&Metadata {
        class_names: training.class_names().to_vec(),
        scaling: vec![SCALING],
        notes: options.resizing.notes(),
        ..Metadata::default()
    })?;
    let batch = options.batch_size as usize;
    let len = options.steps.map_or(training.len(), |steps| steps as usize * batch);
    let steps = u64::from(options.epochs) * len.div_ceil(batch) as u64;
    let mut trainer = options.rate.trainer(&model, steps).batch_size(batch).seed(options.seed);
    if options.balanced {
        trainer = trainer.class_weights(&training.class_weights());
    }
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = options.threads {
        pool = pool.num_threads(threads.into());
    }
    let pool = pool.build()?;
    trainer = trainer.threads(pool.current_num_threads());
    interrupt::heed()?;
    if !options.json {
        let validated = validation.as_ref().map_or(0, Dataset::len);
        writeln!(out, "{}\n", model.summary())?;
        writeln!(out, "{classes} classes: {}", training.class_names().join(", "))?;
        writeln!(out, "{} to learn, {validated} to validate", count(training.len(), "image"))?;
    }

    let mut watch = Watch::new(options, len);
    let mut seen = Ok(());
    let plan = Training::new(&options.out)
        .epochs(options.epochs as usize)
        .figure(options.best_by)
        .csv(options.csv)
        .resume(options.resume);
    let plan = match options.patience {
        Some(epochs) => plan.patience(epochs as usize),
        None => plan,
    };
    let parameters = model.parameter_count();
    let ended = pool.install(|| {
        let stepped = Steps::new(&training, len);
        let data: &dyn Dataset = if options.steps.is_some() { &stepped } else { &training };
        let validation = validation.as_ref().map(|set| set as &dyn Dataset);
        plan.run(trainer, model, data, validation, &mut |progress| {
            seen = watch.see(progress, out);
            if seen.is_err() || interrupt::requested() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    });
    let start = watch.start;
    drop(watch);
    seen?;
    let Ended { history, best, stopped, .. } = ended?;
    let kept = history.epochs.iter().find(|epoch| epoch.epoch == best);
    let seconds = start.elapsed().as_secs_f64();
    let reports = [Some(training.report()), validation.map(|set| set.report())];
    if options.json {
        let skipped: Vec<_> = reports.iter().flatten().flat_map(skipped).collect();
        let end = json!({
            "written_epoch": best, "validation_accuracy": kept.and_then(accuracy), "seconds": seconds,
            "parameters": parameters, "skipped": skipped, "interrupted": stopped,
        });
        writeln!(out, "{end}")?;
    } else {
        for report in reports.iter().flatten().filter(|report| !report.is_clean()) {
            writeln!(out, "{report}")?;
        }
        let path = options.out.display();
        writeln!(out, "Wrote {path}, the model after {}, in {seconds:.0} s.", count(best, "epoch"))?;
        if stopped {
            writeln!(out, "The same command with --resume goes on.")?;
        }
    }
    Ok(if stopped { ExitCode::from(interrupt::STATUS) } else { ExitCode::SUCCESS })
}

/// The share of the validation set that was right.
fn accuracy(epoch: &Epoch) -> Option<f32> {
    epoch.validation.and_then(|validation| validation.accuracy)
}

/// Shows progress.
struct Watch<'o> {
    options: &'o Options,
    bar: Bar,
    start: Instant,
    epoch_start: Instant,
}

impl Watch<'_> {
    fn new(options: &Options, images: usize) -> Watch<'_> {
        let now = Instant::now();
        Watch { options, bar: Bar::new("", images, !options.json), start: now, epoch_start: now }
    }

    fn see(&mut self, progress: Progress<'_>, out: &mut Stdout) -> Result<(), Failure> {
        match progress {
            Progress::Event(event) => {
                self.bar.see(&event);
                Ok(())
            }
            Progress::Epoch { epoch, best } => {
                let seconds = self.epoch_start.elapsed().as_secs_f64();
                self.epoch_start = Instant::now();
                self.tell(&epoch, best, seconds, out)
            }
        }
    }

    fn tell(&self, epoch: &Epoch, best: bool, seconds: f64, out: &mut Stdout) -> Result<(), Failure> {
        let mut line = training::line(epoch);
        (line["seconds"], line["written"]) = (json!(seconds), json!(best));
        let Epoch { epoch: number, training, validation, .. } = *epoch;
        if self.options.json {
            return Ok(writeln!(out, "{line}")?);
        }
        let validation = validation.map(|validation| format!(" | validation {}", figures(validation)));
        let (validation, training) = (validation.unwrap_or_default(), figures(training));
        let written = if best { format!(" | wrote {}", self.options.out.display()) } else { String::new() };
        let told: io::Result<()> = self
            .bar
            .suspend(|| writeln!(out, "epoch {number}: {training}{validation} | {seconds:.1} s{written}"));
        Ok(told?)
    }
}
