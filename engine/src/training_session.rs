use crate::arena::{self, Arena};
use crate::checksum::Checksum;
use crate::loss::Criterion;
use crate::ops::{Backward, BackwardRows, Dropout, Forward, LayerOp, MAX_INPUTS};
use crate::parallel::threads;
use crate::session::check_finite;
use crate::tensor::check_len;
use crate::training_plan::{Base, TrainedStep};
use crate::{Buffer, Error, Evaluation, Model, Trainer, TrainingPlan};
use core::ops::Range;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The trainable layers of a model as they learn, in memory that a [`TrainingPlan`] has told before.
///
/// The model stays as it is, in flash if it lies there; what is learnt is in the arena, until
/// [`to_model`](TrainingSession::to_model) makes a model of it. Nothing is allocated once the session is
/// made. Where threads and data sets are at hand, [`Trainer::fit`] is the easier way.
///
/// ```
/// use bantam::{Loss, Sequential, Sgd, Trainer, TrainingSession};
/// let model = Sequential::new([2]).dense(8).relu().dense(2).build(3)?;
/// let trainer = Trainer::new(Sgd { rate: 0.5, ..Sgd::default() }, Loss::SoftmaxCrossEntropy).batch_size(4);
/// let mut session = TrainingSession::new(&trainer, &model)?;
/// let (inputs, labels) = ([0., 0., 0., 1., 1., 0., 1., 1.], [0., 1., 1., 0.]);
/// for _ in 0..300 {
///     session.step(&inputs, &labels)?;
/// }
/// assert_eq!(session.step(&inputs, &labels)?.accuracy, Some(1.0));
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct TrainingSession<'m> {
    plan: TrainingPlan<'m>,
    arena: Arena<'m>,
    steps: u64,
    random: Xoshiro256PlusPlus,
    /// What [`step`](Self::step) needs again when threads come or go.
    trainer: Trainer,
}

impl<'m> TrainingSession<'m> {
    /// In memory of its own; the weights begin as the model has them.
    ///
    /// # Errors
    /// As [`TrainingPlan::new`].
    pub fn new(trainer: &Trainer, model: &'m Model<'m>) -> Result<TrainingSession<'m>, Error> {
        let plan = TrainingPlan::new(trainer, model)?;
        let arena = Arena::Own(Buffer::try_new(plan.arena_len())?);
        TrainingSession::begin(trainer, plan, arena)
    }

    /// As [`new`](TrainingSession::new), in the caller's memory, of which it uses
    /// [`TrainingPlan::arena_len`] numbers.
    ///
    /// # Errors
    /// As [`new`](TrainingSession::new), or the arena is too small: the error tells how many bytes are
    /// missing.
    pub fn with_arena(
        trainer: &Trainer,
        model: &'m Model<'m>,
        arena: &'m mut [f32],
    ) -> Result<TrainingSession<'m>, Error> {
        let plan = TrainingPlan::new(trainer, model)?;
        let arena = Arena::lent(arena, plan.arena_len())?;
        TrainingSession::begin(trainer, plan, arena)
    }

    /// As [`with_arena`](TrainingSession::with_arena), in bytes.
    ///
    /// # Errors
    /// As [`with_arena`](TrainingSession::with_arena), or the bytes do not begin at a multiple of four.
    pub fn with_bytes(
        trainer: &Trainer,
        model: &'m Model<'m>,
        arena: &'m mut [u8],
    ) -> Result<TrainingSession<'m>, Error> {
        TrainingSession::with_arena(trainer, model, arena::from_bytes(arena)?)
    }

    fn begin(
        trainer: &Trainer,
        plan: TrainingPlan<'m>,
        arena: Arena<'m>,
    ) -> Result<TrainingSession<'m>, Error> {
        let random = Xoshiro256PlusPlus::seed_from_u64(trainer.seed);
        let mut session = TrainingSession { plan, arena, steps: 0, random, trainer: trainer.clone() };
        if let Some(base) = &session.plan.base {
            base.plan.prepare(session.arena.numbers_mut())?;
        }
        session.restart();
        Ok(session)
    }

    /// Forgets what was learnt: the weights are the model's again, and the next step is the first.
    pub fn restart(&mut self) {
        self.random = Xoshiro256PlusPlus::seed_from_u64(self.trainer.seed);
        let arena = self.arena.numbers_mut();
        for step in &self.plan.steps {
            let parameters = &self.plan.model.layers()[step.layers.start].parameters;
            for (i, weights) in step.weights.iter().enumerate().filter(|(_, weights)| !weights.is_empty()) {
                arena[weights.clone()].copy_from_slice(&parameters[i].values);
                for memory in &step.memory[i] {
                    arena[memory.clone()].fill(0.0);
                }
            }
        }
        self.steps = 0;
    }

    /// Where everything lies.
    pub fn plan(&self) -> &TrainingPlan<'m> {
        &self.plan
    }

    /// Learns a batch: `inputs` of `[N, …]` and `targets` of `[N, …]`, with `N` the batch size. The figures
    /// are of the weights as they were before.
    ///
    /// # Errors
    /// The inputs or targets are not a batch, an input is not finite, a target is none that the loss can be
    /// measured against, or the loss is not a finite number; or there are more threads than before, and the
    /// caller's arena is too small for them. The session is then as it was. A convolution may overflow that is
    /// not [direct only](crate::Conv2d::direct_only): if it is in its gradient, the layers behind it have learnt
    /// already.
    pub fn step(&mut self, inputs: &[f32], targets: &[f32]) -> Result<Evaluation, Error> {
        self.plan_for_threads()?;
        let TrainingSession { plan, arena, steps, random, .. } = self;
        let (arena, batch, sample) = (arena.numbers_mut(), plan.batch, plan.model.input_shape());
        check_len("inputs of a batch", inputs, sample.with_batch(batch)?)?;
        check_finite("input", sample, inputs)?;
        let criterion = plan.criterion(targets)?;
        let mut advanced = random.clone();
        plan.forward(arena, batch, inputs, Some(advanced.next_u64()))?;
        let evaluation = plan.loss(arena, &criterion, targets)?;
        if !evaluation.loss.is_finite() {
            let batch = usize::try_from(*steps).unwrap_or(usize::MAX).saturating_add(1);
            return Err(Error::Diverged { epoch: 1, batch, loss: evaluation.loss });
        }
        *random = advanced;
        *steps += 1;
        for k in (0..plan.steps.len()).rev() {
            plan.backward(arena, k, inputs, *steps)?;
        }
        Ok(evaluation)
    }

    /// The outputs for up to a batch of samples, with what is learnt so far. A softmax at the end, which
    /// the loss has in it, is left out.
    ///
    /// # Errors
    /// `inputs` is not a whole number of samples, or more than a batch; it or the output holds a NaN or an
    /// infinity; or there are more threads than before, and the caller's arena is too small for them.
    pub fn run(&mut self, inputs: &[f32]) -> Result<&[f32], Error> {
        self.plan_for_threads()?;
        let plan = &self.plan;
        let sample = plan.model.input_shape();
        let n = (inputs.len() / sample.elements()).clamp(1, plan.batch);
        check_len("samples", inputs, sample.with_batch(n)?)?;
        check_finite("input", sample, inputs)?;
        let arena = self.arena.numbers_mut();
        plan.forward(arena, n, inputs, None)?;
        let output = plan.output(arena, n)?;
        check_finite("output", plan.model.output_shape(), output)?;
        Ok(output)
    }

    /// The weights that learn: layer, name, and numbers.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &'static str, &[f32])> {
        let arena = self.arena.numbers();
        self.plan.weights().map(move |(layer, i, range)| {
            let layer = &self.plan.model.layers()[layer];
            (layer.name(), layer.parameters[i].name, &arena[range])
        })
    }

    /// As [`weights`](Self::weights), their numbers alone, to be overwritten.
    pub(crate) fn overwrite(
        &mut self,
        mut with: impl FnMut(&mut [f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let arena = self.arena.numbers_mut();
        self.plan.weights().try_for_each(|(_, _, range)| with(&mut arena[range]))
    }

    /// Tells models apart that learn different weights, or have different ones that do not learn.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut sum = Checksum::NONE;
        for layer in self.plan.model.layers() {
            sum = sum.add(layer.name.as_bytes()).add(&[u8::from(layer.trainable)]);
            for parameter in &layer.parameters {
                for &dim in parameter.shape.dims() {
                    sum = sum.add(&(dim as u64).to_le_bytes());
                }
                if !layer.trainable {
                    sum = sum.add(bytemuck::cast_slice(&parameter.values));
                }
            }
        }
        sum.value()
    }

    /// The model with what was learnt, apart from the one that it began as.
    pub fn to_model(&self) -> Model<'static> {
        let mut model = self.plan.model.clone().into_owned();
        for (layer, i, range) in self.plan.weights() {
            model.set_values(layer, i, &self.arena.numbers()[range]);
        }
        model
    }

    /// What stays from step to step stays where it is.
    fn plan_for_threads(&mut self) -> Result<(), Error> {
        if self.plan.threads != threads() {
            let plan = TrainingPlan::new(&self.trainer, self.plan.model)?;
            self.arena.reserve(plan.arena_len())?;
            self.plan = plan;
        }
        Ok(())
    }
}

/// Pieces of an arena that a plan has laid apart.
fn apart<'a, const N: usize>(
    arena: &'a mut [f32],
    ranges: [&Range<usize>; N],
) -> Result<[&'a mut [f32]; N], Error> {
    let [expected, got] = [ranges.iter().map(|range| range.end).max().unwrap_or(0), arena.len()]
        .map(|len| size_of::<f32>() * len);
    let pieces = arena.get_disjoint_mut(ranges.map(Clone::clone));
    pieces.map_err(|_| Error::ArenaTooSmall { expected, got })
}

/// A gradient, if there is a place for it.
fn wanted(gradient: &mut [f32]) -> Option<&mut [f32]> {
    if gradient.is_empty() { None } else { Some(gradient) }
}

impl TrainingPlan<'_> {
    /// The weights that learn: index of the layer, of the parameter, and place.
    fn weights(&self) -> impl Iterator<Item = (usize, usize, Range<usize>)> {
        self.steps.iter().flat_map(|step| {
            let learnt = step.weights.iter().cloned().enumerate().filter(|(_, range)| !range.is_empty());
            learnt.map(|(i, range)| (step.layers.start, i, range))
        })
    }

    /// What step `k` reads: nowhere if that is the caller's samples.
    fn input(&self, k: usize) -> Range<usize> {
        match k.checked_sub(1) {
            Some(before) => self.steps[before].value.clone(),
            None => self.base.as_ref().map_or(0..0, |base| base.features.clone()),
        }
    }

    /// Runs `n` samples forward; with a seed, for a backward pass to follow.
    fn forward(&self, arena: &mut [f32], n: usize, samples: &[f32], seed: Option<u64>) -> Result<(), Error> {
        if let Some(Base { plan, values, features }) = &self.base {
            let prepared = 0..plan.prepared_len();
            let [prepared, values, features] = apart(arena, [&prepared, values, features])?;
            let at_a_time = plan.batch * self.model.input_shape().elements();
            let mut features = &mut features[..];
            for samples in samples.chunks(at_a_time) {
                let output = plan.run(prepared, values, samples)?;
                let (place, rest) = core::mem::take(&mut features).split_at_mut(output.len());
                place.copy_from_slice(output);
                features = rest;
            }
        }
        for (k, step) in self.steps.iter().enumerate() {
            let input = self.input(k);
            let TrainedStep { weights: [kernel, bias], value, prepared, kept, scratch, .. } = step;
            let [input, kernel, bias, value, prepared, kept, scratch] =
                apart(arena, [&input, kernel, bias, value, prepared, kept, scratch])?;
            let mut inputs: [&[f32]; MAX_INPUTS] = step.frozen.unwrap_or([&[], kernel, bias]);
            let mut shapes = step.shapes;
            shapes[0] = shapes[0].first(n);
            inputs[0] = if input.is_empty() { samples } else { &input[..shapes[0].elements()] };
            let op = match (step.op, seed) {
                // Layers must not zero the same elements.
                (LayerOp::Dropout(Dropout { rate, .. }), Some(seed)) => {
                    Dropout { rate, seed: seed.wrapping_add((step.layers.start as u64) << 40) }.into()
                }
                (op, _) => op,
            };
            let (prepared_for, inputs) = (&step.shapes[..step.inputs], &inputs[..step.inputs]);
            op.get().prepare(self.isa, prepared_for, inputs, prepared)?;
            let run = Forward {
                isa: self.isa,
                shapes: &shapes[..step.inputs],
                inputs,
                prepared,
                prepared_for,
                in_place: false,
                output: &mut value[..step.output.first(n).elements()],
                scratch,
            };
            match seed {
                None => op.get().forward(run)?,
                Some(_) => {
                    let kept = &mut bytemuck::cast_slice_mut(kept)[..step.kept_len];
                    op.differentiable().forward_keeping(run, kept)?;
                }
            }
        }
        Ok(())
    }

    /// What the last step gave for `n` samples.
    fn output<'a>(&self, arena: &'a [f32], n: usize) -> Result<&'a [f32], Error> {
        let Some(last) = self.steps.last() else { return Err(Error::Empty { what: "layers" }) };
        Ok(&arena[last.value.clone()][..last.output.first(n).elements()])
    }

    /// What a batch is measured by, if its targets are some.
    fn criterion(&self, targets: &[f32]) -> Result<Criterion, Error> {
        let len = targets.len() / self.batch;
        if len == 0 || !targets.len().is_multiple_of(self.batch) {
            let (what, got) = ("targets of a batch", targets.len());
            let expected = Criterion::fewest_targets(self.loss, self.model.output_shape()) * self.batch;
            return Err(bantam_kernels::Error::Length { what, expected, got }.into());
        }
        let criterion = Criterion::new(self.loss, self.model.output_shape(), len)?;
        let mut samples = targets.chunks_exact(len).enumerate();
        samples.try_for_each(|(sample, targets)| criterion.check(sample, targets))?;
        Ok(criterion)
    }

    /// The loss of a batch that was run forward, and its gradient to the last step's output.
    fn loss(&self, arena: &mut [f32], criterion: &Criterion, targets: &[f32]) -> Result<Evaluation, Error> {
        let Some(last) = self.steps.last() else { return Err(Error::Empty { what: "layers" }) };
        let [outputs, d_outputs, one_hot] = apart(arena, [&last.value, &last.d_output, &self.targets])?;
        let wanted = criterion.wanted(targets, one_hot);
        let loss = criterion.value(outputs, wanted)?;
        criterion.gradient(outputs, wanted, d_outputs)?;
        let accuracy = criterion
            .correct(outputs, targets)
            .map(|correct| correct as f32 / (self.batch * criterion.judged()) as f32);
        Ok(Evaluation { loss, accuracy })
    }

    /// Passes the gradient of step `k` on to the step before it, and moves its weights.
    fn backward(&self, arena: &mut [f32], k: usize, samples: &[f32], moves: u64) -> Result<(), Error> {
        let step = &self.steps[k];
        let input = self.input(k);
        let d_input = k.checked_sub(1).map_or(0..0, |before| self.steps[before].d_output.clone());
        let [[kernel_memory, kernel_memory2], [bias_memory, bias_memory2]] = &step.memory;
        let pieces = [
            &input,
            &step.weights[0],
            &step.weights[1],
            &step.value,
            &step.kept,
            &step.d_output,
            &d_input,
            &step.backward_scratch,
            &step.gradients[0],
            &step.gradients[1],
            kernel_memory,
            kernel_memory2,
            bias_memory,
            bias_memory2,
        ];
        let [input, kernel, bias, value, kept, d_output, d_input, scratch, d_kernel, d_bias, memory @ ..] =
            apart(arena, pieces)?;
        let [kernel_memory, kernel_memory2, bias_memory, bias_memory2] = memory;
        let input = if input.is_empty() { samples } else { &*input };
        let shapes = &step.shapes[..step.inputs];
        let mut inputs: [&[f32]; MAX_INPUTS] = step.frozen.unwrap_or([&[], kernel, bias]);
        inputs[0] = input;
        let op = step.op.differentiable();
        op.backward(Backward {
            isa: self.isa,
            shapes,
            inputs: &inputs[..step.inputs],
            output: value,
            kept: &bytemuck::cast_slice(kept)[..step.kept_len],
            d_output,
            d_inputs: [
                wanted(d_input),
                if step.part.is_none() { wanted(d_kernel) } else { None },
                wanted(d_bias),
            ],
            scratch,
        })?;
        if let Some([rows, features]) = step.part {
            let all = kernel.len() / features;
            for first in (0..all).step_by(rows) {
                let part = first..all.min(first + rows);
                let numbers = part.start * features..part.end * features;
                let d_weights = &mut d_kernel[..numbers.len()];
                op.backward_rows(BackwardRows {
                    isa: self.isa,
                    shapes,
                    input,
                    d_output,
                    rows: part,
                    d_weights,
                })?;
                let memory = [&mut *kernel_memory, &mut *kernel_memory2]
                    .map(|memory| if memory.is_empty() { memory } else { &mut memory[numbers.clone()] });
                self.rule.update(self.isa, moves, &mut kernel[numbers], memory, d_weights)?;
            }
        } else if !d_kernel.is_empty() {
            self.rule.update(self.isa, moves, kernel, [kernel_memory, kernel_memory2], d_kernel)?;
        }
        if !d_bias.is_empty() {
            self.rule.update(self.isa, moves, bias, [bias_memory, bias_memory2], d_bias)?;
        }
        Ok(())
    }
}
