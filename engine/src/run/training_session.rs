use super::carve::carve;
use super::session::check_finite;
use crate::checksum::Checksum;
use crate::error::Error;
use crate::graph::Model;
use crate::layers::{Backward, BackwardRows, Forward, MAX_INPUTS, MAX_WEIGHTS, Scheduled, Source};
use crate::loss::Criterion;
use crate::memory::arena::Arena;
use crate::memory::buffer::Buffer;
use crate::metrics::Evaluation;
use crate::optimizer::Rule;
use crate::plan::TrainingPlan;
use crate::plan::training::{Base, Gradient, Learnt, Trained, TrainingLayout};
use crate::tensor::check_len;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise;
use core::ops::Range;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The trainable layers of a model as they learn, in memory that a [`TrainingPlan`] has told before.
///
/// The model stays as it is, in flash if it lies there; what is learnt is in the arena, until
/// [`to_model`](TrainingSession::to_model) makes a model of it. Nothing is allocated once the session is made. Where
/// threads and data sets are at hand, [`Trainer::fit`](crate::Trainer::fit) is the easier way.
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
    seed: u64,
    random: Xoshiro256PlusPlus,
}

impl<'m> TrainingSession<'m> {
    /// The weights begin as the model has them. The arena is as long as the plan says.
    pub(crate) fn begin(
        plan: TrainingPlan<'m>,
        arena: Arena<'m>,
        seed: u64,
    ) -> Result<TrainingSession<'m>, Error> {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut session = TrainingSession { plan, arena, steps: 0, seed, random };
        let TrainingPlan { model, layout, .. } = &session.plan;
        layout.prepare(model, session.arena.numbers_mut())?;
        session.restart();
        Ok(session)
    }

    /// Forgets what was learnt: the weights are the model's again, and the next step is the first.
    pub fn restart(&mut self) {
        self.random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let (arena, TrainingPlan { model, layout, .. }) = (self.arena.numbers_mut(), &self.plan);
        for learnt in &layout.learnt {
            arena[learnt.weights.clone()].copy_from_slice(model.parameters()[learnt.parameter].values());
            learnt.state.iter().for_each(|state| arena[state.clone()].fill(0.0));
        }
        self.steps = 0;
    }

    /// Where everything lies.
    pub fn plan(&self) -> &TrainingPlan<'m> {
        &self.plan
    }

    /// Learns a batch: `inputs` of `[N, …]` and `targets` of `[N, …]`, with `N` the batch size. The figures are of the
    /// weights as they were before.
    ///
    /// # Errors
    /// The inputs or targets are not a batch, an input is not finite, a target is none that the loss can be measured
    /// against, or the loss is not a finite number. The session is then as it was. A convolution may overflow that is not
    /// [direct only](crate::Conv2d::direct_only): if it is in its gradient, the layers behind it have learnt already.
    pub fn step(&mut self, inputs: &[f32], targets: &[f32]) -> Result<Evaluation, Error> {
        let TrainingSession { plan, arena, steps, random, .. } = self;
        let plan = &*plan;
        let TrainingPlan { model, rule, layout, .. } = plan;
        let (batch, sample) = (layout.options.batch, model.input_shape());
        check_len("inputs of a batch", inputs, sample.with_batch(batch)?)?;
        check_finite("input", sample.elements(), inputs)?;
        let criterion = plan.criterion(targets)?;
        let (persistent, transient) = arena.numbers_mut().split_at_mut(layout.persistent);
        let run = Run { model, layout, learnt_in: Some(persistent), samples: inputs };
        let mut advanced = random.clone();
        run.forward(transient, batch, Some(advanced.next_u64()))?;
        let (loss, correct) = run.loss(transient, &criterion, targets, 1.0)?;
        if !loss.is_finite() {
            let batch = usize::try_from(*steps).unwrap_or(usize::MAX).saturating_add(1);
            return Err(Error::Diverged { epoch: 1, batch, loss });
        }
        let accuracy = correct.map(|correct| correct as f32 / (batch * criterion.judged()) as f32);
        *random = advanced;
        *steps += 1;
        for k in (0..layout.steps.len()).rev().filter(|&k| layout.steps[k].learns) {
            Run { model, layout, learnt_in: Some(persistent), samples: inputs }.backward(transient, k)?;
            for learnt in layout.learnt.iter().filter(|learnt| learnt.first_step == k) {
                layout.update(&**rule, *steps, learnt, persistent, transient, inputs)?;
            }
        }
        Ok(Evaluation { loss, accuracy })
    }

    /// The outputs for up to a batch of samples, with what is learnt so far. A softmax at the end, which the loss has in
    /// it, is left out.
    ///
    /// # Errors
    /// `inputs` is not a whole number of samples, or more than a batch; or it or the output holds a NaN or an infinity.
    pub fn run(&mut self, inputs: &[f32]) -> Result<&[f32], Error> {
        let TrainingPlan { model, layout, .. } = &self.plan;
        let sample = model.input_shape();
        let n = (inputs.len() / sample.elements()).clamp(1, layout.options.batch);
        check_len("samples", inputs, sample.with_batch(n)?)?;
        check_finite("input", sample.elements(), inputs)?;
        let (persistent, transient) = self.arena.numbers_mut().split_at_mut(layout.persistent);
        let run = Run { model, layout, learnt_in: Some(persistent), samples: inputs };
        run.forward(transient, n, None)?;
        let last = &layout.steps[layout.output];
        let output = &transient[last.value.clone()][..n * last.sample_len];
        check_finite("output", last.sample_len, output)?;
        Ok(output)
    }

    /// The weights that learn: layer, name, and elements.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &'static str, &[f32])> {
        let (arena, TrainingPlan { model, layout, .. }) = (self.arena.numbers(), &self.plan);
        layout.learnt.iter().map(move |learnt| {
            let layer = model.owner(learnt.parameter).map_or("", |node| node.name());
            (layer, model.parameters()[learnt.parameter].name(), &arena[learnt.weights.clone()])
        })
    }

    /// As [`weights`](Self::weights), their elements alone, to be overwritten.
    pub(crate) fn overwrite(
        &mut self,
        mut with: impl FnMut(&mut [f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let arena = self.arena.numbers_mut();
        self.plan.layout.learnt.iter().try_for_each(|learnt| with(&mut arena[learnt.weights.clone()]))
    }

    pub(crate) fn model(&self) -> &Model<'m> {
        self.plan.model
    }

    /// The model with what was learnt, apart from the one that it began as.
    pub fn to_model(&self) -> Model<'static> {
        let mut model = self.plan.model.clone().into_owned();
        for learnt in &self.plan.layout.learnt {
            model.values_mut(learnt.parameter).copy_from_slice(&self.arena.numbers()[learnt.weights.clone()]);
        }
        model
    }
}

impl TrainingPlan<'_> {
    /// What a batch is measured by, if its targets are some.
    fn criterion(&self, targets: &[f32]) -> Result<Criterion, Error> {
        let (batch, output) = (self.layout.options.batch, self.model.output_shape());
        let len = targets.len() / batch;
        if len == 0 || !targets.len().is_multiple_of(batch) {
            let (what, got) = ("targets of a batch", targets.len());
            let expected = Criterion::fewest_targets(self.loss, output) * batch;
            return Err(bantam_kernels::Error::Length { what, expected, got }.into());
        }
        let criterion = Criterion::new(self.loss, output, len)?;
        let mut samples = targets.chunks_exact(len).enumerate();
        samples.try_for_each(|(sample, targets)| criterion.check(sample, targets))?;
        Ok(criterion)
    }
}

/// Tells models apart that learn different weights, or have different ones that do not learn.
pub(super) fn fingerprint(model: &Model<'_>) -> u64 {
    let mut sum = Checksum::NONE;
    for node in model.nodes() {
        sum = sum.add(node.name().as_bytes()).add(&[u8::from(node.is_trainable())]);
        for parameter in model.parameters_of(node) {
            for &dim in parameter.shape().dims() {
                sum = sum.add(&(dim as u64).to_le_bytes());
            }
            if !(node.is_trainable() && parameter.learns) {
                sum = sum.add(bytemuck::cast_slice(parameter.values()));
            }
        }
    }
    sum.value()
}

/// A part of a batch that is learnt apart from its others.
#[derive(Default)]
pub(crate) struct Shard {
    transient: Buffer,
    pub loss: f32,
    pub correct: Option<usize>,
}

impl Shard {
    /// Room for a layout's gradients and values.
    pub fn reserve(&mut self, layout: &TrainingLayout) -> Result<(), Error> {
        self.transient.grow(layout.transient)
    }

    /// The gradients of some samples, and `share` of their loss: their part of the batch.
    pub fn learn(
        &mut self,
        model: &Model<'_>,
        (layout, prepared): (&TrainingLayout, &[f32]),
        criterion: &Criterion,
        seed: u64,
        share: f32,
        (samples, targets): (&[f32], &[f32]),
    ) -> Result<(), Error> {
        let run = Run { model, layout, learnt_in: None, samples };
        let transient = &mut self.transient[..layout.transient];
        run.base(prepared, transient, layout.options.batch)?;
        run.steps(transient, layout.options.batch, Some(seed))?;
        let (loss, correct) = run.loss(transient, criterion, targets, share)?;
        (self.loss, self.correct) = (loss * share, correct);
        (0..layout.steps.len())
            .rev()
            .filter(|&k| layout.steps[k].learns)
            .try_for_each(|k| run.backward(transient, k))
    }

    /// All gradients, one after the other.
    pub fn gradients(&self, layout: &TrainingLayout) -> &[f32] {
        &self.transient[..layout.gradients]
    }

    /// Adds another shard's gradients.
    pub fn add(&mut self, layout: &TrainingLayout, other: &Shard) -> Result<(), Error> {
        let sums = &mut self.transient[..layout.gradients];
        Ok(elementwise::add_assign(layout.options.isa, Activation::None, sums, other.gradients(layout))?)
    }
}

impl TrainingLayout {
    /// Prepares the base's weights at the start of what stays.
    pub(crate) fn prepare(&self, model: &Model<'_>, persistent: &mut [f32]) -> Result<(), Error> {
        match &self.base {
            Some(base) => base.layout.prepare(model, persistent),
            None => Ok(()),
        }
    }

    /// Moves weights whose gradient is there, or computes it slice by slice.
    fn update(
        &self,
        rule: &dyn Rule,
        moves: u64,
        learnt: &Learnt,
        persistent: &mut [f32],
        transient: &mut [f32],
        samples: &[f32],
    ) -> Result<(), Error> {
        let isa = self.options.isa;
        let [first, second] = learnt.state.clone();
        let ([weights, first, second], _) = carve(persistent, [learnt.weights.clone(), first, second]);
        let Some([rows, features]) = learnt.slices else {
            let gradient = &transient[learnt.gradient.clone()];
            return rule.update(isa, moves, weights, [first, second], gradient);
        };
        let Trained { step, inputs, d_output, .. } = &self.steps[learnt.first_step];
        let ([gradient], rest) = carve(transient, [learnt.gradient.clone()]);
        let input = match self.start(inputs[0].source) {
            None => samples,
            Some(start) => rest.read(start, self.options.batch * inputs[0].sample_len),
        };
        let d_output = rest.read(d_output.start, d_output.len());
        let all = weights.len() / features;
        for first_row in (0..all).step_by(rows) {
            let rows = first_row..all.min(first_row + rows);
            let elements = rows.start * features..rows.end * features;
            let d_weights = &mut gradient[..elements.len()];
            step.backward_rows(BackwardRows { input, d_output, rows, d_weights })?;
            let state = [&mut *first, &mut *second]
                .map(|state| if state.is_empty() { state } else { &mut state[elements.clone()] });
            rule.update(isa, moves, &mut weights[elements], state, d_weights)?;
        }
        Ok(())
    }

    /// Where a value begins; nowhere if it is the caller's samples.
    fn start(&self, source: Source) -> Option<usize> {
        match source {
            Source::Operation(from) => Some(self.steps[from].value.start),
            Source::Given(at) => self.base.as_ref().map(|base| base.features[at].start),
            Source::Input(_) | Source::Nowhere => None,
        }
    }
}

/// A step of a training.
struct Run<'a, 'm> {
    model: &'a Model<'m>,
    layout: &'a TrainingLayout,
    /// What stays, with the weights that learn; without it they are the model's.
    learnt_in: Option<&'a [f32]>,
    samples: &'a [f32],
}

impl Run<'_, '_> {
    /// Runs `n` samples forward; with a seed, for a backward pass to follow.
    fn forward(&self, transient: &mut [f32], n: usize, seed: Option<u64>) -> Result<(), Error> {
        self.base(self.learnt_in.unwrap_or_default(), transient, n)?;
        self.steps(transient, n, seed)
    }

    /// Runs the frozen base.
    fn base(&self, prepared: &[f32], transient: &mut [f32], n: usize) -> Result<(), Error> {
        let Some(Base { layout, values, features }) = &self.layout.base else { return Ok(()) };
        let sample_len = self.model.input_shape().elements();
        let at_a_time = layout.options.batch;
        for first in (0..n).step_by(at_a_time) {
            let count = at_a_time.min(n - first);
            let samples = &self.samples[first * sample_len..][..count * sample_len];
            layout.run(self.model, prepared, &mut transient[values.clone()], &[samples], count)?;
            for (&step, feature) in layout.outputs.iter().zip(features) {
                let Scheduled { place, .. } = &layout.steps[step];
                let sample_len = layout.steps[step].sample_len();
                let (start, len) = (values.start + place.start, count * sample_len);
                transient.copy_within(start..start + len, feature.start + first * sample_len);
            }
        }
        Ok(())
    }

    fn steps(&self, transient: &mut [f32], n: usize, seed: Option<u64>) -> Result<(), Error> {
        for (k, trained) in self.layout.steps.iter().enumerate() {
            let Trained { step, value, prepared, saved, scratch, saved_len, sample_len, .. } = trained;
            let ranges = [value, prepared, saved, scratch].map(Clone::clone);
            let ([value, prepared, saved, scratch], rest) = carve(transient, ranges);
            let mut inputs = [&[][..]; MAX_INPUTS];
            for (slice, input) in inputs.iter_mut().zip(&trained.inputs) {
                *slice = match self.layout.start(input.source) {
                    None => self.samples,
                    Some(start) => rest.read(start, n * input.sample_len),
                };
            }
            let weights = self.weights(trained);
            let weights = &weights[..trained.weights.len()];
            step.prepare(weights, prepared)?;
            let node = self.model.nodes_of(&self.layout.sources, k).next().unwrap_or(0);
            let run = Forward {
                samples: n,
                inputs: &inputs[..trained.inputs.len()],
                weights,
                prepared,
                overwritten: None,
                output: &mut value[..n * sample_len],
                scratch,
                // Layers must not zero the same elements.
                seed: seed.unwrap_or(0).wrapping_add((node as u64) << 40),
            };
            match seed {
                None => step.forward(run)?,
                Some(_) => step.forward_saving(run, &mut bytemuck::cast_slice_mut(saved)[..*saved_len])?,
            }
        }
        Ok(())
    }

    /// The loss of a batch that was run forward, how many rows are right, and `share` of the loss's gradient to the last
    /// step's output.
    fn loss(
        &self,
        transient: &mut [f32],
        criterion: &Criterion,
        targets: &[f32],
        share: f32,
    ) -> Result<(f32, Option<usize>), Error> {
        let last = &self.layout.steps[self.layout.output];
        let ranges = [last.d_output.clone(), self.layout.targets.clone()];
        let ([d_outputs, one_hot], rest) = carve(transient, ranges);
        let outputs = rest.read(last.value.start, last.value.len());
        let wanted = criterion.wanted(targets, one_hot);
        let loss = criterion.value(outputs, wanted)?;
        criterion.gradient(outputs, wanted, share, d_outputs)?;
        Ok((loss, criterion.correct(outputs, targets)))
    }

    /// Passes the gradient of step `k` on to what it reads, and to its weights.
    fn backward(&self, transient: &mut [f32], k: usize) -> Result<(), Error> {
        let (layout, trained) = (self.layout, &self.layout.steps[k]);
        let batch = layout.options.batch;
        let weights = self.weights(trained);
        let count = trained.inputs.len();
        // One input after the other; the gradients to the weights with the first.
        let mut wanted = trained.inputs.iter().enumerate().filter(|(_, input)| input.gradient.is_some());
        let (mut next, mut with_weights) = (wanted.next(), true);
        while next.is_some() || with_weights {
            let gradient = next.and_then(|(_, input)| input.gradient.as_ref());
            let of_weights: [Range<usize>; MAX_WEIGHTS] = core::array::from_fn(|i| {
                let gradient = trained.weights.get(i).filter(|_| with_weights).and_then(|weights| {
                    let slices = weights.learnt.and_then(|at| layout.learnt[at].slices);
                    weights.gradient.as_ref().filter(|_| slices.is_none())
                });
                gradient.map_or(0..0, |gradient| gradient.place.clone())
            });
            let [w0, w1, w2, w3, w4, w5] = of_weights;
            let d_input = gradient.map_or(0..0, |gradient| gradient.place.clone());
            let ranges =
                [trained.d_output.clone(), d_input, trained.backward_scratch.clone(), w0, w1, w2, w3, w4, w5];
            let (pieces, rest) = carve(transient, ranges);
            let [d_output, d_input, scratch, d_weights @ ..] = pieces;
            let mut d_weights = d_weights.map(|piece| if piece.is_empty() { None } else { Some(piece) });
            let mut inputs = [&[][..]; MAX_INPUTS];
            for (slice, input) in inputs.iter_mut().zip(&trained.inputs) {
                *slice = match layout.start(input.source) {
                    None => self.samples,
                    Some(start) => rest.read(start, batch * input.sample_len),
                };
            }
            let saved = bytemuck::cast_slice(rest.read(trained.saved.start, trained.saved.len()));
            trained.step.backward(Backward {
                inputs: &inputs[..count],
                weights: &weights[..trained.weights.len()],
                output: rest.read(trained.value.start, trained.value.len()),
                saved: &saved[..trained.saved_len],
                d_output,
                input: next.map_or(0, |(i, _)| i),
                d_input: gradient.map(|_| d_input),
                d_weights: &mut d_weights[..trained.weights.len()],
                scratch,
            })?;
            if let (Some(gradient), Some((_, input))) = (gradient.filter(|gradient| gradient.adds), next)
                && let Source::Operation(from) = input.source
            {
                self.add(transient, &layout.steps[from].d_output, &gradient.place)?;
            }
            (next, with_weights) = (wanted.next(), false);
        }
        for weights in &trained.weights {
            if let (Some(Gradient { place, adds: true }), Some(at)) = (&weights.gradient, weights.learnt) {
                self.add(transient, &layout.learnt[at].gradient, place)?;
            }
        }
        Ok(())
    }

    fn add(&self, transient: &mut [f32], sum: &Range<usize>, other: &Range<usize>) -> Result<(), Error> {
        let ([sum], rest) = carve(transient, [sum.clone()]);
        Ok(elementwise::add_assign(
            self.layout.options.isa,
            Activation::None,
            sum,
            rest.read(other.start, other.len()),
        )?)
    }

    /// The weights of a step: those that learn, and the model's.
    fn weights(&self, trained: &Trained) -> [&[f32]; MAX_WEIGHTS] {
        let mut slices = [&[][..]; MAX_WEIGHTS];
        for (slice, weights) in slices.iter_mut().zip(&trained.weights) {
            *slice = match (self.learnt_in, weights.learnt) {
                (Some(persistent), Some(at)) => &persistent[self.layout.learnt[at].weights.clone()],
                _ => self.model.parameters()[weights.parameter].values(),
            };
        }
        slices
    }
}
