use super::batch::Batch;
use super::running::Running;
use super::shards::{Learnt, Lessons, Setup, Shards};
use crate::error::Error;
use crate::graph::Model;
use crate::graph::model::in_layer;
use crate::layers::Role;
use crate::loss::{Criterion, L1L2, Loss, Penalty, Regularizer, penalties};
use crate::memory::heap;
use crate::metrics::{Evaluation, Measured, Metric};
use crate::optimizer::{Asks, Optimizer};
use crate::parallel::Threads;
use crate::plan::Options;
use crate::run::Session;
use crate::tensor::Tensor;
use crate::train::Dataset;
use crate::train::plateau::{Monitor, Plateau, ReduceLrOnPlateau};
use crate::train::progress::{Begun, Progress, swap_ema};
use alloc::vec::Vec;
use bantam_kernels::Isa;
use core::ops::ControlFlow;
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Trains models, and measures and uses them.
///
/// A trainer goes on: given a model as its last [`fit`](Trainer::fit) left it, it remembers what its optimiser
/// knows and where the order of samples was, so that two epochs and two more are four, and an epoch that was stopped half
/// way is the next one's first. Given any other, it begins anew.
///
/// ```
/// use bantam::{Loss, RmsProp, Samples, Sequential, Tensor, Trainer};
/// use std::ops::ControlFlow;
/// let xor = Samples::new(
///     Tensor::new(&[4, 2], vec![0., 0., 0., 1., 1., 0., 1., 1.])?,
///     Tensor::new(&[4, 1], vec![0., 1., 1., 0.])?,
/// )?;
/// let mut model = Sequential::new([2]).dense(16).relu().dense(2).build(3)?;
/// let mut trainer = Trainer::new(RmsProp { rate: 0.01, ..RmsProp::default() }, Loss::SoftmaxCrossEntropy)
///     .epochs(200).batch_size(4);
/// let history = trainer.fit(&mut model, &xor, None, &mut |_| ControlFlow::Continue(()))?;
/// assert_eq!(history.epochs.len(), 200);
/// assert_eq!(trainer.evaluate(&model, &xor)?.accuracy, Some(1.0));
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trainer {
    pub(super) optimizer: Optimizer,
    pub(super) loss: Loss,
    /// One for each class, or none.
    pub(super) class_weights: Vec<f32>,
    pub(super) regularizers: Vec<Regularizer>,
    epochs: usize,
    pub(super) batch_size: usize,
    pub(super) micro_batch: Option<usize>,
    pub(super) seed: u64,
    isa: Isa,
    threads: Threads,
    direct_only: bool,
    /// Bytes that a training may take.
    memory: Option<usize>,
    /// What goes on from one `fit` to the next.
    pub(super) progress: Option<Progress>,
    plateau: Option<ReduceLrOnPlateau>,
}

/// What happened in training, as it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'m> {
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
    /// The metrics of the validation set were measured, in the order in which they were given.
    Measured {
        /// The epoch.
        epoch: usize,
        /// Their names and values.
        metrics: &'m [Measured],
    },
    /// An epoch is over: its figures, and the model as it is then.
    Epoch(Epoch, &'m Model<'m>),
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
    /// On the validation set, at its end: not where the epoch was stopped before.
    pub validation: Option<Evaluation>,
}

/// The figures of all epochs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// First to last.
    pub epochs: Vec<Epoch>,
    /// For each epoch the metrics of the validation set, if there were any.
    pub metrics: Vec<Vec<Measured>>,
}

/// Samples that `fit` learns at a time, if nothing else is said. It does not depend on the threads, so that the bits do not.
const MICRO_BATCH: usize = 32;

/// Sets the seed of a data set apart from that of the epoch's first step.
const DATA_SET: u64 = 0x6175_676d_656e_7421;

/// Samples that evaluation and prediction run at a time.
pub(super) const INFERENCE_BATCH: usize = 64;

impl Trainer {
    /// One epoch, batches of 32, seed 0, the widest instruction set of this CPU, the threads of rayon's current pool.
    pub fn new(optimizer: impl Into<Optimizer>, loss: Loss) -> Trainer {
        Trainer {
            optimizer: optimizer.into(),
            loss,
            class_weights: Vec::new(),
            regularizers: Vec::new(),
            epochs: 1,
            batch_size: 32,
            micro_batch: None,
            seed: 0,
            isa: Isa::detect(),
            threads: Threads::of_the_pool(),
            direct_only: false,
            memory: None,
            progress: None,
            plateau: None,
        }
    }

    /// How often every sample is learnt.
    pub fn epochs(self, epochs: usize) -> Trainer {
        Trainer { epochs, ..self }
    }

    /// How many samples make one step. The last batch of an epoch may be smaller.
    pub fn batch_size(self, batch_size: usize) -> Trainer {
        Trainer { batch_size, ..self }
    }

    /// Learns a batch so many samples at a time and adds up their gradients in pairs (gradient accumulation). Another number
    /// rounds otherwise; what a layer draws at random for a sample is the same. [`fit`](Trainer::fit) takes 32
    /// if nothing else is said, and learns several micro-batches at once where there are threads. A
    /// [`TrainingPlan`](crate::TrainingPlan) takes the whole batch, or a divisor of it, and learns one after the other, so that
    /// a step needs memory for one of them; batch normalisation that learns needs the whole batch there.
    pub fn micro_batch(self, samples: usize) -> Trainer {
        Trainer { micro_batch: Some(samples), ..self }
    }

    /// What a sample counts, by the class of its target: one weight for each class, two where there is one output of a
    /// binary loss. They multiply the samples' own [weights](Dataset::weight), and are of training alone.
    pub fn class_weights(self, weights: &[f32]) -> Trainer {
        Trainer { class_weights: weights.to_vec(), ..self }
    }

    /// A penalty for the weights of the layer of that name: its `"kernel"`, `"bias"` or others.
    pub fn regularizer(mut self, layer: &str, weights: &str, how: L1L2) -> Trainer {
        self.regularizers.push(Regularizer::new(layer, weights, how));
        self
    }

    /// What the order of samples and dropout are drawn from. The next training begins anew.
    pub fn seed(mut self, seed: u64) -> Trainer {
        self.seed = seed;
        self.forget();
        self
    }

    /// The instruction set to use.
    pub fn isa(self, isa: Isa) -> Trainer {
        Trainer { isa, ..self }
    }

    /// In so many parts at a time, one at the least: threads of rayon's current pool take them. The bits do not depend on
    /// it.
    pub fn threads(self, threads: usize) -> Trainer {
        Trainer { threads: Threads::new(threads), ..self }
    }

    /// [`fit`](Trainer::fit) takes so many bytes at the most, beside the model and the data set: for a batch, the optimiser's
    /// state, gradients, and all that steps compute. To keep to it, outputs are dropped and computed again, and
    /// [micro-batches](Trainer::micro_batch) are learnt one after the other, unless batch normalisation needs all of them at
    /// once. What is learnt has the same bits; only where nothing else does, micro-batches are smaller, and gradients the same
    /// within rounding. A validation set takes the memory of its [evaluation](Trainer::evaluate) beside.
    pub fn within(self, bytes: usize) -> Trainer {
        Trainer { memory: Some(bytes), ..self }
    }

    /// With convolutions that are all [direct only](crate::Conv2d::direct_only).
    pub fn direct_only(self) -> Trainer {
        Trainer { direct_only: true, ..self }
    }

    /// With a learning rate that is cut when a loss no longer falls.
    pub fn reduce_lr_on_plateau(self, plateau: ReduceLrOnPlateau) -> Trainer {
        Trainer { plateau: Some(plateau), ..self }
    }

    /// Whole epochs that the model has learnt, if training goes on: in all calls of [`fit`](Trainer::fit), and before a
    /// [checkpoint](Trainer::checkpoint).
    pub fn epochs_learnt(&self) -> usize {
        self.progress.as_ref().map_or(0, |progress| usize::try_from(progress.epochs).unwrap_or(usize::MAX))
    }

    /// The learning rate of the next step, if training goes on.
    pub fn rate(&self) -> f32 {
        self.optimizer.rate()
    }

    /// Trains a model, its layers as far as they are trainable. The order of samples is drawn anew
    /// in each epoch, and told to the training set ([`Dataset::begin_epoch`]). `on_event` is told of
    /// each batch and epoch and may end the training. After the first step of each batch size, steps
    /// allocate nothing.
    ///
    /// # Errors
    /// There is nothing to learn: no epoch, no sample, no trainable layer with weights. Or a number of the
    /// optimiser's is out of its range, a weight is not finite, a data set does not fit the model, a sample cannot be read or is not
    /// finite, a target is not valid for the loss, or the loss is no longer finite. The
    /// model is then as the last whole step left it.
    pub fn fit(
        &mut self,
        model: &mut Model<'_>,
        train: &dyn Dataset,
        validation: Option<&dyn Dataset>,
        on_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<History, Error> {
        self.fit_with(model, train, validation, &mut [], on_event)
    }

    /// As [`fit`](Trainer::fit), with metrics of the validation set, which are measured anew at the end of each epoch.
    ///
    /// # Errors
    /// As [`fit`](Trainer::fit), a metric cannot measure the model's outputs, or there is no validation set for metrics.
    pub fn fit_with(
        &mut self,
        model: &mut Model<'_>,
        train: &dyn Dataset,
        validation: Option<&dyn Dataset>,
        metrics: &mut [&mut dyn Metric],
        on_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<History, Error> {
        self.training_criterion(model, train)?;
        match validation {
            Some(validation) => _ = self.criterion(model, validation)?,
            None if metrics.is_empty() => {}
            None => return Err(Error::Empty { what: "validation set for the metrics" }),
        }
        model.check_finite()?;
        let penalties = penalties(&self.regularizers, model)?;
        self.optimizer.rule().check()?;
        self.optimizer.rule().check_names(model)?;
        self.check_plateau(validation.is_some())?;
        let setup = self.setup()?;
        let nothing = if self.batch_size == 0 {
            Some("batch")
        } else if self.epochs == 0 {
            Some("epochs")
        } else if !model.roles()?.contains(&Role::Learnt) {
            Some("trainable layers")
        } else {
            None
        };
        if let Some(what) = nothing {
            return Err(Error::Empty { what });
        }
        let batch = Batch::new(self.batch_size.min(train.len()), train)?;
        let shards = Shards::new(setup, model)?;
        let before = self.resume(model, train.len())?;
        let Progress { random, order, epoch, epochs, plateau, averaged, .. } = before.clone();
        if averaged {
            swap_ema(&mut self.optimizer, model)?;
        }
        let fresh = self.optimizer.restarted();
        let optimizer = core::mem::replace(&mut self.optimizer, fresh);
        let mut run = Run {
            criterion: self.training_criterion(model, train)?,
            penalties,
            trainer: self,
            train,
            optimizer,
            random,
            order,
            epoch,
            epochs,
            plateau,
            batch,
            shards,
            steps: 0,
        };
        let result = run.epochs(model, validation, metrics, on_event);
        let Run { optimizer, random, order, epoch, epochs, plateau, steps, .. } = run;
        self.optimizer = optimizer;
        let averaged = averaged || steps > 0;
        if averaged {
            swap_ema(&mut self.optimizer, model)?;
        }
        let checksum = model.checksum();
        let now = Progress { random, order, epoch, epochs, checksum, plateau, averaged };
        // If nothing was learnt, all is as it was.
        self.progress = Some(if steps > 0 { now } else { before });
        result
    }

    fn check_plateau(&self, validated: bool) -> Result<(), Error> {
        let Some(plateau) = self.plateau else { return Ok(()) };
        if self.optimizer.rule().asks(Asks::Schedule) {
            return Err(Error::TooMany { what: "schedules", max: 1, got: 2 });
        }
        if plateau.monitor == Monitor::ValidationLoss && !validated {
            return Err(Error::Empty { what: "validation set of a plateau" });
        }
        plateau.check()
    }

    /// The outputs of a model for inputs `[N, …]`.
    ///
    /// # Errors
    /// The inputs do not have the model's shape, or they or the outputs are not finite.
    pub fn predict(&self, model: &Model<'_>, inputs: &Tensor) -> Result<Tensor, Error> {
        let n = model.check_input(inputs.shape())?;
        let outputs_shape = model.output_shape().with_batch(n)?;
        let mut session = Session::new(model, self.options(INFERENCE_BATCH.min(n)))?;
        let mut outputs = heap::list(outputs_shape.elements())?;
        let batches = inputs.data().chunks(INFERENCE_BATCH * model.input_shape().elements());
        for (i, samples) in batches.enumerate() {
            let run = session.run(samples).map_err(|error| error.after(i * INFERENCE_BATCH))?;
            outputs.extend_from_slice(run);
        }
        Tensor::new(outputs_shape.dims(), outputs)
    }

    /// Bytes that [`fit`](Trainer::fit) takes to train a model on a data set, beside these.
    ///
    /// # Errors
    /// It could not begin.
    pub fn peak_bytes(&self, model: &Model<'_>, train: &dyn Dataset) -> Result<usize, Error> {
        self.training_criterion(model, train)?;
        if self.batch_size == 0 {
            return Err(Error::Empty { what: "batch" });
        }
        let batch = Batch::new(self.batch_size.min(train.len()), train)?;
        Shards::new(self.setup()?, model)?.plan(model, batch.bytes(), train.len())
    }

    /// Samples that are learnt at a time, or so many if nothing is said.
    pub(super) fn checked_micro_batch(&self, otherwise: usize) -> Result<usize, Error> {
        match self.micro_batch.unwrap_or(otherwise) {
            0 => Err(Error::Empty { what: "micro-batch" }),
            samples => Ok(samples),
        }
    }

    fn setup(&self) -> Result<Setup, Error> {
        let arrays = self.optimizer.rule().arrays();
        let (options, loss) = (self.options(self.batch_size), self.loss);
        let micro_batch = self.checked_micro_batch(MICRO_BATCH)?;
        Ok(Setup { options, loss, arrays, memory: self.memory, micro_batch })
    }

    pub(super) fn options(&self, batch: usize) -> Options {
        let Trainer { isa, threads, direct_only, .. } = *self;
        Options { batch, isa, threads, direct_only }
    }

    /// How a model is measured on a data set, if it can be.
    pub(super) fn criterion(
        &self,
        model: &Model<'_>,
        data: &dyn Dataset,
    ) -> Result<Criterion<'static>, Error> {
        if data.is_empty() {
            return Err(Error::Empty { what: "data set" });
        }
        model.only_input()?.require("samples of the data set", data.input_shape())?;
        let (_, loss) = self.loss.output(model)?;
        Criterion::new(loss, model.output_shape(), data.target_len())
    }

    /// The same in training, where classes have weights.
    fn training_criterion(&self, model: &Model<'_>, data: &dyn Dataset) -> Result<Criterion<'_>, Error> {
        let criterion = self.criterion(model, data)?;
        if self.class_weights.is_empty() { Ok(criterion) } else { criterion.weighted(&self.class_weights) }
    }
}

/// One call of `fit`.
struct Run<'t> {
    trainer: &'t Trainer,
    train: &'t dyn Dataset,
    criterion: Criterion<'t>,
    penalties: Vec<Penalty>,
    optimizer: Optimizer,
    random: Xoshiro256PlusPlus,
    order: Vec<usize>,
    epoch: Begun,
    /// Whole ones, of all calls.
    epochs: u64,
    plateau: Plateau,
    batch: Batch,
    shards: Shards,
    /// How many there were.
    steps: usize,
}

impl Run<'_> {
    fn epochs(
        &mut self,
        model: &mut Model<'_>,
        validation: Option<&dyn Dataset>,
        metrics: &mut [&mut dyn Metric],
        on_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<History, Error> {
        let mut history = History::default();
        // Whatever cannot be learnt is said before anything is.
        self.shards.plan(model, self.batch.bytes(), self.order.len())?;
        for epoch in 1..=self.trainer.epochs {
            let (training, mut stopped) = self.epoch(model, epoch, on_event)?;
            let whole = training.samples == self.order.len();
            // Who stops in an epoch does not wait for it.
            let validation = validation.filter(|_| whole);
            let validation = match validation {
                Some(set) => Some(self.trainer.evaluate_with(model, set, metrics)?),
                None => None,
            };
            let record = Epoch { epoch, samples: training.samples, training: training.result(), validation };
            history.epochs.push(record);
            if whole {
                self.see_loss(&record);
            }
            if validation.is_some() && !metrics.is_empty() {
                let measured: Vec<_> = metrics.iter().map(|metric| metric.measured()).collect();
                stopped |= on_event(Event::Measured { epoch, metrics: &measured }).is_break();
                history.metrics.push(measured);
            }
            if stopped || on_event(Event::Epoch(record, model)).is_break() {
                break;
            }
        }
        Ok(history)
    }

    /// Cuts the learning rate if an epoch's loss asks for it.
    fn see_loss(&mut self, epoch: &Epoch) {
        let Some(reduce) = self.trainer.plateau else { return };
        let loss = match (reduce.monitor, epoch.validation) {
            (Monitor::ValidationLoss, Some(validation)) => validation.loss,
            _ => epoch.training.loss,
        };
        if let Some(rate) = reduce.see(&mut self.plateau, loss, self.optimizer.rate()) {
            self.optimizer.reduce(rate);
        }
    }

    /// Learns every sample once. Also returns whether `on_event` requested a stop.
    fn epoch(
        &mut self,
        model: &mut Model<'_>,
        epoch: usize,
        on_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<(Running, bool), Error> {
        let Trainer { epochs, batch_size, .. } = *self.trainer;
        let mut running = self.epoch.running;
        if running.samples == 0 || running.samples >= self.order.len() {
            shuffle(&mut self.order, &mut self.random);
            // Of a copy: what a data set draws does not change what the training draws. And no step's own seed.
            let seed = self.random.clone().next_u64() ^ DATA_SET;
            running = Running::default();
            self.epoch = Begun { seed, running };
        }
        self.train.begin_epoch(&self.order[running.samples..], self.epoch.seed)?;
        let batches = self.order.len().div_ceil(batch_size);
        let (mut batch, mut first) = (running.samples / batch_size, running.samples);
        let mut stopped = false;
        while first < self.order.len() && !stopped {
            batch += 1;
            let rows = batch_size.min(self.order.len() - first);
            let indices = self.order[first..first + rows].iter().copied();
            self.batch.read(self.train, Some(&self.criterion), indices)?;
            let (loss, correct) = self.step(model, rows).map_err(|error| match error {
                Error::Diverged { loss, .. } => Error::Diverged { epoch, batch, loss },
                other => other,
            })?;
            running.add(rows, &self.criterion, loss, correct);
            self.epoch.running = running;
            first += rows;
            self.epochs += u64::from(first == self.order.len());
            let (samples, training) = (running.samples, running.result());
            let event = Event::Batch { epoch, epochs, batch, batches, samples, training };
            stopped = on_event(event).is_break();
        }
        // The last step may have been one too far, which no loss has told yet.
        model.check_finite()?;
        stopped = stopped || on_event(Event::Trained { epoch }).is_break();
        Ok((running, stopped))
    }

    /// One step on the batch that was read. Gives its loss and how many samples were right.
    fn step(&mut self, model: &mut Model<'_>, rows: usize) -> Result<(f32, Option<usize>), Error> {
        let mut random = self.random.clone();
        let (criterion, penalties, batch) = (&self.criterion, &self.penalties[..], &self.batch);
        let lessons = Lessons { model, criterion, penalties, seed: random.next_u64(), batch, rows };
        let Learnt { loss, correct, gradients, layout, first } = self.shards.learn(&lessons)?;
        let isa = self.trainer.isa;
        let learnt = || layout.learnt.iter().filter(|learnt| !learnt.moves);
        let mut step = self.optimizer.begin_step()?;
        for learnt in learnt() {
            let layer = || model.owner(learnt.parameter).map_or("", |node| node.name());
            step.expect(learnt.parameter, learnt.gradient.len()).map_err(|cause| in_layer(layer(), cause))?;
            step.observe(isa, &gradients[learnt.gradient.clone()])?;
        }
        for learnt in learnt() {
            let (names, weights) = model.named_mut(learnt.parameter);
            let gradients = &gradients[learnt.gradient.clone()];
            step.update_named(isa, learnt.parameter, &names, weights, gradients)?;
        }
        first.follow(layout, |parameter, update| update(model.values_mut(parameter)));
        self.random = random;
        self.steps += 1;
        Ok((loss, correct))
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
