//! A training step, run as its layout has it.

use super::carve::{Rest, carve};
use crate::error::Error;
use crate::graph::Model;
use crate::layers::{Backward, BackwardRows, Forward, MAX_INPUTS, MAX_WEIGHTS, Scheduled, Source};
use crate::loss::{Criterion, Examples, Penalty, penalty_of};
use crate::memory::buffer::whole_lines;
use crate::optimizer::{Rule, State, Update};
use crate::plan::TrainingPlan;
use crate::plan::training::{Base, Gradient, Learnt, Pass, Trained, TrainingLayout};
use crate::plan::way::Event;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise;
use core::ops::Range;

impl TrainingLayout {
    /// Prepares the weights of the base, which is in that model, at the start of what stays.
    pub(crate) fn prepare(&self, model: &Model<'_>, persistent: &mut [f32]) -> Result<(), Error> {
        match &self.base {
            Some(base) => base.layout.prepare(model, persistent),
            None => Ok(()),
        }
    }

    /// What learns and has a penalty.
    pub(crate) fn penalised<'p>(
        &'p self,
        penalties: &'p [Penalty],
    ) -> impl Iterator<Item = (Penalty, &'p Learnt)> {
        let of = |learnt: &'p Learnt| Some((penalty_of(penalties, learnt.parameter)?, learnt));
        self.learnt.iter().filter_map(of)
    }

    /// Where the statistics lie that are merged before that event.
    pub(super) fn statistics_at(&self, at: usize) -> Range<usize> {
        match self.events[at] {
            Event::Forward(k) => self.steps[k].statistics.clone(),
            Event::Back(k) => self.steps[k].gradient_means.clone(),
            Event::Loss | Event::Again(_) => 0..0,
        }
    }

    /// Merges those of two parts.
    pub(super) fn merge(
        &self,
        at: usize,
        statistics: &mut [f32],
        other: &[f32],
        share: f32,
    ) -> Result<(), Error> {
        if let Event::Forward(k) = self.events[at] {
            let Some(of_batch) = self.steps[k].step.batch_statistics() else { return Ok(()) };
            return of_batch.merge(statistics, other, share);
        }
        // Means.
        statistics.iter_mut().zip(other).for_each(|(mean, other)| *mean += share * (other - *mean));
        Ok(())
    }

    /// Calls `with` for each parameter that follows the statistics of batches, and with what moves it.
    pub(super) fn follow(&self, transient: &[f32], mut with: impl FnMut(&Learnt, &dyn Fn(&mut [f32]))) {
        for trained in &self.steps {
            let Some(of_batch) = trained.step.batch_statistics() else { continue };
            let statistics = &transient[trained.statistics.clone()];
            for (i, weights) in trained.weights.iter().enumerate() {
                let Some(learnt) = weights.learnt.map(|at| &self.learnt[at]) else { continue };
                if learnt.moves {
                    with(learnt, &|weights| of_batch.update(statistics, i, weights));
                }
            }
        }
    }

    /// Where a value begins; nowhere if it is the caller's samples.
    fn start(&self, source: Source, late: Late) -> Option<usize> {
        match source {
            Source::Operation(from) => Some(self.steps[from].passes[late.pass()].value.start),
            Source::Given(at) => self.base.as_ref().map(|base| base.features[at].start),
            Source::Input(_) | Source::Nowhere => None,
        }
    }
}

impl TrainingPlan<'_> {
    /// Updates the weights that are updated after the backward pass of step `after`, by gradients that are there or are
    /// computed slice by slice; a penalty's are added before.
    pub(super) fn update(
        &self,
        number: u64,
        after: usize,
        persistent: &mut [f32],
        transient: &mut [f32],
        samples: &[f32],
    ) -> Result<(), Error> {
        let TrainingPlan { model, rule, layout, penalties, .. } = self;
        let isa = layout.options.isa;
        let learning =
            || layout.learnt.iter().filter(|learnt| learnt.updated_after == after && !learnt.moves);
        for learnt in learning().filter(|learnt| learnt.slices.is_none()) {
            if let Some(penalty) = penalty_of(penalties, learnt.parameter) {
                let gradient = &mut transient[learnt.gradient.clone()];
                penalty.add_gradient(isa, &persistent[learnt.weights.clone()], gradient)?;
            }
        }
        let squares = learning()
            .try_fold(0.0, |sum, learnt| rule.add_squares(isa, &transient[learnt.gradient.clone()], sum))?;
        for learnt in learning() {
            let ([weights, arrays], _) = carve(persistent, [learnt.weights.clone(), learnt.state.clone()]);
            let all = 0..weights.len();
            let run = Update {
                isa,
                step: number,
                rate: rule.rate(number),
                first: number == 1,
                squares,
                names: *model,
                parameter: learnt.parameter,
                state: State::new(arrays, whole_lines(weights.len()), all),
                weights,
                gradients: &[],
            };
            match learnt.slices {
                None => rule.update(Update { gradients: &transient[learnt.gradient.clone()], ..run })?,
                Some(slices) => {
                    let rule = (&**rule, penalty_of(penalties, learnt.parameter));
                    layout.update_in_slices(rule, run, learnt, slices, transient, samples)?;
                }
            }
        }
        Ok(())
    }
}

impl TrainingLayout {
    fn update_in_slices(
        &self,
        (rule, penalty): (&dyn Rule, Option<Penalty>),
        mut run: Update<'_>,
        learnt: &Learnt,
        [rows, features]: [usize; 2],
        transient: &mut [f32],
        samples: &[f32],
    ) -> Result<(), Error> {
        let Trained { step, inputs, d_output, .. } = &self.steps[learnt.first_step];
        let ([gradient], rest) = carve(transient, [learnt.gradient.clone()]);
        let input = match self.start(inputs[0].source, Late(true)) {
            None => samples,
            Some(start) => rest.read(start, self.options.batch * inputs[0].sample_len),
        };
        let d_output = rest.read(d_output.start, d_output.len());
        let all = run.weights.len() / features;
        for first_row in (0..all).step_by(rows) {
            let rows = first_row..all.min(first_row + rows);
            let elements = rows.start * features..rows.end * features;
            let d_weights = &mut gradient[..elements.len()];
            step.backward_rows(BackwardRows { input, d_output, rows, d_weights: &mut *d_weights })?;
            if let Some(penalty) = penalty {
                penalty.add_gradient(run.isa, &run.weights[elements.clone()], d_weights)?;
            }
            rule.update(run.part(elements, d_weights))?;
        }
        Ok(())
    }
}

/// Whether a backward pass reads what was computed, which may have been dropped meanwhile and computed again.
#[derive(Clone, Copy)]
pub(super) struct Late(pub bool);

impl Late {
    /// Of a step's passes.
    fn pass(self) -> usize {
        usize::from(self.0)
    }
}

impl Trained {
    /// What it gave, where its backward pass reads that.
    fn output<'r, const N: usize>(&self, rest: &Rest<'r, N>) -> &'r [f32] {
        let Range { start, end } = self.passes[1].value;
        if self.step.backward_reads().output { rest.read(start, end - start) } else { &[] }
    }
}

/// A step of a training.
pub(super) struct Run<'a, 'm> {
    pub model: &'a Model<'m>,
    pub layout: &'a TrainingLayout,
    /// What stays, with the weights that learn; without it they are the model's.
    pub learnt_in: Option<&'a [f32]>,
    pub samples: &'a [f32],
    /// What part of the batch they are.
    pub share: f32,
}

impl Run<'_, '_> {
    /// Runs `n` samples forward; with a seed, for a backward pass to follow.
    /// Gives what layers add to the loss by themselves.
    pub(super) fn forward(&self, transient: &mut [f32], n: usize, seed: Option<u64>) -> Result<f32, Error> {
        let mut penalty = 0.0;
        self.base(self.model, self.learnt_in.unwrap_or_default(), transient, n)?;
        for k in 0..self.layout.steps.len() {
            if seed.is_some() {
                self.gather(transient, k)?;
            }
            penalty += self.step(transient, k, n, seed, Late(false))?;
        }
        Ok(penalty)
    }

    /// Runs the frozen base, which is in that model.
    pub(super) fn base(
        &self,
        model: &Model<'_>,
        prepared: &[f32],
        transient: &mut [f32],
        n: usize,
    ) -> Result<(), Error> {
        let Some(Base { layout, values, features }) = &self.layout.base else { return Ok(()) };
        let sample_len = self.model.input_shape().elements();
        let at_a_time = layout.options.batch;
        for first in (0..n).step_by(at_a_time) {
            let count = at_a_time.min(n - first);
            let samples = &self.samples[first * sample_len..][..count * sample_len];
            layout.run(model, prepared, &mut transient[values.clone()], &[samples], count)?;
            for (&step, feature) in layout.outputs.iter().zip(features) {
                let Scheduled { place, .. } = &layout.steps[step];
                let sample_len = layout.steps[step].sample_len();
                let (start, len) = (values.start + place.start, count * sample_len);
                transient.copy_within(start..start + len, feature.start + first * sample_len);
            }
        }
        Ok(())
    }

    /// Runs step `k` forward, for `n` samples; with a seed, for a backward pass to follow. What the whole batch is asked for
    /// was gathered before. Gives what the layer adds to the loss by itself.
    pub(super) fn step(
        &self,
        transient: &mut [f32],
        k: usize,
        n: usize,
        seed: Option<u64>,
        late: Late,
    ) -> Result<f32, Error> {
        let trained = &self.layout.steps[k];
        let Trained { step, saved_len, sample_len, .. } = trained;
        let Pass { value, prepared, saved, scratch } = trained.passes[late.pass()].clone();
        let ([value, prepared, saved, scratch], rest) = carve(transient, [value, prepared, saved, scratch]);
        let inputs = self.inputs(trained, n, &rest, late);
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
            statistics: rest.read(trained.statistics.start, trained.statistics.len()),
        };
        match seed {
            None => step.forward(run)?,
            Some(_) => step.forward_saving(run, &mut bytemuck::cast_slice_mut(saved)[..*saved_len])?,
        }
        Ok(step.penalty(&inputs[..trained.inputs.len()]))
    }

    /// What step `k` asks of the whole batch, of the samples that are here.
    pub(super) fn gather(&self, transient: &mut [f32], k: usize) -> Result<(), Error> {
        let trained = &self.layout.steps[k];
        let Some(of_batch) = trained.step.batch_statistics() else { return Ok(()) };
        let ([statistics], rest) = carve(transient, [trained.statistics.clone()]);
        let inputs = self.inputs(trained, self.layout.options.batch, &rest, Late(false));
        of_batch.gather(&inputs[..trained.inputs.len()], statistics)
    }

    /// What step `k` asks of the gradient of the whole batch, of the samples that are here.
    pub(super) fn gather_gradient(&self, transient: &mut [f32], k: usize) -> Result<(), Error> {
        let trained = &self.layout.steps[k];
        let Some(of_batch) = trained.step.batch_statistics() else { return Ok(()) };
        let Trained { d_output, backward_scratch, gradient_means, .. } = trained;
        let ranges = [d_output, backward_scratch, gradient_means].map(Clone::clone);
        let ([d_output, scratch, means], rest) = carve(transient, ranges);
        let inputs = self.inputs(trained, self.layout.options.batch, &rest, Late(true));
        let weights = self.weights(trained);
        let mut run = Backward {
            inputs: &inputs[..trained.inputs.len()],
            weights: &weights[..trained.weights.len()],
            output: trained.output(&rest),
            saved: &[],
            d_output,
            share: self.share,
            input: 0,
            d_input: None,
            d_weights: &mut [],
            scratch,
            statistics: rest.read(trained.statistics.start, trained.statistics.len()),
            gradient_means: &[],
        };
        of_batch.gather_gradient(&mut run, means)
    }

    /// What a step reads, of `n` samples.
    fn inputs<'r, const N: usize>(
        &self,
        trained: &Trained,
        n: usize,
        rest: &Rest<'r, N>,
        late: Late,
    ) -> [&'r [f32]; MAX_INPUTS]
    where
        Self: 'r,
    {
        let mut inputs = [&[][..]; MAX_INPUTS];
        for (slice, input) in inputs.iter_mut().zip(&trained.inputs) {
            *slice = match self.layout.start(input.source, late) {
                None => self.samples,
                Some(start) => rest.read(start, n * input.sample_len),
            };
        }
        inputs
    }

    /// The loss of a batch that was run forward, how many rows are right, and `share` of the loss's gradient to the last
    /// step's output.
    pub(super) fn loss(
        &self,
        transient: &mut [f32],
        criterion: &Criterion<'_>,
        (targets, weights): (&[f32], &[f32]),
        share: f32,
    ) -> Result<(f32, Option<usize>), Error> {
        let last = &self.layout.steps[self.layout.output];
        let ranges = [last.d_output.clone(), self.layout.targets.clone()];
        let ([d_outputs, one_hot], rest) = carve(transient, ranges);
        let Range { start, end } = last.passes[0].value;
        let outputs = rest.read(start, end - start);
        criterion.check_outputs(outputs)?;
        let batch = Examples { outputs, targets, weights };
        let wanted = criterion.wanted(targets, one_hot);
        let loss = criterion.value(&batch, wanted)?;
        criterion.gradient(&batch, wanted, share, d_outputs)?;
        Ok((loss, criterion.correct(&batch)))
    }

    /// Passes the gradient of step `k` on to what it reads, and to its weights.
    pub(super) fn backward(&self, transient: &mut [f32], k: usize) -> Result<(), Error> {
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
            if trained.step.backward_reads().inputs {
                inputs = self.inputs(trained, batch, &rest, Late(true));
            }
            let saved = &trained.passes[1].saved;
            let saved = bytemuck::cast_slice(rest.read(saved.start, saved.len()));
            trained.step.backward(Backward {
                inputs: &inputs[..count],
                weights: &weights[..trained.weights.len()],
                output: trained.output(&rest),
                saved: &saved[..trained.saved_len],
                d_output,
                share: self.share,
                input: next.map_or(0, |(i, _)| i),
                d_input: gradient.map(|_| d_input),
                d_weights: &mut d_weights[..trained.weights.len()],
                scratch,
                statistics: rest.read(trained.statistics.start, trained.statistics.len()),
                gradient_means: rest.read(trained.gradient_means.start, trained.gradient_means.len()),
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
