//! A recording of operations that can be differentiated, for what is not a graph.

mod backward;
mod check;
mod gradients;
mod model;
mod operations;

pub use gradients::Gradients;
pub use model::Mode;
pub use operations::Operation;

use crate::error::Error;
use crate::layers::{
    Conv2d, Dense, Differentiable, Dropout, Flatten, Forward, MAX_INPUTS, MAX_WEIGHTS, MaxPool2d, Relu,
    Signature, Site, Softmax, TrainingStep,
};
use crate::loss::{Loss, fill_one_hot, is_class};
use crate::memory::buffer::Buffer;
use crate::memory::heap::{self, boxed};
use crate::parallel::Threads;
use crate::shape::Shape;
use crate::tensor::check_len;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use bantam_kernels::conv2d::Activation;
use core::mem;
use operations::{LossOf, Matmul, Sum, reshape};

/// A value on a tape. It means something to the recording that made it, and to no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var {
    index: usize,
    recording: usize,
}

/// A recording of operations that can be walked backwards for the gradient of its last result.
///
/// A tape borrows what it reads, weights and inputs, and owns what it computes, in memory that it
/// hands on: after [`backward`](Tape::backward) that is [`Gradients`], from which the next
/// recording begins: the same step again finds room for all of its values and gradients.
///
/// ```
/// use bantam::{Isa, Shape, Tape};
/// let x = [1.0, 2.0, 3.0];
/// let w = [0.5, -1.0, 2.0];
/// let shape = Shape::new(&[3])?;
/// let mut tape = Tape::new(Isa::detect());
/// let a = tape.input(shape, &x)?;
/// let b = tape.parameter(shape, &w)?;
/// let product = tape.mul(a, b)?;
/// let loss = tape.sum(product)?;
/// let gradients = tape.backward(loss)?;
/// assert_eq!(gradients.value(loss)?, [4.5]);
/// assert_eq!(gradients.get(b)?, x);
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct Tape<'a> {
    memory: Memory,
    nodes: Vec<Node<'a>>,
}

/// What outlives a recording.
struct Memory {
    isa: Isa,
    recording: usize,
    /// One for each node; those of longer recordings before are kept.
    buffers: Vec<Buffers>,
    /// Gradients on their way to a value that has one already.
    extra: [Buffer; 1 + MAX_WEIGHTS],
    scratch: Buffer,
}

#[derive(Default)]
struct Buffers {
    value: Buffer,
    prepared: Buffer,
    statistics: Buffer,
    kept: Buffer,
    gradient: Buffer,
    gradient_is: Is,
}

/// What a node's gradient buffer holds.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Is {
    #[default]
    Nothing,
    Written,
    /// The gradient of a parameter, complete.
    Final,
}

struct Node<'a> {
    shape: Shape,
    wants_gradient: bool,
    source: Source<'a>,
}

enum Source<'a> {
    Borrowed(&'a [f32]),
    /// Filled in when it was recorded.
    Owned,
    Computed {
        step: Box<dyn TrainingStep>,
        /// Of the inputs, then of the weights.
        reads: Vec<usize>,
        inputs: usize,
    },
}

impl<'a> Tape<'a> {
    /// An empty tape without memory.
    pub fn new(isa: Isa) -> Tape<'a> {
        let memory = Memory {
            isa,
            recording: recording_after(0),
            buffers: Vec::new(),
            extra: Default::default(),
            scratch: Buffer::default(),
        };
        Tape { memory, nodes: Vec::new() }
    }

    /// Ends the recording: all variables become stale, and the memory is that of a new tape, which
    /// may borrow other things.
    pub fn reset<'b>(self) -> Tape<'b> {
        let Tape { mut memory, .. } = self;
        memory.recording = recording_after(memory.recording);
        Tape { memory, nodes: Vec::new() }
    }

    /// The instruction set that everything is computed with.
    pub fn isa(&self) -> Isa {
        self.memory.isa
    }

    /// Something that is read and has no gradient.
    ///
    /// # Errors
    /// `data` has another number of elements than `shape`.
    pub fn input(&mut self, shape: Shape, data: &'a [f32]) -> Result<Var, Error> {
        check_len("input", data, shape)?;
        self.push(Node { shape, wants_gradient: false, source: Source::Borrowed(data) })
    }

    /// Something that is read and has a gradient.
    ///
    /// # Errors
    /// `data` has another number of elements than `shape`.
    pub fn parameter(&mut self, shape: Shape, data: &'a [f32]) -> Result<Var, Error> {
        check_len("parameter", data, shape)?;
        self.push(Node { shape, wants_gradient: true, source: Source::Borrowed(data) })
    }

    /// Rows `[N, classes]` that are 1 at the label and 0 elsewhere. Labels are whole numbers.
    ///
    /// # Errors
    /// A label is not a class, or there are none.
    pub fn one_hot(&mut self, labels: &[f32], classes: usize) -> Result<Var, Error> {
        if let Some(sample) = labels.iter().position(|&label| !is_class(label, classes)) {
            return Err(Error::Label { sample, label: labels[sample], classes });
        }
        let shape = Shape::new(&[labels.len(), classes])?;
        let var = self.push(Node { shape, wants_gradient: false, source: Source::Owned })?;
        let value = &mut self.memory.buffers[var.index].value;
        value.resize(shape.elements())?;
        fill_one_hot(value, classes, labels);
        Ok(var)
    }

    /// Convolution of `[N, H, W, Cin]` with weights `[KH, KW, Cin / groups, Cout]`, which tell filters and kernel, and a
    /// bias of `[Cout]`.
    ///
    /// # Errors
    /// The shapes do not fit each other, or the kernel exceeds the padded input.
    pub fn conv2d(&mut self, x: Var, w: Var, bias: Option<Var>, how: Conv2d) -> Result<Var, Error> {
        let [kh, kw, _, filters] = self.shape(w)?.array("weights")?;
        let how = Conv2d { bias: bias.is_some(), ..how.filters(filters).kernel([kh, kw]) };
        self.layer_with_bias(how, how.activation, x, w, bias)
    }

    /// `[N, In]` times `[In, Out]`, plus a bias of `[Out]`.
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn dense(&mut self, x: Var, w: Var, bias: Option<Var>) -> Result<Var, Error> {
        self.dense_with(Activation::None, x, w, bias)
    }

    /// As [`dense`](Tape::dense), with a ReLU in the same pass.
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn dense_relu(&mut self, x: Var, w: Var, bias: Option<Var>) -> Result<Var, Error> {
        self.dense_with(Activation::Relu, x, w, bias)
    }

    fn dense_with(
        &mut self,
        activation: Activation,
        x: Var,
        w: Var,
        bias: Option<Var>,
    ) -> Result<Var, Error> {
        let [_, units] = self.shape(w)?.array("weights")?;
        let dense = if bias.is_some() { Dense::new(units) } else { Dense::new(units).no_bias() };
        self.layer_with_bias(dense, activation, x, w, bias)
    }

    fn layer_with_bias<L: Differentiable>(
        &mut self,
        layer: L,
        activation: Activation,
        x: Var,
        w: Var,
        bias: Option<Var>,
    ) -> Result<Var, Error> {
        match bias {
            Some(bias) => self.layer_with(layer, activation, &[x], &[w, bias], 0),
            None => self.layer_with(layer, activation, &[x], &[w], 0),
        }
    }

    /// The maximum of each window of `[N, H, W, C]`.
    ///
    /// # Errors
    /// `x` has not four dimensions, or the window does not fit it.
    pub fn max_pool2d(&mut self, x: Var, how: MaxPool2d) -> Result<Var, Error> {
        self.layer(how, &[x], &[])
    }

    /// `max(0, x)`; NaN stays NaN.
    ///
    /// # Errors
    /// A stale variable.
    pub fn relu(&mut self, x: Var) -> Result<Var, Error> {
        self.layer(Relu, &[x], &[])
    }

    /// Softmax over the last dimension.
    ///
    /// # Errors
    /// A stale variable.
    pub fn softmax(&mut self, x: Var) -> Result<Var, Error> {
        self.layer(Softmax, &[x], &[])
    }

    /// Zeroes elements with probability `rate` and scales the others by `1 / (1 - rate)`. The same
    /// seed zeroes the same elements.
    ///
    /// # Errors
    /// `rate` is not at least 0 and less than 1.
    pub fn dropout(&mut self, x: Var, rate: f32, seed: u64) -> Result<Var, Error> {
        self.layer_with(Dropout::new(rate), Activation::None, &[x], &[], seed)
    }

    /// `[N, …]` to `[N, product of the rest]`.
    ///
    /// # Errors
    /// `x` is a single number.
    pub fn flatten(&mut self, x: Var) -> Result<Var, Error> {
        self.layer(Flatten, &[x], &[])
    }

    /// Any layer, on batches `[N, …]` and its weights.
    ///
    /// # Errors
    /// The shapes do not fit, or there are more inputs or weights than a layer has.
    pub fn layer<L: Differentiable>(
        &mut self,
        layer: L,
        inputs: &[Var],
        weights: &[Var],
    ) -> Result<Var, Error> {
        let activation = layer.activation();
        self.layer_with(layer, activation, inputs, weights, 0)
    }

    fn layer_with<L: Differentiable>(
        &mut self,
        layer: L,
        activation: Activation,
        inputs: &[Var],
        weights: &[Var],
        seed: u64,
    ) -> Result<Var, Error> {
        let (batches, count) = self.shapes_of("inputs of a layer", inputs)?;
        let (given, given_count) = self.shapes_of("weights of a layer", weights)?;
        let mut samples = [Shape::SCALAR; MAX_INPUTS];
        let mut batch = None;
        for (sample, shape) in samples.iter_mut().zip(&batches[..count]) {
            let (n, of_one) = shape.split_batch().ok_or_else(|| Error::rank("input", 2, *shape))?;
            if *batch.get_or_insert(n) != n {
                return Err(Error::shape("batch", of_one.with_batch(batch.unwrap_or(n))?, *shape));
            }
            *sample = of_one;
        }
        let Signature { output, weights: specs } = layer.signature(&samples[..count])?;
        let output = output?;
        if specs.len() != given_count {
            let (what, expected) = ("weights of a layer", specs.len());
            return Err(bantam_kernels::Error::Length { what, expected, got: given_count }.into());
        }
        for (i, (spec, &shape)) in specs.iter().zip(&given).enumerate() {
            spec.shape.require(if i == 0 { "weights" } else { spec.name }, shape)?;
        }
        let site = Site {
            isa: self.isa(),
            threads: Threads::of_the_pool(),
            direct_only: false,
            model_weights: 0,
            learns: false,
            activation,
            inputs: &batches[..count],
            weights: &given[..given_count],
        };
        let step = boxed(layer.lower_for_training(&site)?)?;
        self.record(step, output.with_batch(batch.unwrap_or(1))?, inputs, weights, seed)
    }

    /// The same numbers in another shape.
    ///
    /// # Errors
    /// The shape is of another number of elements.
    pub fn reshape(&mut self, x: Var, shape: Shape) -> Result<Var, Error> {
        let step = reshape(self.shape(x)?, shape)?;
        self.record(boxed(step)?, shape, &[x], &[], 0)
    }

    /// The product of two matrices, each transposed first if `transpose` says so.
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn matmul(&mut self, a: Var, b: Var, transpose: [bool; 2]) -> Result<Var, Error> {
        let (shape, step) = Matmul::new([self.shape(a)?, self.shape(b)?], transpose)?;
        self.record(boxed(step)?, shape, &[a, b], &[], 0)
    }

    /// The sum of all elements.
    ///
    /// # Errors
    /// A stale variable.
    pub fn sum(&mut self, x: Var) -> Result<Var, Error> {
        let step = boxed(Sum { isa: self.isa() })?;
        self.record(step, Shape::SCALAR, &[x], &[], 0)
    }

    /// A loss of outputs `[N, …]`, as [`Trainer`](crate::Trainer) has it: the mean over samples, and pixels. Targets have
    /// the outputs' shape, or are labels, `[N]` or `[N, 1]`, or one for each pixel. What follows from a model's last layer
    /// does not here: outputs are logits, unless the loss is [`of_probabilities`](Loss::of_probabilities). Targets are
    /// data: no gradient flows into them.
    ///
    /// ```
    /// use bantam::{Isa, Loss, Shape, Tape};
    /// let mut tape = Tape::new(Isa::detect());
    /// let x = tape.parameter(Shape::new(&[2, 3])?, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])?;
    /// let labels = tape.input(Shape::new(&[2])?, &[2.0, 0.0])?;
    /// let loss = tape.loss(Loss::categorical_focal(0.25, 2.0), x, labels)?;
    /// assert!(tape.backward(loss)?.get(x)?[2] < 0.0);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not fit each other, or a target is not valid for the loss.
    pub fn loss(&mut self, loss: Loss, outputs: Var, targets: Var) -> Result<Var, Error> {
        let step = LossOf::new(loss, self.shape(outputs)?, self.shape(targets)?, None)?;
        self.record(boxed(step)?, Shape::SCALAR, &[outputs, targets], &[], 0)
    }

    /// As [`loss`](Tape::loss), each sample's times its weight, `[N]`: their sum by the number of samples.
    ///
    /// # Errors
    /// As [`loss`](Tape::loss), or a weight is below 0 or not finite.
    pub fn loss_weighted(
        &mut self,
        loss: Loss,
        outputs: Var,
        targets: Var,
        weights: Var,
    ) -> Result<Var, Error> {
        let shape = Some(self.shape(weights)?);
        let step = LossOf::new(loss, self.shape(outputs)?, self.shape(targets)?, shape)?;
        self.record(boxed(step)?, Shape::SCALAR, &[outputs, targets, weights], &[], 0)
    }

    /// [`Loss::SoftmaxCrossEntropy`] of logits `[…, C]` with targets `[…, C]`, or with labels.
    ///
    /// # Errors
    /// As [`loss`](Tape::loss).
    pub fn softmax_cross_entropy(&mut self, logits: Var, targets: Var) -> Result<Var, Error> {
        self.loss(Loss::SoftmaxCrossEntropy, logits, targets)
    }

    /// [`Loss::BinaryCrossEntropy`] of logits with targets from 0 to 1.
    ///
    /// # Errors
    /// As [`loss`](Tape::loss).
    pub fn binary_cross_entropy(&mut self, logits: Var, targets: Var) -> Result<Var, Error> {
        self.loss(Loss::BinaryCrossEntropy, logits, targets)
    }

    /// [`Loss::MeanSquaredError`].
    ///
    /// # Errors
    /// As [`loss`](Tape::loss).
    pub fn mean_squared_error(&mut self, predictions: Var, targets: Var) -> Result<Var, Error> {
        self.loss(Loss::MeanSquaredError, predictions, targets)
    }

    /// The shape of a variable.
    ///
    /// # Errors
    /// A stale variable.
    pub fn shape(&self, var: Var) -> Result<Shape, Error> {
        Ok(self.nodes[self.index(var)?].shape)
    }

    /// The numbers of a variable.
    ///
    /// # Errors
    /// A stale variable.
    pub fn value(&self, var: Var) -> Result<&[f32], Error> {
        Ok(self.data(self.index(var)?))
    }

    /// Runs a step on variables and weights, and records it.
    fn record(
        &mut self,
        step: Box<dyn TrainingStep>,
        shape: Shape,
        inputs: &[Var],
        weights: &[Var],
        seed: u64,
    ) -> Result<Var, Error> {
        let mut reads = heap::list(inputs.len() + weights.len())?;
        for &var in inputs.iter().chain(weights) {
            reads.push(self.index(var)?);
        }
        let wants_gradient = reads.iter().any(|&read| self.nodes[read].wants_gradient);
        // Its own buffers are taken while it is computed, and there are others where it is not recorded.
        let own = self.nodes.len();
        if self.memory.buffers.len() == own {
            heap::push(&mut self.memory.buffers, Buffers::default())?;
        }
        let mut buffers = mem::take(&mut self.memory.buffers[own]);
        let mut scratch = mem::take(&mut self.memory.scratch);
        let result =
            self.compute(&*step, shape, reads.split_at(inputs.len()), seed, &mut buffers, &mut scratch);
        self.memory.buffers[own] = buffers;
        self.memory.scratch = scratch;
        result?;
        self.push(Node {
            shape,
            wants_gradient,
            source: Source::Computed { step, reads, inputs: inputs.len() },
        })
    }

    fn compute(
        &self,
        step: &dyn TrainingStep,
        shape: Shape,
        (inputs, weights): (&[usize], &[usize]),
        seed: u64,
        own: &mut Buffers,
        scratch: &mut Buffer,
    ) -> Result<(), Error> {
        let scratch_len = step.scratch_len();
        own.value.resize(shape.elements())?;
        own.prepared.resize(step.prepared_len())?;
        let saved_len = step.saved_len();
        own.kept.resize(saved_len.div_ceil(size_of::<f32>()))?;
        scratch.grow(scratch_len)?;
        let mut data: [&[f32]; MAX_INPUTS] = [&[]; MAX_INPUTS];
        let mut weight_data: [&[f32]; MAX_WEIGHTS] = [&[]; MAX_WEIGHTS];
        for (data, &read) in data.iter_mut().zip(inputs).chain(weight_data.iter_mut().zip(weights)) {
            *data = self.data(read);
        }
        let weights = &weight_data[..weights.len()];
        step.prepare(weights, &mut own.prepared)?;
        if let Some(of_batch) = step.batch_statistics() {
            of_batch.check_batch()?;
            own.statistics.resize(of_batch.statistics_len() + of_batch.means_len())?;
            of_batch.gather(&data[..inputs.len()], &mut own.statistics[..of_batch.statistics_len()])?;
        }
        let samples = inputs.first().and_then(|&input| self.nodes[input].shape.split_batch());
        let run = Forward {
            samples: samples.map_or(1, |(samples, _)| samples),
            inputs: &data[..inputs.len()],
            weights,
            prepared: &own.prepared,
            overwritten: None,
            output: &mut own.value,
            scratch: &mut scratch[..scratch_len],
            seed,
            statistics: &own.statistics,
        };
        step.forward_saving(run, &mut bytemuck::cast_slice_mut(&mut own.kept)[..saved_len])
    }

    fn push(&mut self, node: Node<'a>) -> Result<Var, Error> {
        let index = self.nodes.len();
        self.nodes.push(node);
        if self.memory.buffers.len() == index {
            self.memory.buffers.push(Buffers::default());
        }
        // What an earlier recording had here is no value of this one.
        if let Source::Borrowed(_) = self.nodes[index].source {
            self.memory.buffers[index].value.resize(0)?;
        }
        Ok(Var { index, recording: self.memory.recording })
    }

    fn index(&self, var: Var) -> Result<usize, Error> {
        if var.recording == self.memory.recording && var.index < self.nodes.len() {
            Ok(var.index)
        } else {
            Err(Error::StaleVar)
        }
    }

    fn data(&self, index: usize) -> &[f32] {
        match self.nodes[index].source {
            Source::Borrowed(data) => data,
            _ => &self.memory.buffers[index].value,
        }
    }

    /// The shapes of a few variables.
    fn shapes_of(&self, what: &'static str, vars: &[Var]) -> Result<([Shape; MAX_INPUTS], usize), Error> {
        let mut shapes = [Shape::SCALAR; MAX_INPUTS];
        if vars.len() > MAX_INPUTS {
            return Err(Error::TooMany { what, max: MAX_INPUTS, got: vars.len() });
        }
        for (shape, &var) in shapes.iter_mut().zip(vars) {
            *shape = self.shape(var)?;
        }
        Ok((shapes, vars.len()))
    }
}

/// A number that no other recording has; where the CPU cannot count for all tapes at once, none of the same
/// tape.
fn recording_after(last: usize) -> usize {
    #[cfg(target_has_atomic = "ptr")]
    {
        use core::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let _ = last;
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
    #[cfg(not(target_has_atomic = "ptr"))]
    last.wrapping_add(1)
}
