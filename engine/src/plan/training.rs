use super::Options;
use super::inference::{Layout, Shapes, Table};
use crate::error::Error;
use crate::graph::Model;
use crate::graph::fuse::{Operation, Operations};
use crate::layers::{MAX_INPUTS, MAX_WEIGHTS, PassesOn, Role, Site, Source, TrainingStep};
use crate::loss::{Criterion, Loss};
use crate::memory::buffer::{check_len, end_of};
use crate::memory::heap;
use crate::memory::lifetimes::{Lifetime, needed_at, peak, place};
use crate::optimizer::Rule;
use crate::shape::Shape;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use core::fmt;
use core::ops::Range;

/// Where everything lies when the trainable layers of a model learn, one batch at a time: known before they do, in one
/// arena.
///
/// The layers that no trainable layer precedes, the frozen base, run as a [`Plan`](crate::Plan) has it, and their weights
/// stay where they are. From there on, weights come first in the arena, then the optimiser's state, then what a step needs, each for as long as
/// it is needed. Weights move as soon as their gradient is there, so that no two layers' gradients exist at once. Where
/// code is scalar, memory counts: the base then runs a sample at a time, and a gradient that is larger than what is free
/// is computed and applied in slices.
///
/// ```
/// use bantam::{Isa, Loss, Sequential, Sgd, Trainer, TrainingPlan};
/// let net = Sequential::new([28, 28, 1]).conv2d(8, 3).relu().max_pool2d(2).flatten().dense(10);
/// let mut model = net.build(1)?;
/// model.set_trainable("conv2d", false)?;
/// let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).batch_size(8).isa(Isa::SCALAR);
/// let plan = TrainingPlan::new(&trainer, &model)?;
/// assert!(plan.peak_bytes() < 128 * 1024);
/// println!("{plan}");
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct TrainingPlan<'m> {
    pub(crate) model: &'m Model<'m>,
    pub(crate) rule: Box<dyn Rule>,
    pub(crate) loss: Loss,
    pub(crate) layout: TrainingLayout,
}

/// A plan without its model, whose weights may then change.
pub(crate) struct TrainingLayout {
    pub options: Options,
    pub base: Option<Base>,
    pub steps: Vec<Trained>,
    /// Of each value of the model.
    pub sources: Vec<Source>,
    /// The step that gives the output.
    pub output: usize,
    pub learnt: Vec<Learnt>,
    /// One row a sample of what the outputs should be. From here on ranges are of what a step needs.
    pub targets: Range<usize>,
    /// All gradients, if they stay until the end of a step: they come first.
    pub gradients: usize,
    /// Elements of what stays from step to step, at the start of the arena.
    pub persistent: usize,
    /// Elements of what a step needs.
    pub transient: usize,
}

/// The part of a model that learns nothing, and no layer before it does.
pub(crate) struct Base {
    pub layout: Layout,
    pub values: Range<usize>,
    /// What it gives for the whole batch.
    pub features: Vec<Range<usize>>,
}

/// A parameter that learns, or moves with the batches' statistics. Ranges are of what stays.
pub(crate) struct Learnt {
    /// Of the model's.
    pub parameter: usize,
    /// Whether it has no gradient.
    pub moves: bool,
    pub weights: Range<usize>,
    /// What the optimiser keeps of it.
    pub state: [Range<usize>; 2],
    /// The first step that has it: its gradient is complete after that step's backward pass.
    pub first_step: usize,
    /// Of what a step needs.
    pub gradient: Range<usize>,
    /// Rows whose gradient is computed at a time, of so many elements; `None` is all at once.
    pub slices: Option<[usize; 2]>,
}

/// Nodes that learn as one step. Ranges are of what a step needs.
pub(crate) struct Trained {
    pub step: Box<dyn TrainingStep>,
    pub inputs: Vec<TrainedInput>,
    pub weights: Vec<TrainedWeights>,
    /// For a full batch.
    pub output: Shape,
    pub sample_len: usize,
    pub value: Range<usize>,
    pub prepared: Range<usize>,
    pub saved: Range<usize>,
    pub saved_len: usize,
    pub scratch: Range<usize>,
    /// Of the batch, forward.
    pub statistics: Range<usize>,
    /// The same, backward.
    pub gradient_means: Range<usize>,
    /// Whether it has a backward pass.
    pub learns: bool,
    pub d_output: Range<usize>,
    pub backward_scratch: Range<usize>,
}

/// What a step reads.
pub(crate) struct TrainedInput {
    pub source: Source,
    pub sample_len: usize,
    /// The gradient to it, if that is needed.
    pub gradient: Option<Gradient>,
}

/// Weights of a step.
pub(crate) struct TrainedWeights {
    /// Of the model's.
    pub parameter: usize,
    /// Among those that learn.
    pub learnt: Option<usize>,
    pub gradient: Option<Gradient>,
}

/// Where a gradient goes.
#[derive(Clone)]
pub(crate) struct Gradient {
    pub place: Range<usize>,
    /// Whether it is added to what another reader has left at its place.
    pub adds: bool,
}

/// A line of a [`TrainingPlan`]: nodes that learn as one step.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedStep<'p> {
    /// Their names.
    pub names: Vec<&'p str>,
    /// Shape of the output, `[N, …]`.
    pub output: Shape,
    /// Where the output begins, in bytes from the start of the arena.
    pub offset: usize,
    /// Bytes of the output and of what is saved for the backward pass beside.
    pub bytes: usize,
    /// Bytes of the weights that learn.
    pub weight_bytes: usize,
    /// Bytes of the optimiser's state of them.
    pub optimizer_bytes: usize,
    /// Bytes of their gradients, as much as exists at once, and of the gradient to the output.
    pub gradient_bytes: usize,
    /// Bytes of scratch that the kernels need.
    pub scratch_bytes: usize,
    /// Multiply-adds of a step, forward and backward, as direct computation counts them.
    pub multiply_adds: u64,
}

impl<'m> TrainingPlan<'m> {
    /// For steps that make a loss smaller by a rule. [`TrainingPlan::new`] is of a trainer's.
    pub(crate) fn by_rule(
        rule: &dyn Rule,
        loss: Loss,
        options: Options,
        model: &'m Model<'m>,
    ) -> Result<TrainingPlan<'m>, Error> {
        rule.check()?;
        let output = model.output_shape();
        Criterion::new(loss, output, output.elements())?;
        let layout = TrainingLayout::new(model, loss, options, Some(rule.arrays()))?;
        Ok(TrainingPlan { model, rule: rule.boxed(), loss, layout })
    }

    /// Bytes of the arena.
    pub fn peak_bytes(&self) -> usize {
        size_of::<f32>() * self.arena_len()
    }

    /// Elements of the arena.
    pub fn arena_len(&self) -> usize {
        self.layout.persistent + self.layout.transient
    }

    /// Multiply-adds of a step, forward and backward, as direct computation counts them.
    pub fn multiply_adds(&self) -> u64 {
        let TrainingLayout { base, options, .. } = &self.layout;
        let base = base.as_ref().map_or(0, |base| {
            let times = options.batch / base.layout.options.batch;
            base.layout.multiply_adds().saturating_mul(times as u64)
        });
        self.steps().map(|step| step.multiply_adds).fold(base, u64::saturating_add)
    }

    /// What learns, in order.
    pub fn steps(&self) -> impl Iterator<Item = TrainedStep<'_>> {
        let bytes = |range: &Range<usize>| size_of::<f32>() * range.len();
        self.layout.steps.iter().enumerate().map(move |(k, step)| {
            let forward = step.step.multiply_adds();
            let own =
                || step.weights.iter().filter_map(|weights| weights.learnt).map(|at| &self.layout.learnt[at]);
            let own = || own().filter(|learnt| learnt.first_step == k);
            // Gradients to weights and to the input each take as many as the forward pass.
            let d_input = step.inputs.iter().any(|input| input.gradient.is_some());
            let d_weights = step.weights.iter().any(|weights| weights.learnt.is_some());
            let passes = 1 + u64::from(d_weights) + u64::from(d_input);
            TrainedStep {
                names: self
                    .model
                    .nodes_of(&self.layout.sources, k)
                    .map(|node| self.model.nodes()[node].name())
                    .collect(),
                output: step.output,
                offset: size_of::<f32>() * (self.layout.persistent + step.value.start),
                bytes: bytes(&step.value) + bytes(&step.saved),
                weight_bytes: own().map(|learnt| bytes(&learnt.weights)).sum(),
                optimizer_bytes: own().flat_map(|learnt| &learnt.state).map(bytes).sum(),
                gradient_bytes: own().map(|learnt| bytes(&learnt.gradient)).sum::<usize>()
                    + bytes(&step.d_output),
                scratch_bytes: bytes(&step.scratch).max(bytes(&step.backward_scratch)),
                multiply_adds: passes.saturating_mul(forward),
            }
        })
    }
}

/// What happens in a training step, in order: each step forward, the loss, and each step backward.
impl TrainingLayout {
    /// When the loss is computed.
    pub fn loss_at(&self) -> usize {
        self.steps.len()
    }

    /// Which step goes back at that time, or when that step does.
    pub fn step_at(&self, time: usize) -> usize {
        2 * self.steps.len() - time
    }

    /// When it is over.
    pub fn end(&self) -> usize {
        2 * self.steps.len() + 1
    }

    /// What happens between the times before which the parts of a batch must meet, to have their statistics merged.
    pub fn stretches(&self) -> impl Iterator<Item = Range<usize>> {
        let steps =
            || self.steps.iter().enumerate().filter(|(_, step)| step.step.batch_statistics().is_some());
        let forward = steps().map(|(k, _)| k);
        let back = steps().rev().filter(|(_, step)| step.learns).map(|(k, _)| self.step_at(k));
        let mut start = 0;
        forward.chain(back).chain([self.end()]).map(move |end| core::mem::replace(&mut start, end)..end)
    }
}

impl TrainingLayout {
    /// With so many arrays of optimiser state beside each array of weights; or, if there are none, for a shard of a
    /// batch: weights stay where the model has them, and gradients stay to be added to those of other shards.
    pub fn new(
        model: &Model<'_>,
        loss: Loss,
        options: Options,
        arrays: Option<usize>,
    ) -> Result<TrainingLayout, Error> {
        let roles = model.roles()?;
        if !roles.contains(&Role::Learnt) {
            return Err(Error::Empty { what: "trainable layers" });
        }
        model.only_input()?.with_batch(options.batch)?;
        let output = [loss.output(model)?];
        let given = features(model, &roles, output[0])?;
        let mut base = None;
        if !given.is_empty() {
            let batch = if options.isa == Isa::SCALAR { 1 } else { options.batch };
            let layout = Layout::new(model, &given, Options { batch, ..options })?;
            base = Some(Base { layout, values: 0..0, features: heap::list(given.len())? });
        }
        let Operations { list, sources, outputs } = Operations::new(model, &given, &output, true)?;
        let Some(&output) = outputs.first() else {
            return Err(Error::Empty { what: "trainable layers" });
        };
        let mut layout = TrainingLayout {
            options,
            base,
            steps: heap::list(list.len())?,
            sources,
            output,
            learnt: Vec::new(),
            targets: 0..0,
            gradients: 0,
            persistent: 0,
            transient: 0,
        };
        for operation in &list {
            layout.push(model, operation, &roles)?;
        }
        if layout.learnt.iter().all(|learnt| learnt.moves) {
            return Err(Error::Empty { what: "trainable layers" });
        }
        layout.place_persistent(model, arrays);
        layout.place(arrays.is_none())?;
        Ok(layout)
    }

    /// Lowers an operation.
    fn push(&mut self, model: &Model<'_>, operation: &Operation, roles: &[Role]) -> Result<(), Error> {
        let Options { batch, isa, threads, direct_only } = self.options;
        let reads = operation.reads;
        let shapes = Shapes::new(model, reads, batch)?;
        let (values, parameters) = (reads.values(model), reads.parameters(model));
        let mut inputs = heap::list(values.len())?;
        let mut learns = false;
        for &value in values {
            let source = self.sources[value];
            if let Source::Operation(from) = source {
                learns |= self.steps[from].learns;
            }
            let sample_len = model.value_shape(value).elements();
            inputs.push(TrainedInput { source, sample_len, gradient: None });
        }
        let mut weights = heap::list(parameters.len())?;
        for parameter in parameters {
            let mut learnt = None;
            if roles[parameter] != Role::Constant {
                let moves = roles[parameter] == Role::Moving;
                learns |= !moves;
                learnt = self.learnt.iter().position(|learnt| learnt.parameter == parameter);
                if learnt.is_none() {
                    learnt = Some(self.learnt.len());
                    let first_step = self.steps.len();
                    let (weights, state, gradient) = (0..0, [0..0, 0..0], 0..0);
                    let new = Learnt { parameter, moves, weights, state, first_step, gradient, slices: None };
                    heap::push(&mut self.learnt, new)?;
                }
            }
            weights.push(TrainedWeights { parameter, learnt, gradient: None });
        }
        let learnable = reads.are_trainable(model);
        let site = shapes.site(isa, threads, direct_only, model.parameter_count());
        let step = operation.lower_for_training(model, &Site { learns: learnable, ..site })?;
        let output = model.value_shape(operation.value);
        let (saved_len, sample_len) = (step.saved_len(), output.elements());
        self.steps.push(Trained {
            step,
            inputs,
            weights,
            output: output.with_batch(batch)?,
            sample_len,
            value: 0..0,
            prepared: 0..0,
            saved: 0..0,
            saved_len,
            scratch: 0..0,
            statistics: 0..0,
            gradient_means: 0..0,
            learns,
            d_output: 0..0,
            backward_scratch: 0..0,
        });
        Ok(())
    }

    /// Places for what stays: the base's prepared weights, the weights that learn, and the optimiser's state.
    fn place_persistent(&mut self, model: &Model<'_>, arrays: Option<usize>) {
        self.persistent = end_of(0, self.base.as_ref().map_or(0, |base| base.layout.prepared));
        let place = |end: &mut usize, len: usize| {
            let start = *end;
            *end = end_of(start, len);
            start..start.saturating_add(len)
        };
        for learnt in &mut self.learnt {
            let len = model.parameters()[learnt.parameter].shape().elements();
            let Some(arrays) = arrays else {
                if !learnt.moves {
                    learnt.gradient = place(&mut self.gradients, len);
                }
                continue;
            };
            learnt.weights = place(&mut self.persistent, len);
            if learnt.moves {
                continue;
            }
            for state in &mut learnt.state[..arrays] {
                *state = place(&mut self.persistent, len);
            }
        }
    }

    /// Gives what a step needs its place. The base runs at time 0, then the steps, the loss, and the steps backwards.
    fn place(&mut self, shard: bool) -> Result<(), Error> {
        let (isa, count) = (self.options.isa, self.steps.len());
        let forward = |k: usize| k + 1;
        let loss = count + 1;
        let back = |k: usize| loss + count - k;
        let mut buffers = Buffers { list: Vec::new() };
        // When each value is read last, and when its gradient is there first.
        let (mut last_read, mut d_first) = (heap::list(count)?, heap::list(count)?);
        for (k, step) in self.steps.iter().enumerate() {
            last_read.push(if step.learns { back(k) } else { forward(k) });
            d_first.push(if k == self.output { loss } else { usize::MAX });
        }
        last_read[self.output] = last_read[self.output].max(loss);
        let mut feature_last = heap::list(self.base.as_ref().map_or(0, |base| base.layout.outputs.len()))?;
        feature_last.resize(feature_last.capacity(), 0);
        for (k, step) in self.steps.iter().enumerate() {
            let read = if step.learns { back(k) } else { forward(k) };
            for input in &step.inputs {
                match input.source {
                    Source::Operation(from) => last_read[from] = last_read[from].max(read),
                    Source::Given(at) => feature_last[at] = feature_last[at].max(read),
                    Source::Input(_) | Source::Nowhere => {}
                }
            }
        }
        let base_values = buffers.need(self.base.as_ref().map_or(0, |base| base.layout.values), 0, 0)?;
        let mut features = heap::list(feature_last.len())?;
        if let Some(base) = &self.base {
            for (&step, &last) in base.layout.outputs.iter().zip(&feature_last) {
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
        let mut learnt_handles: Vec<Option<usize>> = heap::list(self.learnt.len())?;
        learnt_handles.resize(self.learnt.len(), None);
        for k in (0..count).rev() {
            let time = back(k);
            let learns: [bool; MAX_INPUTS] = core::array::from_fn(|i| match self.steps[k].inputs.get(i) {
                Some(TrainedInput { source: Source::Operation(from), .. }) => self.steps[*from].learns,
                _ => false,
            });
            let step = &mut self.steps[k];
            if !step.learns {
                continue;
            }
            let handle = &mut handles[k];
            handle.d_output = buffers.need(step.output.elements(), d_first[k].min(time), time)?;
            let mut extra = 0;
            for (input, _) in step.inputs.iter_mut().zip(learns).filter(|(_, learns)| *learns) {
                let Source::Operation(from) = input.source else { continue };
                let adds = d_first[from] != usize::MAX;
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
                let len = if shard { learnt.gradient.len() } else { learnt.weights.len() };
                let adds = learnt_handles[at].is_some();
                weights.gradient = Some(Gradient { place: 0..0, adds });
                if adds {
                    handle.weights[i] = buffers.need(len, time, time)?;
                    continue;
                }
                let alone = learnt.first_step == k;
                let rows = if isa == Isa::SCALAR && i == 0 && alone && !shard {
                    step.step.weight_rows()
                } else {
                    None
                };
                learnt.slices = rows.map(|rows| [1, len / rows]);
                let len =
                    if shard { 0 } else { learnt.slices.map_or(len, |[rows, features]| rows * features) };
                learnt_handles[at] = Some(buffers.need(len, time, back(learnt.first_step))?);
            }
        }
        for (k, step) in self.steps.iter().enumerate() {
            let (handle, time) = (&mut handles[k], forward(k));
            handle.value = buffers.need(step.output.elements(), time, last_read[k])?;
            handle.prepared = buffers.need(step.step.prepared_len(), time, time)?;
            let saved = step.saved_len.div_ceil(size_of::<f32>());
            handle.saved = buffers.need(saved, time, if step.learns { back(k) } else { time })?;
            handle.scratch = buffers.need(step.step.scratch_len(), time, time)?;
            let d_input = step.inputs.iter().any(|input| input.gradient.is_some());
            let scratch_len = if step.learns { step.step.backward_scratch_len(d_input) } else { 0 };
            handle.backward_scratch = buffers.need(scratch_len, back(k), back(k))?;
            if let Some(of_batch) = step.step.batch_statistics() {
                // What moves with them does so at the end.
                handle.statistics = buffers.need(of_batch.statistics_len(), time, back(0))?;
                let means = if step.learns { of_batch.means_len() } else { 0 };
                handle.gradient_means = buffers.need(means, back(k), back(k))?;
            } else {
                (handle.statistics, handle.gradient_means) = (nothing, nothing);
            }
        }
        // As many rows at a time as take no more than is needed anyway.
        let budget = peak(&buffers.list);
        check_len(budget)?;
        for (learnt, handle) in self.learnt.iter_mut().zip(&learnt_handles) {
            let (Some([rows, features]), Some(handle)) = (&mut learnt.slices, handle) else { continue };
            let free = budget - needed_at(&buffers.list, back(learnt.first_step));
            let gradient = &mut buffers.list[*handle];
            *rows = ((gradient.len + free) / *features).clamp(1, learnt.weights.len() / *features);
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
            if let (Some(handle), false) = (handle, shard) {
                learnt.gradient = at(*handle);
            }
        }
        for (step, handle) in self.steps.iter_mut().zip(&handles) {
            (step.value, step.prepared, step.saved) =
                (at(handle.value), at(handle.prepared), at(handle.saved));
            step.scratch = at(handle.scratch);
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
    value: usize,
    prepared: usize,
    saved: usize,
    scratch: usize,
    statistics: usize,
    gradient_means: usize,
    d_output: usize,
    backward_scratch: usize,
    /// A gradient that is to be added to another.
    extra: usize,
    /// The same of weights.
    weights: [usize; MAX_WEIGHTS],
}

/// The values of the frozen base that the rest reads: what no trainable weight, no statistics of batches and nothing random
/// comes before.
fn features(model: &Model<'_>, roles: &[Role], output: usize) -> Result<Vec<usize>, Error> {
    let first = model.input_shapes().len();
    let mut late = heap::list(first + model.nodes().len())?;
    late.resize(first, false);
    for node in model.nodes() {
        let reads_late = model.inputs_of(node).iter().any(|&value| late[value]);
        let random = node.layer_type().passes_on == PassesOn::Inference;
        late.push(
            reads_late
                || random
                || node.parameters.clone().any(|parameter| roles[parameter] != Role::Constant),
        );
    }
    let mut features = Vec::new();
    let mut read = heap::list(late.len())?;
    read.resize(late.len(), false);
    read[output] = true;
    for value in (first..late.len()).rev().filter(|&value| late[value]) {
        if read[value] {
            model.inputs_of(&model.nodes()[value - first]).iter().for_each(|&value| read[value] = true);
        }
    }
    for value in (first..late.len()).filter(|&value| read[value] && !late[value]) {
        heap::push(&mut features, value)?;
    }
    Ok(features)
}

/// The table of [`steps`](TrainingPlan::steps), to be printed.
impl fmt::Display for TrainingPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(base) = &self.layout.base {
            writeln!(f, "frozen:\n{}\ntrained:", Table { model: self.model, layout: &base.layout })?;
        }
        writeln!(
            f,
            "{:38} {:>16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>13}",
            "layers",
            "output",
            "offset",
            "bytes",
            "weights",
            "optimiser",
            "gradients",
            "scratch",
            "multiply-adds"
        )?;
        for step in self.steps() {
            let (names, shape) = (step.names.join(" + "), alloc::format!("{}", step.output));
            writeln!(
                f,
                "{names:38} {shape:>16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>13}",
                step.offset,
                step.bytes,
                step.weight_bytes,
                step.optimizer_bytes,
                step.gradient_bytes,
                step.scratch_bytes,
                step.multiply_adds
            )?;
        }
        let (bytes, multiply_adds) = (self.peak_bytes(), self.multiply_adds());
        let Options { isa, batch, .. } = self.layout.options;
        write!(f, "{isa}, steps of {batch}: arena of {bytes} bytes, {multiply_adds} multiply-adds a step")
    }
}
