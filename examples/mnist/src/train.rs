use crate::options::{OptimizerChoice, data_folder, isa};
use bantam::{Dataset, Epoch, Evaluation, Event, History, Isa, Loss, Model, Session, Trainer, argmax};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mnist::data::{CLASSES, Part, Pictures};
use mnist::{curves, draw, network};
use serde_json::json;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct Options {
    /// Folder with the four IDX files, plain or .gz (default: MNIST, which comes with this program)
    #[arg(long)]
    data: Option<PathBuf>,
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
    /// Where the model goes; the picture of the curves goes beside it
    #[arg(long, default_value = "mnist.bantam")]
    out: PathBuf,
    /// Print a line of JSON for each epoch and one at the end, and nothing else
    #[arg(long)]
    json: bool,
}

/// Trains, tests, and writes the model and its curves.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let isa = options.isa.unwrap_or_else(Isa::detect);
    let folder = &data_folder(options.data.as_deref());
    let mut train = Pictures::load(folder, Part::Train)?;
    let test = Pictures::load(folder, Part::Test)?;
    if let Some(limit) = options.limit {
        train = train.limited(limit as usize, options.seed);
    }
    let mut model = network(train.input_shape().dims(), options.seed)?;
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
    if !options.json {
        println!("{}\n", model.summary());
        let (n, tested, threads) = (train.len(), test.len(), pool.current_num_threads());
        println!("{n} pictures to learn, {tested} to test after each epoch; {isa}, {threads} threads");
    }

    let start = Instant::now();
    let mut watch = Watch::new(options, train.len());
    let history = pool.install(|| {
        trainer.fit(&mut model, &train, Some(&test), &mut |event| {
            watch.see(event);
            ControlFlow::Continue(())
        })
    })?;
    let seconds = start.elapsed().as_secs_f64();
    watch.bar.finish_and_clear();
    let accuracy = last_accuracy(&history).unwrap_or(0.0);
    model.save(&options.out)?;
    let curves = options.out.with_extension("svg");
    curves::write(&history, &curves).map_err(|error| format!("{}: {error}", curves.display()))?;

    let speed = watch.fastest;
    if options.json {
        let parameters = model.parameter_count();
        let end = json!({
            "test_accuracy": accuracy, "images_per_second": speed, "seconds": seconds, "parameters": parameters,
        });
        println!("{end}");
    } else {
        println!("\n{}", draw::confusion(&pool.install(|| confusion(&model, &test, isa))?));
        println!("{:.2} % of the test pictures are read right.", 100.0 * accuracy);
        println!("{speed:.0} images a second in the fastest epoch, {seconds:.1} s in all.");
        println!("Wrote {} and {}.", options.out.display(), curves.display());
    }
    Ok(())
}

fn last_accuracy(history: &History) -> Option<f32> {
    history.epochs.last()?.validation?.accuracy
}

/// How often each class of the test set was read as each.
fn confusion(
    model: &Model<'_>,
    test: &Pictures,
    isa: Isa,
) -> Result<[[usize; CLASSES]; CLASSES], bantam::Error> {
    let mut session = Session::new(model, 1, isa)?;
    let mut pixels = vec![0.0; test.input_shape().elements()];
    let mut counts = [[0; CLASSES]; CLASSES];
    for i in 0..test.len() {
        test.read(i, &mut pixels, &mut [0.0])?;
        if let Some(read) = argmax(session.run(&pixels)?) {
            counts[test.label(i)][read] += 1;
        }
    }
    Ok(counts)
}

/// Shows progress and takes the time that learning takes, without the tests between.
struct Watch {
    json: bool,
    /// In an epoch.
    pictures: usize,
    bar: ProgressBar,
    epoch_start: Instant,
    learning: Duration,
    /// Images a second of the fastest epoch.
    fastest: f64,
}

impl Watch {
    fn new(options: &Options, pictures: usize) -> Watch {
        let bar = if options.json {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(u64::from(options.epochs) * pictures as u64)
        };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {percent:>3} %, {eta} left, {msg}")
        {
            bar.set_style(style);
        }
        Watch {
            json: options.json,
            pictures,
            bar,
            epoch_start: Instant::now(),
            learning: Duration::ZERO,
            fastest: 0.0,
        }
    }

    fn see(&mut self, event: Event) {
        match event {
            Event::Batch { epoch, epochs, batch, samples, training, .. } => {
                if batch == 1 {
                    self.bar.set_prefix(format!("epoch {epoch}/{epochs}"));
                }
                if batch % 10 == 0 && !self.bar.is_hidden() {
                    let speed = samples as f64 / self.epoch_start.elapsed().as_secs_f64();
                    self.bar.set_position(((epoch - 1) * self.pictures + samples) as u64);
                    self.bar.set_message(format!("{speed:.0} images/s, {}", figures(training)));
                }
            }
            Event::Trained { .. } => self.learning = self.epoch_start.elapsed(),
            Event::Epoch(epoch, _) => {
                self.finish(epoch);
                self.epoch_start = Instant::now();
            }
            _ => {}
        }
    }

    fn finish(&mut self, epoch: Epoch) {
        let Epoch { epoch, samples, training, validation } = epoch;
        let seconds = self.learning.as_secs_f64();
        let speed = samples as f64 / seconds;
        self.fastest = self.fastest.max(speed);
        if self.json {
            let line = json!({
                "epoch": epoch, "loss": training.loss, "accuracy": training.accuracy,
                "test_loss": validation.map(|test| test.loss),
                "test_accuracy": validation.and_then(|test| test.accuracy),
                "images_per_second": speed, "seconds": seconds,
            });
            println!("{line}");
        } else {
            let test = validation.map(figures).unwrap_or_default();
            let line = format!("epoch {epoch}: {} | test {test} | {speed:.0} images/s", figures(training));
            if self.bar.is_hidden() { println!("{line}") } else { self.bar.println(line) }
        }
    }
}

fn figures(evaluation: Evaluation) -> String {
    let accuracy = evaluation.accuracy.map(|accuracy| format!(", accuracy {accuracy:.4}"));
    format!("loss {:.4}{}", evaluation.loss, accuracy.unwrap_or_default())
}
