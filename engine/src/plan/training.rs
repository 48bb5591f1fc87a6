use super::Options;
use super::inference::{Layout, Shapes, Table};
use super::parts::Parts;
use super::way::{Event, Way};
use crate::error::Error;
use crate::graph::Model;
use crate::graph::fuse::{Operation, Operations};
use crate::graph::model::in_layer;
use crate::layers::{BatchStatistics, PassesOn, Role, Site, Source, TrainingStep};
use crate::loss::{Criterion, Loss, Penalty};
use crate::memory::buffer::check_len;
use crate::memory::heap;
use crate::optimizer::{Asks, Rule};
use crate::shape::Shape;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use core::fmt;
use core::ops::Range;

/// Where everything lies when the trainable layers of a model learn, one batch at a time: known before they do, in one
/// arena.
///
/// The layers that no trainable layer precedes, the frozen base, run as a [`Plan`](crate::Plan) has it, as few samples at a
/// time as a cache holds, and their weights stay where they are; [`Trainer::fit`](crate::Trainer::fit) runs them
/// [folded](Model::fold). From there on, weights come first in the arena, then the optimiser's state, then what a step needs,
/// each for as long as it is needed. Weights move as soon as their gradient is there, so that no two layers' gradients exist at
/// once. Where code is scalar, memory counts: the base then runs a sample at a time, and a gradient that is larger than what is
/// free is computed and applied in slices.
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
    pub(crate) seed: u64,
    pub(crate) way: Way,
    /// How a step's batch is parted: the layout is for one part after the other.
    pub(crate) parts: Parts,
    /// One for each class, or none.
    pub(crate) class_weights: Vec<f32>,
    pub(crate) penalties: Vec<Penalty>,
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
    /// What happens in a step, one after the other.
    pub events: Vec<Event>,
    /// The event at which the most is needed.
    pub fullest: usize,
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
    /// What the optimiser keeps of it, each array from a whole line on.
    pub state: Range<usize>,
    /// The first step that has it: its gradient is complete after that step's backward pass.
    pub first_step: usize,
    /// It is updated after the backward pass of this step: the first, or the last of all to go back if the rule asks for
    /// all gradients.
    pub updated_after: usize,
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
    /// How it runs forward, and what is there when it goes back: the same, or computed again.
    pub passes: [Pass; 2],
    pub saved_len: usize,
    /// Of the batch, forward.
    pub statistics: Range<usize>,
    /// The same, backward.
    pub gradient_means: Range<usize>,
    /// Whether it has a backward pass.
    pub learns: bool,
    /// Whether what it computed is dropped when it was read forward.
    pub dropped: bool,
    pub d_output: Range<usize>,
    pub backward_scratch: Range<usize>,
}

/// What a step computes. Ranges are of what a training step needs.
#[derive(Clone, Default)]
pub(crate) struct Pass {
    pub value: Range<usize>,
    pub prepared: Range<usize>,
    pub saved: Range<usize>,
    pub scratch: Range<usize>,
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
        (options, parts): (Options, Parts),
        seed: u64,
        way: Way,
        model: &'m Model<'m>,
    ) -> Result<TrainingPlan<'m>, Error> {
        rule.check()?;
        rule.check_names(model)?;
        model.only_input()?;
        let (_, loss) = loss.output(model)?;
        let output = model.output_shape();
        Criterion::new(loss, output, output.elements())?;
        let options = Options { batch: parts.samples, ..options };
        let layout = TrainingLayout::new(model, loss, options, (Some(rule), parts.count > 1), way, None)?;
        parts.check(layout.needs_whole_batch())?;
        let (class_weights, penalties) = (Vec::new(), Vec::new());
        let bytes = size_of_val(rule);
        if !heap::probe(bytes) {
            return Err(Error::OutOfMemory { bytes });
        }
        let rule = rule.boxed();
        let plan = TrainingPlan { model, rule, loss, seed, way, parts, class_weights, penalties, layout };
        check_len(plan.arena_len())?;
        Ok(plan)
    }

    /// With a weight for each class, if there are any, and penalties.
    pub(crate) fn with(
        mut self,
        class_weights: &[f32],
        penalties: Vec<Penalty>,
    ) -> Result<TrainingPlan<'m>, Error> {
        if !class_weights.is_empty() {
            let output = self.model.output_shape();
            Criterion::new(self.loss, output, output.elements())?.weighted(class_weights)?;
            self.class_weights = heap::list(class_weights.len())?;
            self.class_weights.extend_from_slice(class_weights);
        }
        Ok(TrainingPlan { penalties, ..self })
    }

    /// Bytes of the arena.
    pub fn peak_bytes(&self) -> usize {
        size_of::<f32>().saturating_mul(self.arena_len())
    }

    /// Elements of the arena.
    pub fn arena_len(&self) -> usize {
        let sums = self.parts.sums().saturating_mul(self.layout.gradients);
        (self.layout.persistent + self.layout.transient).saturating_add(sums)
    }

    /// Samples of a step.
    pub(crate) fn batch(&self) -> usize {
        self.parts.samples * self.parts.count
    }

    /// Samples that are learnt at a time, in steps of a whole [batch](crate::Trainer::batch_size): as many as
    /// [`Trainer::micro_batch`](crate::Trainer::micro_batch) says, or fewer where memory asked for that.
    pub fn micro_batch(&self) -> usize {
        self.parts.samples
    }

    /// What is computed twice.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Multiply-adds of a step, forward, again and backward, as direct computation counts them.
    pub fn multiply_adds(&self) -> u64 {
        let TrainingLayout { base, options, .. } = &self.layout;
        let base = base.as_ref().map_or(0, |base| {
            let all = base.layout.multiply_adds().saturating_mul(options.batch as u64);
            all / base.layout.options.batch as u64
        });
        let base = base.saturating_add(self.layout.again()).saturating_mul(self.parts.count as u64);
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
                offset: size_of::<f32>() * (self.layout.persistent + step.passes[0].value.start),
                bytes: bytes(&step.passes[0].value) + bytes(&step.passes[0].saved),
                weight_bytes: own().map(|learnt| bytes(&learnt.weights)).sum(),
                optimizer_bytes: own().map(|learnt| self.rule.arrays() * bytes(&learnt.weights)).sum(),
                gradient_bytes: own().map(|learnt| bytes(&learnt.gradient)).sum::<usize>()
                    + bytes(&step.d_output),
                scratch_bytes: bytes(&step.passes[0].scratch).max(bytes(&step.backward_scratch)),
                multiply_adds: passes.saturating_mul(forward).saturating_mul(self.parts.count as u64),
            }
        })
    }
}

impl TrainingLayout {
    /// With what a rule remembers beside each array of weights; or, if there is none, for weights that stay where the
    /// model has them. The frozen base may be there `folded`. Gradients may `stay` until the end, to be added to those of other parts of a batch.
    pub fn new(
        model: &Model<'_>,
        loss: Loss,
        options: Options,
        (rule, stay): (Option<&dyn Rule>, bool),
        way: Way,
        folded: Option<&Model<'_>>,
    ) -> Result<TrainingLayout, Error> {
        let roles = model.roles()?;
        if !roles.contains(&Role::Learnt) {
            return Err(Error::Empty { what: "trainable layers" });
        }
        model.only_input()?.with_batch(options.batch)?;
        let output = [loss.output(model)?.0];
        let given = features(model, &roles, output[0])?;
        let mut base = None;
        if !given.is_empty() {
            let options = few_at_a_time(model, options);
            let layout = match folded {
                Some(folded) => Layout::new(folded, folded.outputs(), options)?,
                None => Layout::new(model, &given, options)?,
            };
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
            events: Vec::new(),
            fullest: 0,
            targets: 0..0,
            gradients: 0,
            persistent: 0,
            transient: 0,
        };
        let all = stay || rule.is_some_and(|rule| rule.asks(Asks::AllGradients));
        for operation in &list {
            layout.push(model, operation, &roles, all)?;
        }
        if layout.learnt.iter().all(|learnt| learnt.moves) {
            return Err(Error::Empty { what: "trainable layers" });
        }
        if !stay {
            layout.check_batch(model)?;
        }
        layout.place_persistent(model, rule, stay);
        layout.order(way)?;
        layout.place(rule)?;
        Ok(layout)
    }

    /// The frozen base of a model folded, if there is one in which that saves something.
    pub fn folded_base(model: &Model<'_>, loss: Loss, isa: Isa) -> Result<Option<Model<'static>>, Error> {
        let given = features(model, &model.roles()?, loss.output(model)?.0)?;
        if given.is_empty() { Ok(None) } else { model.folded_base(&given, isa) }
    }

    /// Checks that its samples are enough for a batch, where they are not a part of one.
    pub fn check_batch(&self, model: &Model<'_>) -> Result<(), Error> {
        self.steps.iter().enumerate().try_for_each(|(k, trained)| {
            let checked = trained.step.batch_statistics().map_or(Ok(()), BatchStatistics::check_batch);
            let name =
                || model.nodes_of(&self.sources, k).next().map_or("", |node| model.nodes()[node].name());
            checked.map_err(|cause| in_layer(name(), cause))
        })
    }

    /// Lowers an operation. Its weights are updated when `all` gradients are there, or as soon as theirs are.
    fn push(
        &mut self,
        model: &Model<'_>,
        operation: &Operation,
        roles: &[Role],
        all: bool,
    ) -> Result<(), Error> {
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
                    let first = self.learnt.iter().find(|learnt| all && !learnt.moves);
                    let new = Learnt {
                        parameter,
                        moves,
                        weights: 0..0,
                        state: 0..0,
                        first_step,
                        updated_after: first.map_or(first_step, |first| first.first_step),
                        gradient: 0..0,
                        slices: None,
                    };
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
            passes: Default::default(),
            saved_len,
            statistics: 0..0,
            gradient_means: 0..0,
            learns,
            dropped: false,
            d_output: 0..0,
            backward_scratch: 0..0,
        });
        Ok(())
    }
}

/// How the frozen base runs on a batch of at least one sample: on few at a time for each thread, as few maps stay in a cache, and
/// take little memory.
pub(crate) fn few_at_a_time(model: &Model<'_>, options: Options) -> Options {
    /// Elements of the largest map.
    const MAP: usize = 1 << 20;
    let largest = model.nodes().iter().map(|node| node.output_shape().elements()).fold(1, usize::max);
    let few = match options.isa {
        Isa::SCALAR => 1,
        _ => (MAP / largest).max(1).saturating_mul(options.threads.count()),
    };
    Options { batch: few.min(options.batch), ..options }
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
        let samples = self.batch();
        write!(f, "{isa}, steps of {samples}: arena of {bytes} bytes, {multiply_adds} multiply-adds a step")?;
        if self.parts.count > 1 {
            write!(f, ", micro-batches of {batch}")?;
        }
        if self.way == Way::KeepAll { Ok(()) } else { write!(f, ", {}", self.way) }
    }
}
