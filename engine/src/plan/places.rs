//! Where everything lies in a training step.

use super::training::{Gradient, Pass, TrainedInput, TrainingLayout};
use super::way::Event;
use crate::error::Error;
use crate::graph::Model;
use crate::layers::{MAX_INPUTS, MAX_WEIGHTS, Source};
use crate::memory::buffer::{check_len, end_of, whole_lines};
use crate::memory::heap;
use crate::memory::lifetimes::{Lifetime, fullest, needed_at, place};
use crate::optimizer::{Asks, Rule};
use alloc::vec::Vec;
use bantam_kernels::Isa;
use core::ops::Range;

/// Rows of weights whose gradients a register tile of a scalar FPU computes at a time: fewer take as long.
const TILE_ROWS: usize = 4;

impl TrainingLayout {
    /// Places for what stays: the base's prepared weights, the weights that learn, and the optimiser's state.
    pub(super) fn place_persistent(&mut self, model: &Model<'_>, rule: Option<&dyn Rule>, stay: bool) {
        self.persistent = end_of(0, self.base.as_ref().map_or(0, |base| base.layout.prepared));
        let place = |end: &mut usize, len: usize| {
            let start = *end;
            *end = end_of(start, len);
            start..start.saturating_add(len)
        };
        for learnt in &mut self.learnt {
            let len = model.parameters()[learnt.parameter].shape().elements();
            if stay && !learnt.moves {
                learnt.gradient = place(&mut self.gradients, len);
            }
            let Some(rule) = rule else { continue };
            learnt.weights = place(&mut self.persistent, len);
            if !learnt.moves {
                learnt.state = place(&mut self.persistent, whole_lines(len).saturating_mul(rule.arrays()));
            }
        }
    }

    /// Gives what a step needs its place. The base runs at time 0, then the steps, the loss, and the steps backwards.
    pub(super) fn place(&mut self, rule: Option<&dyn Rule>) -> Result<(), Error> {
        let stay = self.gradients > 0;
        let whole = rule.is_some_and(|rule| rule.asks(Asks::WholeGradients));
        let (isa, count) = (self.options.isa, self.steps.len());
        let mut buffers = Buffers { list: Vec::new() };
        let times = Times::new(self)?;
        let (loss, end) = (times.loss, self.events.len());
        // When each gradient is there first.
        let mut d_first = heap::filled(count, usize::MAX)?;
        d_first[self.output] = loss;
        let base_values = buffers.need(self.base.as_ref().map_or(0, |base| base.layout.values), 0, 0)?;
        let mut features = heap::list(times.features.len())?;
        if let Some(base) = &self.base {
            for (&step, &last) in base.layout.outputs.iter().zip(&times.features) {
                let len = self.options.batch.saturating_mul(base.layout.steps[step].sample_len());
                features.push(buffers.need(len, 0, last)?);
            }
        }
        let nothing = buffers.need(0, 0, 0)?;
        let outputs = self.steps[self.output].output.elements();
        let targets = buffers.need(outputs, loss, loss)?;

        // Gradients to values and weights, in the order of time: the first reader to go back writes, the others add.
        let mut handles: Vec<Handles> = heap::list(count)?;
        handles.resize_with(count, Handles::default);
        let mut shared: Vec<Option<usize>> = heap::filled(count, None)?;
        let mut learnt_handles: Vec<Option<usize>> = heap::list(self.learnt.len())?;
        learnt_handles.resize(self.learnt.len(), None);
        for k in (0..count).rev() {
            let time = times.steps[k].back;
            let learns: [bool; MAX_INPUTS] = core::array::from_fn(|i| match self.steps[k].inputs.get(i) {
                Some(TrainedInput { source: Source::Operation(from), .. }) => self.steps[*from].learns,
                _ => false,
            });
            if !self.steps[k].learns {
                continue;
            }
            let d_output = match shared[k] {
                None => buffers.need(self.steps[k].output.elements(), d_first[k].min(time), time)?,
                Some(handle) => {
                    buffers.list[handle].last = time;
                    handle
                }
            };
            self.share_gradient(k, &d_first, d_output, &mut shared);
            let step = &mut self.steps[k];
            let handle = &mut handles[k];
            handle.d_output = d_output;
            let mut extra = 0;
            for (input, _) in step.inputs.iter_mut().zip(learns).filter(|(_, learns)| *learns) {
                let Source::Operation(from) = input.source else { continue };
                let adds = d_first[from] != usize::MAX;
                if !adds && shared[from] == Some(d_output) {
                    d_first[from] = time;
                    continue;
                }
                d_first[from] = d_first[from].min(time);
                if adds {
                    extra = extra.max(input.sample_len.saturating_mul(self.options.batch));
                }
                input.gradient = Some(Gradient { place: 0..0, adds });
            }
            handle.extra = buffers.need(extra, time, time)?;
            for (i, weights) in step.weights.iter_mut().enumerate() {
                let Some(at) = weights.learnt else { continue };
                let learnt = &mut self.learnt[at];
                if learnt.moves {
                    continue;
                }
                let len = if stay { learnt.gradient.len() } else { learnt.weights.len() };
                let adds = learnt_handles[at].is_some();
                weights.gradient = Some(Gradient { place: 0..0, adds });
                if adds {
                    handle.weights[i] = buffers.need(len, time, time)?;
                    continue;
                }
                let alone = learnt.first_step == k && !whole;
                let rows = if isa == Isa::SCALAR && i == 0 && alone && !stay {
                    step.step.weight_rows()
                } else {
                    None
                };
                learnt.slices = rows.map(|rows| [TILE_ROWS.min(rows), len / rows]);
                let len =
                    if stay { 0 } else { learnt.slices.map_or(len, |[rows, features]| rows * features) };
                learnt_handles[at] = Some(buffers.need(len, time, times.steps[learnt.updated_after].back)?);
            }
        }
        for (k, step) in self.steps.iter().enumerate() {
            let (handle, times) = (&mut handles[k], &times.steps[k]);
            handle.passes[1] = [nothing; 4];
            for (pass, &(time, last_read)) in handle.passes.iter_mut().zip(&times.passes) {
                let Some(time) = time else { continue };
                let saved = step.saved_len.div_ceil(size_of::<f32>());
                // What is dropped is saved anew.
                let saved_last = if step.learns && Some(time) == times.passes[usize::from(step.dropped)].0 {
                    times.back
                } else {
                    time
                };
                *pass = [
                    buffers.need(step.output.elements(), time, last_read.max(time))?,
                    buffers.need(step.step.prepared_len(), time, time)?,
                    buffers.need(saved, time, saved_last)?,
                    buffers.need(step.step.scratch_len(), time, time)?,
                ];
            }
            let d_input = step.inputs.iter().any(|input| input.gradient.is_some());
            let scratch_len = if step.learns { step.step.backward_scratch_len(d_input) } else { 0 };
            handle.backward_scratch = buffers.need(scratch_len, times.back, times.back)?;
            (handle.statistics, handle.gradient_means) = (nothing, nothing);
            if let (Some(of_batch), Some(time)) = (step.step.batch_statistics(), times.passes[0].0) {
                // What moves with them does so at the end.
                handle.statistics = buffers.need(of_batch.statistics_len(), time, end)?;
                let means = if step.learns { of_batch.means_len() } else { 0 };
                handle.gradient_means = buffers.need(means, times.back, times.back)?;
            }
        }
        // As many rows at a time as take no more than is needed anyway.
        let (budget, fullest) = fullest(&buffers.list);
        self.fullest = fullest.saturating_sub(1);
        check_len(budget)?;
        for (learnt, handle) in self.learnt.iter_mut().zip(&learnt_handles) {
            let (Some([rows, features]), Some(handle)) = (&mut learnt.slices, handle) else { continue };
            let free = budget - needed_at(&buffers.list, times.steps[learnt.first_step].back);
            let gradient = &mut buffers.list[*handle];
            *rows = ((gradient.len + free) / *features).min(learnt.weights.len() / *features);
            gradient.len = *rows * *features;
        }

        let placed = place(&mut buffers.list);
        self.transient = end_of(self.gradients, placed.len);
        check_len(self.persistent.saturating_add(self.transient))?;
        let gradients = self.gradients;
        let at = |handle: usize| {
            let Range { start, end } = buffers.list[handle].place();
            if start == end { 0..0 } else { gradients + start..gradients + end }
        };
        if let Some(base) = &mut self.base {
            base.values = at(base_values);
            base.features.extend(features.iter().map(|&handle| at(handle)));
        }
        self.targets = at(targets);
        for (learnt, handle) in self.learnt.iter_mut().zip(&learnt_handles) {
            if let (Some(handle), false) = (handle, stay) {
                learnt.gradient = at(*handle);
            }
        }
        for (step, handle) in self.steps.iter_mut().zip(&handles) {
            for (pass, handles) in step.passes.iter_mut().zip(handle.passes) {
                let [value, prepared, saved, scratch] = handles.map(at);
                *pass = Pass { value, prepared, saved, scratch };
            }
            if !step.dropped {
                step.passes[1] = step.passes[0].clone();
            }
            (step.statistics, step.gradient_means) = (at(handle.statistics), at(handle.gradient_means));
            if step.learns {
                (step.d_output, step.backward_scratch) = (at(handle.d_output), at(handle.backward_scratch));
            }
        }
        for (k, handle) in handles.iter().enumerate() {
            for i in 0..self.steps[k].inputs.len() {
                let Source::Operation(from) = self.steps[k].inputs[i].source else { continue };
                let d_value = self.steps[from].d_output.clone();
                if let Some(gradient) = &mut self.steps[k].inputs[i].gradient {
                    let extra = at(handle.extra).start;
                    gradient.place = if gradient.adds { extra..extra + d_value.len() } else { d_value };
                }
            }
            for (weights, &extra) in self.steps[k].weights.iter_mut().zip(&handle.weights) {
                let (Some(gradient), Some(learnt)) = (&mut weights.gradient, weights.learnt) else {
                    continue;
                };
                gradient.place = if gradient.adds { at(extra) } else { self.learnt[learnt].gradient.clone() };
            }
        }
        Ok(())
    }
}

impl TrainingLayout {
    /// Lets inputs of step `k` have their gradient in the place of its output's, if that is theirs: those that nobody has
    /// written yet. All but the last to go back must leave it as it is, and nobody may add to it before they have.
    fn share_gradient(&self, k: usize, d_first: &[usize], d_output: usize, shared: &mut [Option<usize>]) {
        if !self.steps[k].step.passes_gradient_on() {
            return;
        }
        let reads = |reader: usize, value: usize| {
            let sources = self.steps[reader].inputs.iter().map(|input| input.source);
            sources.filter(|&source| source == Source::Operation(value)).count()
        };
        let mut before = k;
        for from in (0..k).rev().filter(|&from| reads(k, from) == 1) {
            let step = &self.steps[from];
            let last = (0..k).rev().find(|&reader| reads(reader, from) > 0);
            if !step.learns || d_first[from] != usize::MAX || last.is_some_and(|last| last >= before) {
                continue;
            }
            shared[from] = Some(d_output);
            if step.step.changes_gradient() || last.is_some() {
                return;
            }
            before = from;
        }
    }
}

/// Buffers that are asked for.
struct Buffers {
    list: Vec<Lifetime>,
}

impl Buffers {
    /// One for so many elements, from one time to another. Gives what it is called until it has its place.
    fn need(&mut self, len: usize, first: usize, last: usize) -> Result<usize, Error> {
        heap::push(&mut self.list, Lifetime::new(len, first, last))?;
        Ok(self.list.len() - 1)
    }
}

/// Buffers of a step.
#[derive(Default)]
struct Handles {
    /// Of each pass: the value, what is prepared, what is saved, and scratch.
    passes: [[usize; 4]; 2],
    statistics: usize,
    gradient_means: usize,
    d_output: usize,
    backward_scratch: usize,
    /// A gradient that is to be added to another.
    extra: usize,
    /// The same of weights.
    weights: [usize; MAX_WEIGHTS],
}

/// When all happens. The frozen base runs at time 0.
struct Times {
    steps: Vec<StepTimes>,
    loss: usize,
    /// When each value of the frozen base is read last.
    features: Vec<usize>,
}

#[derive(Clone, Copy, Default)]
struct StepTimes {
    /// When it runs forward, and again; and when each output is read last.
    passes: [(Option<usize>, usize); 2],
    /// When it goes back, if it does.
    back: usize,
}

impl Times {
    fn new(layout: &TrainingLayout) -> Result<Times, Error> {
        let features = heap::filled(layout.base.as_ref().map_or(0, |base| base.layout.outputs.len()), 0)?;
        let steps = heap::filled(layout.steps.len(), StepTimes::default())?;
        let mut times = Times { steps, loss: 0, features };
        for (at, event) in layout.events.iter().enumerate() {
            let time = at + 1;
            match *event {
                Event::Forward(k) => {
                    times.steps[k].passes[0] = (Some(time), time);
                    times.reads_inputs(layout, k, false, time);
                }
                Event::Loss => {
                    times.loss = time;
                    times.reads(layout, layout.output, false, time);
                }
                Event::Again(k) => {
                    times.steps[k].passes[1] = (Some(time), time);
                    times.reads_inputs(layout, k, true, time);
                }
                Event::Back(k) => {
                    times.steps[k].back = time;
                    let reads = layout.steps[k].backward_reads();
                    if reads.inputs {
                        times.reads_inputs(layout, k, true, time);
                    }
                    if reads.output {
                        times.reads(layout, k, true, time);
                    }
                }
            }
        }
        Ok(times)
    }

    /// An output is read: what there is when backward passes run, or what there is before.
    fn reads(&mut self, layout: &TrainingLayout, k: usize, late: bool, time: usize) {
        self.steps[k].passes[usize::from(late && layout.steps[k].dropped)].1 = time;
    }

    fn reads_inputs(&mut self, layout: &TrainingLayout, k: usize, late: bool, time: usize) {
        for input in &layout.steps[k].inputs {
            match input.source {
                Source::Operation(from) => self.reads(layout, from, late, time),
                Source::Given(at) => self.features[at] = time,
                Source::Input(_) | Source::Nowhere => {}
            }
        }
    }
}
