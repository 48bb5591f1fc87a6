//! A training that goes on after whatever ended it.
//!
//! Beside the model, which is the best so far, two files lie: a checkpoint, and a log with a line of JSON for each epoch. All
//! three are written at the end of each epoch, the checkpoint last and each as a whole. So a training that was killed at any
//! moment goes on from its last whole epoch, one that was told to stop from its last batch, and all files become what they
//! would have become without it, to the bit.

use crate::Failure;
use bantam::{AtomicFile, Dataset, Epoch, Error, Evaluation, Event, History, Model, Trainer};
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The figure of the validation set that tells which epoch is the best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Figure {
    /// The share that is right; the loss, where nothing is right or wrong
    #[default]
    Accuracy,
    /// The loss
    Loss,
}

impl Figure {
    /// The larger the better. Without a validation set there is none.
    fn of(self, epoch: &Epoch) -> Option<f32> {
        let Evaluation { loss, accuracy } = epoch.validation?;
        Some(accuracy.filter(|_| self == Figure::Accuracy).unwrap_or(-loss))
    }
}

/// What happens in a training, as it happens.
#[derive(Debug)]
pub enum Progress<'e> {
    /// In an epoch, which is numbered as one of all.
    Event(Event<'e>),
    /// An epoch is over and written.
    Epoch {
        /// Its figures.
        epoch: Epoch,
        /// Whether its model was kept: no epoch before was as good.
        best: bool,
    },
}

/// What is kept of a training, and when it ends.
///
/// ```
/// use bantam::{Loss, Samples, Sequential, Sgd, Tensor, Trainer};
/// use bantam_tools::training::Training;
/// use std::ops::ControlFlow;
/// let folder = tempfile::tempdir()?;
/// let xor = Samples::new(
///     Tensor::new(&[4, 2], vec![0., 0., 0., 1., 1., 0., 1., 1.])?,
///     Tensor::new(&[4, 1], vec![0., 1., 1., 0.])?,
/// )?;
/// let training = Training::new(folder.path().join("xor.bantam")).epochs(20).patience(5);
/// let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).batch_size(4);
/// let model = Sequential::new([2]).dense(8).relu().dense(2).build(3)?;
/// let ended = training.run(trainer, model, &xor, Some(&xor), &mut |_| ControlFlow::Continue(()))?;
/// assert!(ended.history.epochs.len() <= 20 && folder.path().join("xor.jsonl").exists());
/// # Ok::<(), bantam_tools::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Training {
    best: PathBuf,
    epochs: usize,
    patience: Option<usize>,
    figure: Figure,
    csv: bool,
    resume: bool,
}

/// How a training ended.
#[derive(Debug)]
pub struct Ended {
    /// All whole epochs, those before it was resumed among them.
    pub history: History,
    /// The epoch whose model was kept.
    pub best: usize,
    /// The last model.
    pub model: Model<'static>,
    /// Whether it was told to stop before it was over.
    pub stopped: bool,
}

/// The best epoch, and how long ago it was.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    figure: Option<f32>,
    epoch: usize,
    waited: usize,
}

impl Best {
    /// Whether no epoch before was as good. Without a figure each is better than those before.
    fn see(&mut self, figure: Option<f32>, epoch: usize) -> bool {
        let better = self.epoch == 0 || figure.is_none() || figure > self.figure;
        *self = if better {
            Best { figure, epoch, waited: 0 }
        } else {
            Best { waited: self.waited + 1, ..*self }
        };
        better
    }
}

impl Training {
    /// One epoch, whose model is written to that file.
    pub fn new(best: impl Into<PathBuf>) -> Training {
        Training {
            best: best.into(),
            epochs: 1,
            patience: None,
            figure: Figure::default(),
            csv: false,
            resume: false,
        }
    }

    /// How many epochs there are in all.
    pub fn epochs(self, epochs: usize) -> Training {
        Training { epochs, ..self }
    }

    /// Ends as soon as so many epochs in a row were no better than the best before (Keras's `EarlyStopping`).
    pub fn patience(self, epochs: usize) -> Training {
        Training { patience: Some(epochs), ..self }
    }

    /// What tells which epoch is the best.
    pub fn figure(self, figure: Figure) -> Training {
        Training { figure, ..self }
    }

    /// The log is written as comma-separated values too, beside that of JSON.
    pub fn csv(self, csv: bool) -> Training {
        Training { csv, ..self }
    }

    /// Goes on from the checkpoint, if there is one.
    pub fn resume(self, resume: bool) -> Training {
        Training { resume, ..self }
    }

    /// Where the checkpoint is.
    pub fn checkpoint(&self) -> PathBuf {
        self.best.with_extension("checkpoint")
    }

    /// Where the log is.
    pub fn log(&self) -> PathBuf {
        self.best.with_extension("jsonl")
    }

    /// Trains a model that is new, or was when the training that is [resumed](Self::resume) began. `watch` is told of what
    /// happens, and may end it after any batch.
    ///
    /// # Errors
    /// As [`Trainer::fit`]; or a file cannot be written, the checkpoint is of another net, or the log has fewer epochs; or
    /// there is [patience](Self::patience), and no validation set.
    pub fn run(
        &self,
        mut trainer: Trainer,
        mut model: Model<'static>,
        train: &dyn Dataset,
        validation: Option<&dyn Dataset>,
        watch: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Ended, Failure> {
        if self.patience.is_some() && validation.is_none() {
            return Err(
                "patience: expected a validation set that tells which epoch is the best, got none".into()
            );
        }
        let mut history = History::default();
        let mut best = Best::default();
        if self.resume && self.checkpoint().exists() {
            let learnt = model;
            let path = self.checkpoint();
            let of_path = |problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
            model = trainer.load_checkpoint(&path).map_err(|error| match error {
                Error::File { .. } => error.to_string(),
                error => of_path(&error),
            })?;
            same_net(&learnt, &model).map_err(|problem| of_path(&problem))?;
            model.set_metadata(&learnt.metadata()?)?;
            history.epochs = read_log(&self.log(), trainer.epochs_learnt())?;
            for epoch in &history.epochs {
                best.see(self.figure.of(epoch), epoch.epoch);
            }
        }
        let mut stopped = false;
        trainer = trainer.epochs(1);
        while history.epochs.len() < self.epochs
            && self.patience.is_none_or(|patience| best.waited < patience)
        {
            let before = history.epochs.len();
            let fitted = trainer.fit(&mut model, train, validation, &mut |event| {
                let end = match numbered(event, before, self.epochs) {
                    // It is told once it is written.
                    Event::Epoch(..) => ControlFlow::Continue(()),
                    event => watch(Progress::Event(event)),
                };
                stopped |= end.is_break();
                end
            })?;
            let whole = trainer.epochs_learnt() > before;
            let epoch = fitted.epochs.last().filter(|_| whole);
            let epoch = epoch.map(|&epoch| Epoch { epoch: before + 1, ..epoch });
            let is_best = epoch.is_some_and(|epoch| best.see(self.figure.of(&epoch), epoch.epoch));
            if is_best || best.epoch == 0 {
                // What was learnt before the first epoch was over is better than nothing.
                model.save(&self.best)?;
            }
            if let Some(epoch) = epoch {
                history.epochs.push(epoch);
                write(&self.log(), &lines(&history.epochs))?;
                if self.csv {
                    write(&self.best.with_extension("csv"), &csv(&history.epochs))?;
                }
            }
            trainer.save_checkpoint(self.checkpoint(), &model)?;
            if let Some(epoch) = epoch {
                stopped |= watch(Progress::Epoch { epoch, best: is_best }).is_break();
            }
            if stopped {
                break;
            }
        }
        Ok(Ended { history, best: best.epoch, model, stopped })
    }
}

/// An event of a call of `fit` for one epoch, numbered as one of all.
fn numbered(event: Event<'_>, before: usize, all: usize) -> Event<'_> {
    match event {
        Event::Batch { batch, batches, samples, training, .. } => {
            Event::Batch { epoch: before + 1, epochs: all, batch, batches, samples, training }
        }
        Event::Trained { .. } => Event::Trained { epoch: before + 1 },
        Event::Measured { metrics, .. } => Event::Measured { epoch: before + 1, metrics },
        Event::Epoch(epoch, model) => Event::Epoch(Epoch { epoch: before + 1, ..epoch }, model),
        other => other,
    }
}

/// Whether two models have the same layers, by name and shape.
fn same_net(expected: &Model<'_>, found: &Model<'_>) -> Result<(), String> {
    let (ours, theirs) = (expected.nodes(), found.nodes());
    if expected.input_shapes() != found.input_shapes() || ours.len() != theirs.len() {
        let told = |model: &Model<'_>| format!("{} with {} layers", model.input_shape(), model.nodes().len());
        return Err(format!("expected a net for {}, found one for {}", told(expected), told(found)));
    }
    for (ours, theirs) in ours.iter().zip(theirs) {
        let told = |node: &bantam::Node<'_>| format!("{} of {}", node.name(), node.output_shape());
        if told(ours) != told(theirs) {
            return Err(format!("expected the layer {}, found {}", told(ours), told(theirs)));
        }
    }
    Ok(())
}

/// A line of a log.
pub fn line(epoch: &Epoch) -> Value {
    let Epoch { epoch, samples, training, validation } = *epoch;
    json!({
        "epoch": epoch, "samples": samples, "loss": training.loss, "accuracy": training.accuracy,
        "validation_loss": validation.map(|validation| validation.loss),
        "validation_accuracy": validation.and_then(|validation| validation.accuracy),
    })
}

fn lines(epochs: &[Epoch]) -> String {
    epochs.iter().map(|epoch| format!("{}\n", line(epoch))).collect()
}

/// The same as a table: what there is none of is empty.
fn csv(epochs: &[Epoch]) -> String {
    let mut text = String::from("epoch,samples,loss,accuracy,validation_loss,validation_accuracy\n");
    for epoch in epochs {
        let line = line(epoch);
        let fields = line.as_object().into_iter().flatten();
        let fields: Vec<String> = fields
            .map(|(_, number)| if number.is_null() { String::new() } else { number.to_string() })
            .collect();
        text += &fields.join(",");
        text.push('\n');
    }
    text
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = AtomicFile::create(path)?;
    file.write(text.as_bytes())?;
    Ok(file.commit()?)
}

/// The first epochs of a log. What follows them is of no checkpoint: it may end in half a line.
///
/// # Errors
/// It cannot be read, or has fewer.
pub fn read_log(path: &Path, count: usize) -> Result<Vec<Epoch>, Failure> {
    if count == 0 && !path.exists() {
        return Ok(Vec::new());
    }
    let epochs = parse_log(path, &read(path)?, count)?;
    if epochs.len() < count {
        let (path, found) = (path.display(), epochs.len());
        return Err(format!("{path}: expected a line for each of {count} epochs, found {found}").into());
    }
    Ok(epochs)
}

/// The epochs of a log, without half a line at its end.
///
/// # Errors
/// It cannot be read, or a line is of no epoch.
pub fn whole_log(path: &Path) -> Result<Vec<Epoch>, Failure> {
    let text = read(path)?;
    parse_log(path, &text, text.matches('\n').count())
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|problem| format!("{}: {problem}", path.display()).into())
}

fn parse_log(path: &Path, text: &str, count: usize) -> Result<Vec<Epoch>, Failure> {
    let parsed = (1..).zip(text.lines()).take(count).map(|(number, text)| {
        let named = |problem: String| format!("{}: line {number}: {problem}", path.display());
        let line: Value = serde_json::from_str(text).map_err(|problem| named(problem.to_string()))?;
        Ok(epoch_of(&line).ok_or_else(|| named(format!("expected an epoch, found {text}")))?)
    });
    parsed.collect()
}

fn epoch_of(line: &Value) -> Option<Epoch> {
    let number = |name: &str| line[name].as_f64().map(|number| number as f32);
    let count = |name: &str| usize::try_from(line[name].as_u64()?).ok();
    let training = Evaluation { loss: number("loss")?, accuracy: number("accuracy") };
    let validation =
        number("validation_loss").map(|loss| Evaluation { loss, accuracy: number("validation_accuracy") });
    Some(Epoch { epoch: count("epoch")?, samples: count("samples")?, training, validation })
}
