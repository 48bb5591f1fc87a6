//! A base that was trained on other pictures helps to learn from few, as in chapter 5.3 of *Deep Learning with Python*: its
//! features once, then end to end with the base frozen, then fine-tuned from a layer on.

mod base;
mod digits;

use bantam::{
    AtomicFile, Dataset, Error, Features, Loss, Metadata, Model, Options, RmsProp, Samples, Sequential,
    Trainer,
};
use bantam_tools::Failure;
use bantam_tools::images::model::loader;
use base::{last_block, unfreeze};
use clap::Parser;
use digits::Digits;
use serde_json::json;
use small_dataset::data::Data;
use small_dataset::net::convnet;
use small_dataset::watch::Watch;
use std::io::{Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Moves a base to other pictures: features once, end to end with the base frozen, fine-tuned
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  transfer
  transfer photographs --base model.bantam --rate 1e-4
  transfer photographs --base net.onnx --preprocessing torch --pool --cut layer3 --rate 1e-4
  transfer photographs --base vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 --net vgg16 --input-size 150x150 --rate 1e-4"
)]
struct Arguments {
    /// Images: a folder with the folders train, validation and test, which have a folder for each class [default: the digits
    /// 5 to 9 of MNIST, which is in this repository]
    #[arg(requires = "base")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    base: base::Options,
    /// The last layer of the base [default: the last map before its head]
    #[arg(long, value_name = "LAYER", requires = "base")]
    cut: Option<String>,
    /// The first layer that is fine-tuned [default: the first whose map is as large as that of the base's last layer with
    /// weights]
    #[arg(long, value_name = "LAYER", requires = "base")]
    unfreeze_from: Option<String>,
    /// The head sees the mean of each channel in place of the whole map
    #[arg(long, requires = "base")]
    pool: bool,
    /// Digits of each class to learn
    #[arg(long, default_value_t = 5, conflicts_with = "folder", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pictures: u16,
    /// How often every picture is learnt, each time
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Digits of each class that the base learns
    #[arg(long, default_value_t = 4000, conflicts_with = "base", value_parser = clap::value_parser!(u16).range(1..=4000))]
    base_pictures: u16,
    /// How often it learns them
    #[arg(long, default_value_t = 4, conflicts_with = "base", value_parser = clap::value_parser!(u32).range(1..))]
    base_epochs: u32,
    /// The learning rate of RMSprop, a tenth of which fine-tunes
    #[arg(long, default_value_t = 1e-3)]
    rate: f32,
    /// What digits, weights, their order and changes are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads that learn; the result is the same to the bit [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// The folder that the model goes to, transfer.bantam, and the curves: transfer-scratch.svg and so on
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Print a line of JSON for each epoch and one at the end, and nothing else
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let arguments: Arguments = match bantam_tools::parse()? {
        Ok(arguments) => arguments,
        Err(status) => return Ok(status),
    };
    let Arguments { rate, epochs, seed, json, .. } = arguments;
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.map_or(0, usize::from)).build_global()?;
    let mut watch = Watch { out, json, curves: arguments.out.join("transfer") };
    // What cannot be written is refused now, and not when everything is learnt.
    let written = arguments.out.join("transfer.bantam");
    drop(AtomicFile::create(&written)?);

    // Somebody's base, or one that learns many pictures of other digits.
    let (mut base, data, unfreeze_from) = match (&arguments.base.base, &arguments.folder) {
        (Some(path), Some(folder)) => {
            let base = arguments.base.read(path, arguments.cut.as_deref())?;
            let data = Data::folder(folder, &loader(path, &base)?)?;
            let unfreeze_from = match &arguments.unfreeze_from {
                Some(name) => name.clone(),
                None => last_block(&base)?.to_string(),
            };
            (base, data, unfreeze_from)
        }
        _ => {
            let Digits { base, others } =
                Digits::draw(arguments.base_pictures.into(), arguments.pictures.into(), seed)?;
            let mut model = convnet(base.plain.input_shape(), base.classes.len(), 0.5, seed)?;
            let mut lesson = trainer(rate, arguments.base_epochs, seed).batch_size(32);
            watch.fit("base", &mut lesson, &mut model, &*base.augmented, &*base.validation)?;
            (model.truncate_at("features")?, others, "conv2d_1".to_string())
        }
    };
    base.node(&unfreeze_from)?;
    base.set_all_trainable(false);
    let cut = base.nodes().last().map(|node| node.name().to_string()).unwrap_or_default();
    if !json && arguments.folder.is_some() {
        let (input, map) = (base.input_shape(), base.output_shape());
        writeln!(watch.out, "The base: {input} to {map}, up to {cut}; fine-tuned from {unfreeze_from} on.")?;
    }
    let Data { plain, augmented, validation, test, classes } = &data;

    // From scratch: the chapter's net with all weights its own, to compare with.
    let mut model = convnet(plain.input_shape(), classes.len(), 0.5, seed)?;
    let mut lesson = trainer(rate, epochs, seed);
    let memory = lesson.peak_bytes(&model, &**augmented)?;
    let took = watch.fit("scratch", &mut lesson, &mut model, &**augmented, &**validation)?;
    let scratch = accuracy(&lesson, &model, &**test)?;
    tell(&mut watch, "from scratch", scratch, &format!("{:.1} s, {memory} bytes", took.as_secs_f64()))?;

    // Features once: the base sees each picture one time, and the head learns from what it gave.
    let mut model = with_head(&base, classes, arguments.pool, seed)?;
    let (frozen, mut head) = model.split_at(&cut)?;
    let start = Instant::now();
    let (given, given_to_validate) = (features(&frozen, &**plain)?, features(&frozen, &**validation)?);
    let once = start.elapsed().as_secs_f64();
    let mut lesson = trainer(rate, epochs, seed);
    let memory = lesson.peak_bytes(&head, &given)?;
    let took = watch.fit("features", &mut lesson, &mut head, &given, &given_to_validate)?;
    put(&head, &mut model)?;
    let of_features = accuracy(&lesson, &model, &**test)?;
    let cost = format!("{once:.1} s for features, {:.1} s, {memory} bytes", took.as_secs_f64());
    tell(&mut watch, "features once", of_features, &cost)?;

    // End to end, the base frozen: the pictures are others in every epoch, for which the base has to run each time.
    let mut model = with_head(&base, classes, arguments.pool, seed)?;
    let mut lesson = trainer(rate, epochs, seed);
    let memory = lesson.peak_bytes(&model, &**augmented)?;
    let took = watch.fit("end-to-end", &mut lesson, &mut model, &**augmented, &**validation)?;
    let end_to_end = accuracy(&lesson, &model, &**test)?;
    tell(&mut watch, "end to end", end_to_end, &format!("{:.1} s, {memory} bytes", took.as_secs_f64()))?;

    // Fine-tuned: now that the head knows what to look for, the base's last layers follow it in small steps.
    unfreeze(&mut model, &base, &unfreeze_from)?;
    let mut lesson = trainer(rate / 10.0, epochs, seed);
    let memory = lesson.peak_bytes(&model, &**augmented)?;
    let took = watch.fit("fine-tuned", &mut lesson, &mut model, &**augmented, &**validation)?;
    let fine_tuned = accuracy(&lesson, &model, &**test)?;
    tell(&mut watch, "fine-tuned", fine_tuned, &format!("{:.1} s, {memory} bytes", took.as_secs_f64()))?;

    model.save(&written)?;
    if json {
        let end = json!({
            "scratch": scratch, "features": of_features, "end_to_end": end_to_end, "fine_tuned": fine_tuned,
        });
        writeln!(watch.out, "{end}")?;
    } else {
        writeln!(watch.out, "Wrote {}, the last model, and the curves beside it.", written.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn trainer(rate: f32, epochs: u32, seed: u64) -> Trainer {
    let optimizer = RmsProp { rate, ..RmsProp::default() };
    Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).epochs(epochs as usize).batch_size(5).seed(seed)
}

/// A base with the dense layers of the chapter's net on it, which takes images as the base does.
fn with_head(base: &Model<'_>, classes: &[String], pool: bool, seed: u64) -> Result<Model<'static>, Error> {
    let net = Sequential::new(base.input_shape().dims()).model(base);
    let seen = if pool { net.global_average_pool2d() } else { net.flatten() };
    let mut model = seen.dropout(0.5).dense(512).relu().dense(classes.len()).build(seed)?;
    model.set_metadata(&Metadata { class_names: classes.to_vec(), ..base.metadata()? })?;
    Ok(model)
}

/// What a base gives for a data set.
fn features(base: &Model<'_>, data: &dyn Dataset) -> Result<Samples, Error> {
    let options = Options::new(32).threads(rayon::current_num_threads());
    Features::new(base, data, options)?.collect(&mut |_done| {})
}

/// Puts the weights of a head into the model that it is a part of.
fn put(head: &Model<'_>, model: &mut Model<'_>) -> Result<(), Error> {
    for node in head.nodes() {
        let weights: Vec<&[f32]> = head.parameters_of(node).iter().map(|weights| weights.values()).collect();
        if !weights.is_empty() {
            model.set_weights(node.name(), &weights)?;
        }
    }
    Ok(())
}

/// The share of the pictures that a model reads right.
fn accuracy(trainer: &Trainer, model: &Model<'_>, data: &dyn Dataset) -> Result<f32, Error> {
    Ok(trainer.evaluate(model, data)?.accuracy.unwrap_or(0.0))
}

/// Says how many of the pictures held out are read right, and what it cost to learn that.
fn tell(watch: &mut Watch<'_>, what: &str, share: f32, cost: &str) -> Result<(), Failure> {
    if !watch.json {
        writeln!(watch.out, "{what:>13}: {:.2} % right; {cost}", 100.0 * share)?;
    }
    Ok(())
}
