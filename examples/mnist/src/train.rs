use crate::options::{NetChoice, data_folder};
use bantam::{AtomicFile, Dataset, Epoch, Event, Isa, Loss, Model, Session, Trainer, argmax};
use bantam_tools::Failure;
use bantam_tools::bar::{Bar, figures};
use bantam_tools::draw::{self, count};
use bantam_tools::interrupt;
use bantam_tools::options::{OptimizerChoice, isa};
use bantam_tools::pictures::Chart;
use bantam_tools::pictures::curves::Curves;
use clap::Args;
use mnist::data::{CLASSES, Part, Pictures};
use serde_json::json;
use std::io::{self, Stdout, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct Options {
    /// Folder with the four IDX files, plain or .gz (default: MNIST, which comes with this program)
    #[arg(long)]
    data: Option<PathBuf>,
    /// The net
    #[arg(long, value_enum, default_value_t = NetChoice::Convnet)]
    net: NetChoice,
    /// How often every picture is learnt
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Pictures in a step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Learn only so many pictures, drawn at random
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// What weights and the order of pictures are drawn from
    #[arg(long, default_value_t = 3)]
    seed: u64,
    /// Threads; the result is the same to the bit [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// With Keras's defaults
    #[arg(long, value_enum, default_value_t = OptimizerChoice::Rmsprop)]
    optimizer: OptimizerChoice,
    /// Instruction set, such as scalar or avx2 (default: the widest of this CPU)
    #[arg(long, value_parser = isa)]
    isa: Option<Isa>,
    /// Where the model goes, and a picture of its curves beside it, as .svg: while it trains, and after
    /// Ctrl-C, the best so far on the test pictures; at the end, the last epoch's
    #[arg(long, default_value = "mnist.bantam")]
    out: PathBuf,
    /// Print a line of JSON for each epoch and one at the end, and nothing else
    #[arg(long)]
    json: bool,
}

/// Trains, tests, and writes the model and its curves.
pub fn run(options: &Options, out: &mut Stdout) -> Result<ExitCode, Failure> {
    let curves = curves_beside(&options.out)?;
    // What cannot be written is refused now, and not when everything is learnt.
    for path in [&options.out, &curves] {
        drop(AtomicFile::create(path)?);
    }
    let isa = options.isa.unwrap_or_else(Isa::detect);
    let folder = &data_folder(options.data.as_deref());
    let mut train = Pictures::load(folder, Part::Train)?;
    let test = Pictures::load(folder, Part::Test)?;
    if let Some(limit) = options.limit {
        train = train.limited(limit as usize, options.seed);
    }
    let mut model = options.net.build(train.input_shape(), options.seed)?;
    let mut trainer = Trainer::new(options.optimizer, Loss::SoftmaxCrossEntropy)
        .epochs(options.epochs as usize)
        .batch_size(options.batch_size as usize)
        .seed(options.seed)
        .isa(isa);
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = options.threads {
        pool = pool.num_threads(threads.into());
    }
    let pool = pool.build()?;
    interrupt::heed()?;
    if !options.json {
        writeln!(out, "{}\n", model.summary())?;
        let (pictures, tested) = (count(train.len(), "picture"), test.len());
        let threads = count(pool.current_num_threads(), "thread");
        writeln!(out, "{pictures} to learn, {tested} to test after each epoch; {isa}, {threads}")?;
    }

    let start = Instant::now();
    let mut watch = Watch::new(options, train.len());
    let mut best = Best { path: &options.out, epoch: None };
    let mut seen = Ok(());
    let history = pool.install(|| {
        trainer.fit(&mut model, &train, Some(&test), &mut |event| {
            seen = watch.see(event, &mut best, out);
            if seen.is_err() || interrupt::requested() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    });
    let interrupted = interrupt::requested();
    let speed = watch.fastest;
    drop(watch);
    seen?;
    let history = history?;
    let seconds = start.elapsed().as_secs_f64();
    let last = *history.epochs.last().ok_or(bantam::Error::Empty { what: "epochs" })?;
    if best.epoch.is_none() {
        // The first epoch was broken off: what it learnt is better than nothing.
        best.keep(last, &model)?;
    }
    let best = best.epoch.unwrap_or(last);
    let kept = if interrupted {
        best
    } else {
        model.save(&options.out)?;
        last
    };
    Curves::new(&history.epochs).save(&curves)?;

    let (model_path, curves) = (options.out.display(), curves.display());
    let percent = |epoch: Epoch| match accuracy(epoch) {
        Some(accuracy) => format!("{:.2} %", 100.0 * accuracy),
        None => "an unknown share".into(),
    };
    if options.json {
        let parameters = model.parameter_count();
        let end = json!({
            "test_accuracy": accuracy(kept), "images_per_second": speed, "seconds": seconds,
            "parameters": parameters, "written_epoch": kept.epoch, "interrupted": interrupted,
        });
        writeln!(out, "{end}")?;
    } else if interrupted {
        writeln!(out, "Interrupted in epoch {}.", last.epoch)?;
        let of = format!("the best so far, of epoch {}, with {}", kept.epoch, percent(kept));
        writeln!(out, "Wrote {model_path}, {of} of the test pictures right, and {curves}.")?;
    } else {
        writeln!(out, "\n{}", confusion(&pool.install(|| counts(&model, &test, isa))?))?;
        writeln!(out, "{} of the test pictures are read right.", percent(last))?;
        writeln!(out, "{speed:.0} images a second in the fastest epoch, {seconds:.1} s in all.")?;
        let epochs = count(last.epoch, "epoch");
        writeln!(out, "Wrote {model_path}, the model after {epochs}, and {curves}.")?;
        if accuracy(best) > accuracy(last) {
            let (epoch, right) = (best.epoch, percent(best));
            writeln!(out, "After epoch {epoch} it was {right}; --epochs {epoch} gives that model again.")?;
        }
    }
    Ok(if interrupted { ExitCode::from(interrupt::STATUS) } else { ExitCode::SUCCESS })
}

/// Where the picture of the curves goes.
fn curves_beside(model: &Path) -> Result<PathBuf, String> {
    // Some systems take `.SVG` for the same.
    if model.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
        let path = model.display();
        return Err(format!("{path}: expected a name that does not end in .svg, as that of the curves will"));
    }
    Ok(model.with_extension("svg"))
}

/// The model file while training goes on: a kill at any time leaves the best so far.
struct Best<'p> {
    path: &'p Path,
    epoch: Option<Epoch>,
}

impl Best<'_> {
    /// Writes the model if it reads more test pictures right than any before. Says whether it does.
    fn keep(&mut self, epoch: Epoch, model: &Model<'_>) -> Result<bool, bantam::Error> {
        let better = self.epoch.is_none_or(|best| accuracy(best) < accuracy(epoch));
        if better {
            model.save(self.path)?;
            self.epoch = Some(epoch);
        }
        Ok(better)
    }
}

/// The share of the test pictures that were read right; an epoch that was broken off does not know.
fn accuracy(epoch: Epoch) -> Option<f32> {
    epoch.validation.and_then(|test| test.accuracy)
}

/// How often each class of the test set was read as each.
fn counts(model: &Model<'_>, test: &Pictures, isa: Isa) -> Result<[usize; CLASSES * CLASSES], bantam::Error> {
    let mut session = Session::new(model, bantam::Options::new(1).isa(isa))?;
    let mut pixels = vec![0.0; test.input_shape().elements()];
    let mut counts = [0; CLASSES * CLASSES];
    for i in 0..test.len() {
        test.read(i, &mut pixels, &mut [0.0])?;
        if let Some(read) = argmax(session.run(&pixels)?) {
            counts[test.label(i) * CLASSES + read] += 1;
        }
    }
    Ok(counts)
}

fn confusion(counts: &[usize]) -> String {
    let names: Vec<String> = (0..CLASSES).map(|class| class.to_string()).collect();
    draw::confusion(&names, counts)
}

/// Shows progress and takes the time that learning takes, without the tests between.
struct Watch {
    json: bool,
    bar: Bar,
    epoch_start: Instant,
    learning: Duration,
    /// Images a second of the fastest epoch.
    fastest: f64,
}

impl Watch {
    fn new(options: &Options, pictures: usize) -> Watch {
        Watch {
            json: options.json,
            bar: Bar::new("", pictures, !options.json),
            epoch_start: Instant::now(),
            learning: Duration::ZERO,
            fastest: 0.0,
        }
    }

    fn see(&mut self, event: Event<'_>, best: &mut Best<'_>, out: &mut Stdout) -> Result<(), Failure> {
        self.bar.see(&event);
        match event {
            Event::Trained { .. } => self.learning = self.epoch_start.elapsed(),
            Event::Epoch(epoch, model) => {
                let best = best.keep(epoch, model)?.then_some(best.path);
                self.finish(epoch, best, out)?;
                self.epoch_start = Instant::now();
            }
            _ => {}
        }
        Ok(())
    }

    /// `written` is where the model is if it is the best so far.
    fn finish(&mut self, epoch: Epoch, written: Option<&Path>, out: &mut Stdout) -> io::Result<()> {
        let Epoch { epoch, samples, training, validation } = epoch;
        let seconds = self.learning.as_secs_f64();
        let speed = samples as f64 / seconds;
        self.fastest = self.fastest.max(speed);
        if self.json {
            let line = json!({
                "epoch": epoch, "loss": training.loss, "accuracy": training.accuracy,
                "test_loss": validation.map(|test| test.loss),
                "test_accuracy": validation.and_then(|test| test.accuracy),
                "images_per_second": speed, "seconds": seconds, "best": written.is_some(),
            });
            writeln!(out, "{line}")
        } else {
            let test = validation.map(figures).unwrap_or_default();
            let training = figures(training);
            let best = written.map(|path| format!(" | best so far, wrote {}", path.display()));
            let best = best.unwrap_or_default();
            self.bar.suspend(|| {
                writeln!(out, "epoch {epoch}: {training} | test {test} | {speed:.0} images/s{best}")
            })
        }
    }
}
