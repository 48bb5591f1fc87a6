use crate::buffer::end_of;
use crate::heap;
use crate::layout::{Lifetime, most_at_once, needed_at, place};
use crate::loss::Criterion;
use crate::model::Mode;
use crate::ops::{LayerOp, MAX_INPUTS};
use crate::optimizer::Rule;
use crate::parallel::threads;
use crate::{Error, Loss, Model, Plan, Shape, Trainer};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use core::fmt;
use core::ops::Range;

/// Where everything lies when the trainable layers of a model learn, one batch at a time: known before
/// they do, in one arena.
///
/// Frozen layers at the front are run as a [`Plan`] has it, and their weights stay where they are. From
/// the first trainable layer on, weights come first in the arena, then what the optimiser remembers, then
/// what a step needs, each for as long as it needs it. Weights move as soon as their gradient is there, so
/// that no two layers' gradients exist at once. Where code is scalar, memory counts: the base then runs a
/// sample at a time, and a gradient that is larger than what is free is had and used in parts.
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
#[derive(Clone)]
pub struct TrainingPlan<'m> {
    pub(crate) model: &'m Model<'m>,
    pub(crate) isa: Isa,
    pub(crate) batch: usize,
    pub(crate) loss: Loss,
    pub(crate) rule: Box<dyn Rule>,
    /// How many threads the scratch is for.
    pub(crate) threads: usize,
    /// The frozen layers at the front.
    pub(crate) base: Option<Base<'m>>,
    pub(crate) steps: Vec<TrainedStep<'m>>,
    /// One row a sample of what the outputs should be.
    pub(crate) targets: Range<usize>,
    /// Numbers of what stays from step to step, at the start of the arena.
    pub(crate) persistent: usize,
    /// Numbers of all.
    len: usize,
}

#[derive(Clone)]
pub(crate) struct Base<'m> {
    pub plan: Plan<'m>,
    pub values: Range<usize>,
    /// What it gives for the whole batch.
    pub features: Range<usize>,
}

/// Layers that learn as one operation. Ranges are of the arena.
#[derive(Clone)]
pub(crate) struct TrainedStep<'m> {
    pub op: LayerOp,
    /// The first has the weights.
    pub layers: Range<usize>,
    /// Of the input for a batch, then of the weights.
    pub shapes: [Shape; MAX_INPUTS],
    pub inputs: usize,
    pub output: Shape,
    /// Frozen weights are used where they lie.
    pub frozen: Option<[&'m [f32]; MAX_INPUTS]>,
    /// Of the kernel and the bias, if they learn.
    pub weights: [Range<usize>; 2],
    /// What the optimiser remembers of each.
    pub memory: [[Range<usize>; 2]; 2],
    pub value: Range<usize>,
    pub prepared: Range<usize>,
    pub kept: Range<usize>,
    pub kept_len: usize,
    pub scratch: Range<usize>,
    /// The gradient to the output.
    pub d_output: Range<usize>,
    pub backward_scratch: Range<usize>,
    /// The gradients to kernel and bias.
    pub gradients: [Range<usize>; 2],
    /// Rows of the kernel whose gradient is had at a time, of so many numbers; `None` is all at once.
    pub part: Option<[usize; 2]>,
}

/// A line of a [`TrainingPlan`]: layers that learn as one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedLayer<'p> {
    /// Their names.
    pub names: Vec<&'p str>,
    /// Shape of the output, `[N, …]`.
    pub output: Shape,
    /// Where the output begins, in bytes from the start of the arena.
    pub offset: usize,
    /// Bytes of the output and of what the backward pass needs beside.
    pub bytes: usize,
    /// Bytes of the weights that learn.
    pub weight_bytes: usize,
    /// Bytes of what the optimiser remembers of them.
    pub optimizer_bytes: usize,
    /// Bytes of their gradients, as much as exists at once.
    pub gradient_bytes: usize,
    /// Bytes of scratch that the kernels need.
    pub scratch_bytes: usize,
    /// Multiply-adds of a step, forward and backward, as direct computation counts them.
    pub multiply_adds: u64,
}

impl<'m> TrainingPlan<'m> {
    /// For steps of a trainer's batch size, with its optimiser, loss and instruction set, on as many
    /// threads as there are now.
    ///
    /// # Errors
    /// No layer with weights is trainable, the batch is empty, or it takes more than memory can hold.
    pub fn new(trainer: &Trainer, model: &'m Model<'m>) -> Result<TrainingPlan<'m>, Error> {
        let (isa, batch) = (trainer.isa, trainer.batch_size);
        trainer.optimizer.rule().check()?;
        let learns = |layer: &crate::Layer<'_>| layer.is_trainable() && !layer.parameters.is_empty();
        let Some(first) = model.layers().iter().position(learns) else {
            return Err(Error::Empty { what: "trainable layers" });
        };
        let output = model.output_shape();
        Criterion::new(trainer.loss, output, output.elements())?;
        let end = trainer.loss.layers(model);
        let mut shape = model.input_shape().with_batch(batch)?;
        let base = match first {
            0 => None,
            _ => {
                let at_a_time = if isa == Isa::SCALAR { 1 } else { batch };
                let plan = Plan::of_first(first, model, at_a_time, isa)?;
                shape = model.layers()[first - 1].output.with_batch(batch)?;
                Some(Base { plan, values: 0..0, features: 0..0 })
            }
        };
        let mut plan = TrainingPlan {
            model,
            isa,
            batch,
            loss: trainer.loss,
            rule: trainer.optimizer.rule().boxed(),
            threads: threads(),
            base,
            steps: Vec::new(),
            targets: 0..0,
            persistent: 0,
            len: 0,
        };
        plan.steps = heap::list(end - first)?;
        for step in model.steps(first..end, Mode::Training { seed: 0 }) {
            if let Some(op) = step.op {
                shape = plan.push(op, step.layers, shape)?;
            }
        }
        plan.place(shape.elements())?;
        Ok(plan)
    }

    /// Adds a step and gives its output's shape.
    fn push(&mut self, op: LayerOp, layers: Range<usize>, input: Shape) -> Result<Shape, Error> {
        let model: &'m Model<'m> = self.model;
        let layer = &model.layers()[layers.start];
        let (shapes, frozen, inputs) = layer.inputs(input);
        let output = op.get().output_shape(&shapes[..inputs])?;
        let learns = layer.trainable;
        self.steps.push(TrainedStep {
            op,
            layers,
            shapes,
            inputs,
            output,
            frozen: (!learns).then_some(frozen),
            weights: [0..0, 0..0],
            memory: [[0..0, 0..0], [0..0, 0..0]],
            value: 0..0,
            prepared: 0..0,
            kept: 0..0,
            kept_len: op.differentiable().kept_len(&shapes[..inputs])?,
            scratch: 0..0,
            d_output: 0..0,
            backward_scratch: 0..0,
            gradients: [0..0, 0..0],
            part: None,
        });
        Ok(output)
    }

    /// Gives everything its place. The last step has so many outputs.
    fn place(&mut self, outputs: usize) -> Result<(), Error> {
        self.place_weights()?;
        let (isa, count) = (self.isa, self.steps.len());
        // The base runs at time 0, then the steps, the loss, and the steps backwards.
        let forward = |k: usize| k + 1;
        let loss = count + 1;
        let back = |k: usize| loss + count - k;
        let mut buffers: Vec<Lifetime> = heap::list(BEFORE + OF_STEP * count)?;
        let mut need = |len: usize, first: usize, last: usize| buffers.push(Lifetime { len, first, last });
        let based = self.base.as_ref().map(|base| base.plan.values_len());
        need(based.unwrap_or(0), 0, 0);
        need(based.map_or(0, |_| self.steps[0].shapes[0].elements()), 0, back(0));
        need(outputs, loss, loss);
        for (k, step) in self.steps.iter_mut().enumerate() {
            let shapes = &step.shapes[..step.inputs];
            let (op, differentiable) = (step.op.get(), step.op.differentiable());
            let output = step.output.elements();
            let [kernel, bias] = step.weights.each_ref().map(Range::len);
            let rows = if isa == Isa::SCALAR { differentiable.weight_rows(isa, shapes)? } else { None };
            step.part = rows.filter(|_| kernel > 0).map(|rows| [1, kernel / rows]);
            need(output, forward(k), back(k));
            need(op.prepared_len(isa, shapes)?, forward(k), forward(k));
            need(step.kept_len.div_ceil(size_of::<f32>()), forward(k), back(k));
            need(op.forward_scratch_len(isa, shapes)?, forward(k), forward(k));
            need(output, if k + 1 == count { loss } else { back(k + 1) }, back(k));
            need(differentiable.backward_scratch_len(isa, shapes, k > 0)?, back(k), back(k));
            need(bias, back(k), back(k));
            need(step.part.map_or(kernel, |[rows, features]| rows * features), back(k), back(k));
        }
        // As many rows at a time as take no more than is needed anyway.
        let budget = most_at_once(&buffers)?;
        for (k, step) in self.steps.iter_mut().enumerate() {
            let Some([rows, features]) = &mut step.part else { continue };
            let free = budget - needed_at(&buffers, back(k))?;
            let gradient = &mut buffers[BEFORE + OF_STEP * (k + 1) - 1];
            *rows = ((gradient.len + free) / *features).clamp(1, step.weights[0].len() / *features);
            gradient.len = *rows * *features;
        }

        let (mut places, transient) = place(&buffers)?;
        self.len = end_of(self.persistent, transient)?;
        for place in places.iter_mut().filter(|place| place.start < place.end) {
            *place = self.persistent + place.start..self.persistent + place.end;
        }
        let (before, of_steps) = places.split_at(BEFORE);
        if let Some(base) = &mut self.base {
            (base.values, base.features) = (before[0].clone(), before[1].clone());
        }
        self.targets = before[2].clone();
        for (step, places) in self.steps.iter_mut().zip(of_steps.as_chunks::<OF_STEP>().0) {
            let [value, prepared, kept, scratch, d_output, backward_scratch, bias, kernel] = places.clone();
            step.gradients = [kernel, bias];
            (step.value, step.prepared, step.kept) = (value, prepared, kept);
            (step.scratch, step.d_output, step.backward_scratch) = (scratch, d_output, backward_scratch);
        }
        Ok(())
    }

    /// Places for what stays: the base's prepared weights, the weights that learn, and what the optimiser
    /// remembers.
    fn place_weights(&mut self) -> Result<(), Error> {
        let mut end = end_of(0, self.base.as_ref().map_or(0, |base| base.plan.prepared_len()))?;
        let mut place = |len: usize| {
            let start = end;
            end = end_of(start, len)?;
            Ok::<_, Error>(start..start + len)
        };
        for step in self.steps.iter_mut().filter(|step| step.frozen.is_none()) {
            for i in 1..step.inputs {
                let len = step.shapes[i].elements();
                step.weights[i - 1] = place(len)?;
                for memory in &mut step.memory[i - 1][..self.rule.arrays()] {
                    *memory = place(len)?;
                }
            }
        }
        self.persistent = end;
        Ok(())
    }

    /// Bytes of the arena.
    pub fn peak_bytes(&self) -> usize {
        size_of::<f32>() * self.len
    }

    /// Numbers of the arena.
    pub fn arena_len(&self) -> usize {
        self.len
    }

    /// Multiply-adds of a step, forward and backward, as direct computation counts them.
    pub fn multiply_adds(&self) -> u64 {
        let base = self.base.as_ref().map_or(0, |base| {
            base.plan.multiply_adds().saturating_mul((self.batch / base.plan.batch) as u64)
        });
        self.layers().map(|layer| layer.multiply_adds).fold(base, u64::saturating_add)
    }

    /// How the frozen layers at the front run, if there are any.
    pub fn base(&self) -> Option<&Plan<'m>> {
        self.base.as_ref().map(|base| &base.plan)
    }

    /// What learns, in order.
    pub fn layers(&self) -> impl Iterator<Item = TrainedLayer<'_>> {
        let bytes = |range: &Range<usize>| size_of::<f32>() * range.len();
        self.steps.iter().enumerate().map(move |(k, step)| {
            let forward = step.op.get().multiply_adds(&step.shapes[..step.inputs]);
            // Gradients to weights and to the input each take as many as the forward pass.
            let passes = 1 + u64::from(step.frozen.is_none()) + u64::from(k > 0);
            TrainedLayer {
                names: self.model.layers()[step.layers.clone()].iter().map(|layer| layer.name()).collect(),
                output: step.output,
                offset: size_of::<f32>() * step.value.start,
                bytes: bytes(&step.value) + bytes(&step.kept),
                weight_bytes: step.weights.iter().map(bytes).sum(),
                optimizer_bytes: step.memory.iter().flatten().map(bytes).sum(),
                gradient_bytes: step.gradients.iter().map(bytes).sum::<usize>() + bytes(&step.d_output),
                scratch_bytes: bytes(&step.scratch).max(bytes(&step.backward_scratch)),
                multiply_adds: passes.saturating_mul(forward),
            }
        })
    }
}

/// How many buffers there are before those of the steps, and for each step.
const BEFORE: usize = 3;
const OF_STEP: usize = 8;

/// The table of [`layers`](TrainingPlan::layers), to be printed.
impl fmt::Display for TrainingPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(base) = &self.base {
            writeln!(f, "frozen:\n{}\ntrained:", base.plan)?;
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
        for layer in self.layers() {
            let (names, shape) = (layer.names.join(" + "), alloc::format!("{}", layer.output));
            writeln!(
                f,
                "{names:38} {shape:>16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>13}",
                layer.offset,
                layer.bytes,
                layer.weight_bytes,
                layer.optimizer_bytes,
                layer.gradient_bytes,
                layer.scratch_bytes,
                layer.multiply_adds
            )?;
        }
        let (bytes, multiply_adds) = (self.peak_bytes(), self.multiply_adds());
        let TrainingPlan { isa, batch, .. } = self;
        write!(f, "{isa}, steps of {batch}: arena of {bytes} bytes, {multiply_adds} multiply-adds a step")
    }
}
