use crate::loss::Targets;
use crate::model::Mode;
use crate::parallel::for_each_apart;
use crate::{
    Dataset, Error, Gradients, LayerKind, Loss, Model, Optimizer, Session, Shape, Tensor, Var, metrics,
};
use alloc::vec;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use core::ops::{ControlFlow, Range};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Trains models, and measures and uses them.
///
/// ```
/// use bantam::{Loss, RmsProp, Samples, Sequential, Tensor, Trainer};
/// use std::ops::ControlFlow;
/// let xor = Samples::new(
///     Tensor::new(&[4, 2], vec![0., 0., 0., 1., 1., 0., 1., 1.])?,
///     Tensor::new(&[4, 1], vec![0., 1., 1., 0.])?,
/// )?;
/// let mut model = Sequential::new([2]).dense(16).relu().dense(2).build(3)?;
/// let trainer = Trainer::new(RmsProp { rate: 0.01, ..RmsProp::default() }, Loss::SoftmaxCrossEntropy)
///     .epochs(200).batch_size(4);
/// let history = trainer.fit(&mut model, &xor, None, &mut |_| ControlFlow::Continue(()))?;
/// assert_eq!(history.epochs.len(), 200);
/// assert_eq!(trainer.evaluate(&model, &xor)?.accuracy, Some(1.0));
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trainer {
    pub(crate) optimizer: Optimizer,
    pub(crate) loss: Loss,
    epochs: usize,
    pub(crate) batch_size: usize,
    pub(crate) seed: u64,
    pub(crate) isa: Isa,
}

/// Loss and accuracy over some samples. Accuracy is `None` where the loss knows no right and wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss of a sample.
    pub loss: f32,
    /// The share of samples that are right.
    pub accuracy: Option<f32>,
}

/// What happened in training, as it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A batch was learnt. All counts begin at 1; the figures are of the epoch so far.
    Batch {
        /// Epoch, of so many.
        epoch: usize,
        /// All epochs.
        epochs: usize,
        /// Batch of the epoch, of so many.
        batch: usize,
        /// All batches of an epoch.
        batches: usize,
        /// Samples of the epoch learnt so far.
        samples: usize,
        /// Loss and accuracy of the epoch so far.
        training: Evaluation,
    },
    /// All batches of an epoch were learnt; validation comes next.
    Trained {
        /// The epoch.
        epoch: usize,
    },
    /// An epoch is over.
    Epoch(Epoch),
}

/// The figures of one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Which, from 1.
    pub epoch: usize,
    /// Samples learnt.
    pub samples: usize,
    /// The mean over its batches, while the model was changing.
    pub training: Evaluation,
    /// On the validation set, at its end.
    pub validation: Option<Evaluation>,
}

/// The figures of all epochs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// First to last.
    pub epochs: Vec<Epoch>,
}

/// Samples that evaluation and prediction run at a time.
const INFERENCE_BATCH: usize = 64;

impl Trainer {
    /// One epoch, batches of 32, seed 0, the widest instruction set of this CPU.
    pub fn new(optimizer: impl Into<Optimizer>, loss: Loss) -> Trainer {
        let optimizer = optimizer.into();
        Trainer { optimizer, loss, epochs: 1, batch_size: 32, seed: 0, isa: Isa::detect() }
    }

    /// How often every sample is learnt.
    pub fn epochs(self, epochs: usize) -> Trainer {
        Trainer { epochs, ..self }
    }

    /// How many samples make one step. The last batch of an epoch may be smaller.
    pub fn batch_size(self, batch_size: usize) -> Trainer {
        Trainer { batch_size, ..self }
    }

    /// What the order of samples and dropout are drawn from.
    pub fn seed(self, seed: u64) -> Trainer {
        Trainer { seed, ..self }
    }

    /// The instruction set to use.
    pub fn isa(self, isa: Isa) -> Trainer {
        Trainer { isa, ..self }
    }

    /// Trains a model, its layers as far as they are trainable. The order of samples is drawn anew
    /// in each epoch. `on_event` is told of each batch and epoch and may end the training. After
    /// the first step of each batch size, steps allocate nothing.
    ///
    /// # Errors
    /// A data set is empty or does not fit the model, a sample cannot be read, a label is not a
    /// class, or the loss is no longer finite. The model is then as the last whole step left it.
    pub fn fit(
        &self,
        model: &mut Model<'_>,
        train: &dyn Dataset,
        validation: Option<&dyn Dataset>,
        on_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<History, Error> {
        self.check(model, train)?;
        if let Some(validation) = validation {
            self.check(model, validation)?;
        }
        if self.batch_size == 0 {
            return Err(Error::Empty { what: "batch" });
        }
        let mut run = Run {
            trainer: self,
            train,
            optimizer: self.optimizer.clone(),
            random: Xoshiro256PlusPlus::seed_from_u64(self.seed),
            order: (0..train.len()).collect(),
            batch: Batch::new(self.batch_size.min(train.len()), train),
            shards: Vec::new(),
        };
        let mut history = History::default();
        for epoch in 1..=self.epochs {
            let (training, stopped) = run.epoch(model, epoch, on_event)?;
            let validation = match validation {
                Some(set) => Some(self.evaluate(model, set)?),
                None => None,
            };
            let record = Epoch { epoch, samples: training.samples, training: training.result(), validation };
            history.epochs.push(record);
            if stopped || on_event(Event::Epoch(record)).is_break() {
                break;
            }
        }
        Ok(history)
    }

    /// Loss and accuracy of a model on a data set.
    ///
    /// # Errors
    /// The data set is empty or does not fit the model, a sample cannot be read, or a label is not
    /// a class.
    pub fn evaluate(&self, model: &Model<'_>, data: &dyn Dataset) -> Result<Evaluation, Error> {
        self.check(model, data)?;
        let outputs = model.output_shape().elements();
        let classes = data.target_len() == 1 && outputs > 1;
        let batch_size = INFERENCE_BATCH.min(data.len());
        let logits = Logits::of(model, self.loss);
        let mut session = Session::new(model, batch_size, self.isa)?;
        let mut batch = Batch::new(batch_size, data);
        let mut one_hot = vec![0.0; if classes { batch_size * outputs } else { 0 }];
        let mut log = vec![0.0; if logits == Logits::Probabilities { batch_size * outputs } else { 0 }];
        let mut total = Running::default();
        for first in (0..data.len()).step_by(batch_size) {
            let rows = batch_size.min(data.len() - first);
            batch.read(data, first..first + rows)?;
            let targets = batch.targets(rows);
            let mut y = session.run(batch.inputs(rows))?;
            if logits == Logits::Probabilities {
                // The logarithm of a softmax has the same softmax.
                for (log, &y) in log.iter_mut().zip(y) {
                    *log = libm::logf(y.max(f32::MIN_POSITIVE));
                }
                y = &log[..y.len()];
            }
            let wanted = if classes {
                one_hot.fill(0.0);
                for (i, (row, &label)) in one_hot.chunks_exact_mut(outputs).zip(targets).enumerate() {
                    let class = class(first + i, label, outputs)?;
                    row[class] = 1.0;
                }
                &one_hot[..rows * outputs]
            } else {
                targets
            };
            let loss = self.loss.value(rows, y, wanted)?;
            total.add(rows, loss, metrics::correct(self.loss, rows, y, targets));
        }
        Ok(total.result())
    }

    /// The outputs of a model for inputs `[N, …]`.
    ///
    /// # Errors
    /// The inputs do not have the model's shape.
    pub fn predict(&self, model: &Model<'_>, inputs: &Tensor) -> Result<Tensor, Error> {
        let n = model.check_input(inputs.shape())?;
        let mut session = Session::new(model, INFERENCE_BATCH.min(n), self.isa)?;
        let mut outputs = Vec::new();
        for samples in inputs.data().chunks(INFERENCE_BATCH * model.input_shape().elements()) {
            outputs.extend_from_slice(session.run(samples)?);
        }
        Tensor::new(model.output_shape().with_batch(n)?.dims(), outputs)
    }

    fn check(&self, model: &Model<'_>, data: &dyn Dataset) -> Result<(), Error> {
        if data.is_empty() {
            return Err(Error::Empty { what: "data set" });
        }
        model.input_shape().require("samples of the data set", data.input_shape())?;
        self.loss.check(data.target_len(), model.output_shape().elements())
    }
}

/// What a model's last layer gives.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Logits {
    Logits,
    Probabilities,
}

impl Logits {
    fn of(model: &Model<'_>, loss: Loss) -> Logits {
        let softmax = model.layers().last().is_some_and(|layer| *layer.kind() == LayerKind::Softmax);
        if softmax && loss == Loss::SoftmaxCrossEntropy { Logits::Probabilities } else { Logits::Logits }
    }

    /// How many layers learn: the loss has the softmax in it.
    pub fn layers(model: &Model<'_>, loss: Loss) -> usize {
        model.layers().len() - usize::from(Logits::of(model, loss) == Logits::Probabilities)
    }
}

/// A label as a class.
pub(crate) fn class(index: usize, label: f32, classes: usize) -> Result<usize, Error> {
    let class = label as usize;
    if label >= 0.0 && class < classes && class as f32 == label {
        Ok(class)
    } else {
        Err(Error::Label { index, label, classes })
    }
}

/// One call of `fit`.
struct Run<'t> {
    trainer: &'t Trainer,
    train: &'t dyn Dataset,
    optimizer: Optimizer,
    random: Xoshiro256PlusPlus,
    order: Vec<usize>,
    batch: Batch,
    shards: Vec<Shard>,
}

impl Run<'_> {
    /// Learns every sample once. Says also whether `on_event` wants to end.
    fn epoch(
        &mut self,
        model: &mut Model<'_>,
        epoch: usize,
        on_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<(Running, bool), Error> {
        let Trainer { epochs, batch_size, .. } = *self.trainer;
        shuffle(&mut self.order, &mut self.random);
        let batches = self.order.len().div_ceil(batch_size);
        let mut running = Running::default();
        for batch in 1..=batches {
            let first = (batch - 1) * batch_size;
            let rows = batch_size.min(self.order.len() - first);
            self.batch.read(self.train, self.order[first..first + rows].iter().copied())?;
            let (loss, correct) = self.step(model, rows).map_err(|error| match error {
                Error::Diverged { loss, .. } => Error::Diverged { epoch, batch, loss },
                Error::Label { index, label, classes } => {
                    Error::Label { index: self.order[first + index], label, classes }
                }
                other => other,
            })?;
            running.add(rows, loss, correct);
            let (samples, training) = (running.samples, running.result());
            let event = Event::Batch { epoch, epochs, batch, batches, samples, training };
            if on_event(event).is_break() {
                return Ok((running, true));
            }
        }
        let stopped = on_event(Event::Trained { epoch }).is_break();
        Ok((running, stopped))
    }

    /// One step on the batch that was read. Gives its loss and how many samples were right.
    fn step(&mut self, model: &mut Model<'_>, rows: usize) -> Result<(f32, Option<usize>), Error> {
        let Trainer { loss: kind, isa, .. } = *self.trainer;
        let seed = self.random.next_u64();
        let count = rows.div_ceil(SHARD);
        let samples = rows.div_ceil(count);
        if self.shards.len() < count {
            self.shards.resize_with(count, || Shard::new(isa));
        }
        let (batch, shards, shared) = (&self.batch, &mut self.shards[..count], &*model);
        for_each_apart(shards, |i, shard| {
            let range = i * samples..rows.min((i + 1) * samples);
            let (first, share) = (range.start, range.len() as f32 / rows as f32);
            let mode = Mode::Training { seed: seed.wrapping_add(i as u64) };
            let result = shard.run(shared, kind, mode, share, batch.part(range));
            result.map_err(|error| match error {
                Error::Label { index, label, classes } => {
                    Error::Label { index: first + index, label, classes }
                }
                other => other,
            })
        })?;
        let loss = shards.iter().map(|shard| shard.loss).sum::<f32>();
        if !loss.is_finite() {
            return Err(Error::Diverged { epoch: 0, batch: 0, loss });
        }
        let correct = shards.iter().map(|shard| shard.correct).sum();
        let (sum, others) = shards.split_at_mut(1);
        let sum = &mut sum[0];
        for other in others {
            sum.gradients.add(&sum.parameters, &other.gradients, &other.parameters)?;
        }
        model.update(isa, &mut self.optimizer, &sum.parameters, &sum.gradients)?;
        Ok((loss, correct))
    }
}

/// Samples of a batch that are learnt apart from its others: threads share a step this way, and a part's
/// numbers stay in a cache. It does not depend on the threads, so that the bits do not.
const SHARD: usize = 32;

/// What some samples of a batch add to its loss and gradients.
struct Shard {
    gradients: Gradients,
    parameters: Vec<Var>,
    loss: f32,
    correct: Option<usize>,
}

impl Shard {
    fn new(isa: Isa) -> Shard {
        Shard { gradients: Gradients::none(isa), parameters: Vec::new(), loss: 0.0, correct: None }
    }

    /// `share` is the samples' part of the batch.
    fn run(
        &mut self,
        model: &Model<'_>,
        kind: Loss,
        mode: Mode,
        share: f32,
        (inputs, targets, samples): (&[f32], &[f32], usize),
    ) -> Result<(), Error> {
        let trained_layers = Logits::layers(model, kind);
        let mut tape = self.gradients.take().into_tape();
        self.parameters.clear();
        let x = tape.input(model.input_shape().with_batch(samples)?, inputs)?;
        let y = model.record_first(trained_layers, &mut tape, x, mode, &mut self.parameters)?;
        let outputs = tape.shape(y)?.elements() / samples;
        let target_len = targets.len() / samples;
        let wanted = if kind == Loss::SoftmaxCrossEntropy && target_len == 1 && outputs > 1 {
            Targets::Classes(targets)
        } else {
            Targets::Values(tape.input(Shape::new(&[samples, target_len])?, targets)?)
        };
        self.correct = metrics::correct(kind, samples, tape.value(y)?, targets);
        let loss = kind.record(&mut tape, y, wanted)?;
        self.loss = tape.value(loss)?[0] * share;
        self.gradients = tape.backward_times(share, loss)?;
        Ok(())
    }
}

/// Fisher and Yates, by Durstenfeld, Communications of the ACM 7, 1964.
fn shuffle(order: &mut [usize], random: &mut Xoshiro256PlusPlus) {
    for i in (1..order.len()).rev() {
        // The upper half of a 64 by 64 bit product: uniform but for 2⁻⁶⁴ times the length.
        let at = (u128::from(random.next_u64()) * (i as u128 + 1)) >> 64;
        order.swap(i, at as usize);
    }
}

/// Memory for a batch of samples.
struct Batch {
    inputs: Vec<f32>,
    targets: Vec<f32>,
    input_len: usize,
    target_len: usize,
}

impl Batch {
    fn new(samples: usize, data: &dyn Dataset) -> Batch {
        let (input_len, target_len) = (data.input_shape().elements(), data.target_len());
        Batch {
            inputs: vec![0.0; samples * input_len],
            targets: vec![0.0; samples * target_len],
            input_len,
            target_len,
        }
    }

    fn read(&mut self, data: &dyn Dataset, indices: impl Iterator<Item = usize>) -> Result<(), Error> {
        let inputs = self.inputs.chunks_exact_mut(self.input_len);
        let targets = self.targets.chunks_exact_mut(self.target_len);
        for ((input, target), index) in inputs.zip(targets).zip(indices) {
            data.read(index, input, target)?;
        }
        Ok(())
    }

    fn inputs(&self, samples: usize) -> &[f32] {
        &self.inputs[..samples * self.input_len]
    }

    fn targets(&self, samples: usize) -> &[f32] {
        &self.targets[..samples * self.target_len]
    }

    /// Inputs and targets of some samples, and how many there are.
    fn part(&self, samples: Range<usize>) -> (&[f32], &[f32], usize) {
        let of = |len: usize| samples.start * len..samples.end * len;
        (&self.inputs[of(self.input_len)], &self.targets[of(self.target_len)], samples.len())
    }
}

/// A running mean over samples.
#[derive(Clone, Copy, Default)]
struct Running {
    samples: usize,
    loss: f64,
    correct: Option<usize>,
}

impl Running {
    fn add(&mut self, samples: usize, loss: f32, correct: Option<usize>) {
        self.samples += samples;
        self.loss += f64::from(loss) * samples as f64;
        self.correct = correct.map(|correct| self.correct.unwrap_or(0) + correct);
    }

    fn result(&self) -> Evaluation {
        let samples = self.samples as f64;
        Evaluation {
            loss: (self.loss / samples) as f32,
            accuracy: self.correct.map(|correct| (correct as f64 / samples) as f32),
        }
    }
}
