use super::carve::carve;
use super::pairwise_sum::PairwiseSum;
use super::session::check_finite;
use super::training_step::{Late, Run};
use crate::checksum::Checksum;
use crate::error::Error;
use crate::graph::Model;
use crate::layers::Role;
use crate::loss::{Criterion, check_weights};
use crate::memory::arena::Arena;
use crate::memory::buffer::whole_lines;
use crate::metrics::Evaluation;
use crate::optimizer::{Asks, State, check_rate};
use crate::parallel::together;
use crate::plan::TrainingPlan;
use crate::plan::way::Event;
use crate::tensor::check_len;
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
    pub(crate) fn begin(plan: TrainingPlan<'m>, arena: Arena<'m>) -> Result<TrainingSession<'m>, Error> {
        let seed = plan.seed;
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
        let (arena, TrainingPlan { model, rule, layout, .. }) = (self.arena.numbers_mut(), &self.plan);
        for learnt in &layout.learnt {
            arena[learnt.weights.clone()].copy_from_slice(model.parameters()[learnt.parameter].values());
            arena[learnt.state.clone()].fill(rule.initial());
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
    /// The inputs or targets are not a batch, an input is not finite, a target is not valid for the loss, or the loss or a
    /// schedule's rate is not a finite number. The session is then as it was. A convolution may overflow that is not
    /// [direct only](crate::Conv2d::direct_only), and so may the square of a norm that gradients are clipped by: if it is in a
    /// gradient, the layers behind it have learnt already, but where a step has several micro-batches.
    pub fn step(&mut self, inputs: &[f32], targets: &[f32]) -> Result<Evaluation, Error> {
        self.step_weighted(inputs, targets, &[])
    }

    /// As [`step`](TrainingSession::step), with a weight for each sample, by which its loss is multiplied. The accuracy is
    /// of samples that count the same.
    ///
    /// # Errors
    /// As [`step`](TrainingSession::step), or there is another number of weights, or one is below 0 or not finite.
    pub fn step_weighted(
        &mut self,
        inputs: &[f32],
        targets: &[f32],
        weights: &[f32],
    ) -> Result<Evaluation, Error> {
        together(self.plan.layout.options.threads, || self.learn(inputs, targets, weights))
    }

    #[inline] // It has one caller.
    fn learn(&mut self, inputs: &[f32], targets: &[f32], weights: &[f32]) -> Result<Evaluation, Error> {
        let TrainingSession { plan, arena, steps, random, .. } = self;
        let plan = &*plan;
        let &TrainingPlan { model, ref layout, ref penalties, parts, .. } = plan;
        let (batch, sample) = (plan.batch(), model.input_shape());
        check_len("inputs of a batch", inputs, sample.with_batch(batch)?)?;
        check_finite("input", sample.elements(), inputs)?;
        let criterion = plan.criterion(targets)?;
        check_weights(weights, batch)?;
        check_rate(plan.rule.rate(*steps + 1))?;
        let (persistent, transient) = arena.numbers_mut().split_at_mut(layout.persistent);
        let (transient, sums) = transient.split_at_mut(layout.transient);
        let mut sum = PairwiseSum::new(layout.options.isa, sums, layout.gradients);
        let mut advanced = random.clone();
        let (seed, step) = (advanced.next_u64(), *steps + 1);
        let (mut loss, mut correct) = (0.0, None);
        let parted = parts.count > 1;
        for part in 0..parts.count {
            let range = parts.range(part);
            let [samples, targets, weights] = [inputs, targets, weights].map(|numbers| {
                let len = numbers.len() / batch;
                &numbers[range.start * len..range.end * len]
            });
            let (seed, share) = (seed.wrapping_add(range.start as u64), range.len() as f32 / batch as f32);
            let run = Run { model, layout, learnt_in: Some(persistent), samples, share };
            let penalty = run.forward(transient, range.len(), Some(seed))?;
            let (of_part, right) = run.loss(transient, &criterion, (targets, weights), share)?;
            loss += share * (of_part + penalty);
            correct = right.map(|right| correct.unwrap_or(0) + right);
            if part + 1 == parts.count {
                for (penalty, learnt) in layout.penalised(penalties) {
                    loss += penalty.value(layout.options.isa, &persistent[learnt.weights.clone()]);
                }
            }
            if !loss.is_finite() {
                let batch = usize::try_from(*steps).unwrap_or(usize::MAX).saturating_add(1);
                return Err(Error::Diverged { epoch: 1, batch, loss });
            }
            for &event in &layout.events {
                let run = Run { model, layout, learnt_in: Some(persistent), samples, share };
                match event {
                    Event::Forward(_) | Event::Loss => {}
                    Event::Again(k) => {
                        run.step(transient, k, range.len(), Some(seed), Late(true))?;
                    }
                    Event::Back(k) => {
                        run.gather_gradient(transient, k)?;
                        run.backward(transient, k)?;
                        if !parted {
                            plan.update(step, k, persistent, transient, inputs)?;
                        }
                    }
                }
            }
            if parted {
                sum.add(&transient[..layout.gradients])?;
            }
        }
        if parted {
            transient[..layout.gradients].copy_from_slice(sum.finish()?);
            if let Some(learnt) = layout.learnt.iter().find(|learnt| !learnt.moves) {
                plan.update(step, learnt.updated_after, persistent, transient, inputs)?;
            }
        }
        let accuracy = correct.map(|correct| correct as f32 / (batch * criterion.judged()) as f32);
        layout.follow(transient, |learnt, update| update(&mut persistent[learnt.weights.clone()]));
        (*steps, *random) = (step, advanced);
        Ok(Evaluation { loss, accuracy })
    }

    /// The outputs for up to a [micro-batch](TrainingPlan::micro_batch) of samples, with what is learnt so far. A softmax or
    /// sigmoid at the end, which the loss has in it, is left out.
    ///
    /// # Errors
    /// `inputs` is not a whole number of samples, or more than a micro-batch; or it or the output holds a NaN or an infinity.
    pub fn run(&mut self, inputs: &[f32]) -> Result<&[f32], Error> {
        let TrainingPlan { model, layout, .. } = &self.plan;
        let sample = model.input_shape();
        let n = (inputs.len() / sample.elements()).clamp(1, layout.options.batch);
        check_len("samples", inputs, sample.with_batch(n)?)?;
        check_finite("input", sample.elements(), inputs)?;
        let (persistent, transient) = self.arena.numbers_mut().split_at_mut(layout.persistent);
        let run = Run { model, layout, learnt_in: Some(persistent), samples: inputs, share: 1.0 };
        run.forward(transient, n, None)?;
        let last = &layout.steps[layout.output];
        let output = &transient[last.passes[0].value.clone()][..n * last.sample_len];
        check_finite("output", last.sample_len, output)?;
        Ok(output)
    }

    /// The weights that learn, moving statistics among them: layer, name, and elements.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &'static str, &[f32])> {
        let (arena, TrainingPlan { model, layout, .. }) = (self.arena.numbers(), &self.plan);
        layout.learnt.iter().map(move |learnt| {
            let layer = model.owner(learnt.parameter).map_or("", |node| node.name());
            (layer, model.parameters()[learnt.parameter].name(), &arena[learnt.weights.clone()])
        })
    }

    /// Exchanges the weights and their [moving average](crate::Optimizer::ema), if there is one: the average to use and to
    /// keep what was learnt, and the weights again to go on. Before the first step there is no average.
    pub fn swap_ema(&mut self) {
        let TrainingSession { plan: TrainingPlan { rule, layout, .. }, arena, steps, .. } = self;
        if !rule.asks(Asks::Average) || *steps == 0 {
            return;
        }
        for learnt in layout.learnt.iter().filter(|learnt| !learnt.moves) {
            let ranges = [learnt.weights.clone(), learnt.state.clone()];
            let ([weights, arrays], _) = carve(arena.numbers_mut(), ranges);
            State::new(arrays, whole_lines(weights.len()), 0..weights.len()).last().swap_with_slice(weights);
        }
    }

    /// Overwrites the weights that learn: the elements of all, in the order of [`weights`](Self::weights). The optimiser and
    /// what dropout is drawn from begin anew.
    ///
    /// # Errors
    /// There are more or fewer, or one is not finite. The session is then as it was.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), Error> {
        let (expected, got) = (self.weights().map(|(.., values)| values.len()).sum(), weights.len());
        if got != expected {
            return Err(bantam_kernels::Error::Length { what: "weights that learn", expected, got }.into());
        }
        if let Some(&got) = weights.iter().find(|weight| !weight.is_finite()) {
            return Err(Error::OutOfRange { what: "weights", expected: "finite numbers", got });
        }
        self.restart();
        let mut rest = weights;
        self.overwrite(|values| {
            let (of_these, others) = rest.split_at(values.len());
            values.copy_from_slice(of_these);
            rest = others;
            Ok(())
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
    fn criterion(&self, targets: &[f32]) -> Result<Criterion<'_>, Error> {
        let (batch, output) = (self.batch(), self.model.output_shape());
        let len = targets.len() / batch;
        if len == 0 || !targets.len().is_multiple_of(batch) {
            let (what, got) = ("targets of a batch", targets.len());
            let expected = Criterion::fewest_targets(self.loss, output) * batch;
            return Err(bantam_kernels::Error::Length { what, expected, got }.into());
        }
        let criterion = Criterion::new(self.loss, output, len)?;
        let mut samples = targets.chunks_exact(len).enumerate();
        samples.try_for_each(|(sample, targets)| criterion.check(sample, targets))?;
        if self.class_weights.is_empty() { Ok(criterion) } else { criterion.weighted(&self.class_weights) }
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
            if !node.is_trainable() || parameter.frozen || parameter.role == Role::Constant {
                sum = sum.add(bytemuck::cast_slice(parameter.values()));
            }
        }
    }
    sum.value()
}
