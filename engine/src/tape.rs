use crate::buffer::Buffer;
use crate::heap;
use crate::loss::{fill_one_hot, is_class};
use crate::ops::{self, Backward, Differentiable, Forward, MAX_INPUTS, Op};
use crate::tensor::check_len;
use crate::{Conv2d, Error, MaxPool2d, Shape};
use alloc::vec::Vec;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::{Isa, elementwise};
use core::mem;

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
/// recording begins. The same step again then allocates nothing.
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
    extra: [Buffer; MAX_INPUTS],
    scratch: Buffer,
}

#[derive(Default)]
struct Buffers {
    value: Buffer,
    prepared: Buffer,
    kept: Vec<u8>,
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
        op: Op,
        inputs: [usize; MAX_INPUTS],
        count: usize,
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
        let Tape { mut memory, mut nodes } = self;
        memory.recording = recording_after(memory.recording);
        nodes.clear();
        // Collects an empty vector in place: the allocation is kept.
        Tape { memory, nodes: nodes.into_iter().map_while(|_| None).collect() }
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
        self.one_hot_of(Shape::new(&[labels.len(), classes])?, labels)
    }

    /// The same of any shape, of labels that are classes of its last dimension.
    pub(crate) fn one_hot_of(&mut self, shape: Shape, labels: &[f32]) -> Result<Var, Error> {
        let var = self.push(Node { shape, wants_gradient: false, source: Source::Owned })?;
        let value = &mut self.memory.buffers[var.index].value;
        value.resize(shape.elements())?;
        fill_one_hot(value, shape.elements() / labels.len(), labels);
        Ok(var)
    }

    /// Convolution of `[N, H, W, Cin]` with weights `[KH, KW, Cin, Cout]` and a bias of `[Cout]`.
    ///
    /// # Errors
    /// The shapes do not fit each other, or the kernel exceeds the padded input.
    pub fn conv2d(&mut self, x: Var, w: Var, bias: Option<Var>, how: Conv2d) -> Result<Var, Error> {
        self.record_with_bias(how, x, w, bias)
    }

    /// `[N, In]` times `[In, Out]`, plus a bias of `[Out]`.
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn dense(&mut self, x: Var, w: Var, bias: Option<Var>) -> Result<Var, Error> {
        self.record_with_bias(ops::Dense { activation: Activation::None }, x, w, bias)
    }

    /// As [`dense`](Tape::dense), with a ReLU in the same pass.
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn dense_relu(&mut self, x: Var, w: Var, bias: Option<Var>) -> Result<Var, Error> {
        self.record_with_bias(ops::Dense { activation: Activation::Relu }, x, w, bias)
    }

    /// The maximum of each window of `[N, H, W, C]`.
    ///
    /// # Errors
    /// `x` has not four dimensions, or the window does not fit it.
    pub fn max_pool2d(&mut self, x: Var, how: MaxPool2d) -> Result<Var, Error> {
        self.record(how, &[x])
    }

    /// `max(0, x)`; NaN stays NaN.
    ///
    /// # Errors
    /// A stale variable.
    pub fn relu(&mut self, x: Var) -> Result<Var, Error> {
        self.record(ops::Relu, &[x])
    }

    /// Softmax over the last dimension.
    ///
    /// # Errors
    /// A stale variable.
    pub fn softmax(&mut self, x: Var) -> Result<Var, Error> {
        self.record(ops::Softmax, &[x])
    }

    /// Zeroes elements with probability `rate` and scales the others by `1 / (1 - rate)`. The same
    /// seed zeroes the same elements.
    ///
    /// # Errors
    /// `rate` is not at least 0 and less than 1.
    pub fn dropout(&mut self, x: Var, rate: f32, seed: u64) -> Result<Var, Error> {
        self.record(ops::Dropout { rate, seed }, &[x])
    }

    /// The same numbers in another shape.
    ///
    /// # Errors
    /// The shape is of another number of elements.
    pub fn reshape(&mut self, x: Var, shape: Shape) -> Result<Var, Error> {
        self.record(ops::Reshape { shape }, &[x])
    }

    /// `[N, …]` to `[N, product of the rest]`.
    ///
    /// # Errors
    /// `x` is a single number.
    pub fn flatten(&mut self, x: Var) -> Result<Var, Error> {
        self.record(ops::Flatten, &[x])
    }

    /// The product of two matrices, each transposed first if `transpose` says so.
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn matmul(&mut self, a: Var, b: Var, transpose: [bool; 2]) -> Result<Var, Error> {
        self.record(ops::Matmul { transpose }, &[a, b])
    }

    /// The sum of two tensors of one shape.
    ///
    /// # Errors
    /// The shapes differ.
    pub fn add(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.record(ops::Add, &[a, b])
    }

    /// The product of two tensors of one shape, element by element.
    ///
    /// # Errors
    /// The shapes differ.
    pub fn mul(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.record(ops::Mul, &[a, b])
    }

    /// The sum of all elements.
    ///
    /// # Errors
    /// A stale variable.
    pub fn sum(&mut self, x: Var) -> Result<Var, Error> {
        self.record(ops::Sum, &[x])
    }

    /// Cross-entropy of the softmax of logits `[…, C]` over `C` with targets `[…, C]`, the mean over all
    /// else. For class labels make the targets with [`one_hot`](Tape::one_hot). Targets are data: no
    /// gradient flows into them.
    ///
    /// # Errors
    /// The shapes differ, there is one logit in a row, or a target lies outside 0 to 1, or is 0 for all.
    pub fn softmax_cross_entropy(&mut self, logits: Var, targets: Var) -> Result<Var, Error> {
        self.record(ops::SoftmaxCrossEntropy, &[logits, targets])
    }

    /// Cross-entropy of the sigmoid of logits with targets from 0 to 1, the mean over all elements.
    ///
    /// # Errors
    /// The shapes differ, or a target lies outside 0 to 1.
    pub fn binary_cross_entropy(&mut self, logits: Var, targets: Var) -> Result<Var, Error> {
        self.record(ops::BinaryCrossEntropy, &[logits, targets])
    }

    /// The mean over all elements of the squared difference.
    ///
    /// # Errors
    /// The shapes differ.
    pub fn mean_squared_error(&mut self, predictions: Var, targets: Var) -> Result<Var, Error> {
        self.record(ops::MeanSquaredError, &[predictions, targets])
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

    /// Walks the recording backwards from `loss`, a single number, to every parameter that it
    /// depends on.
    ///
    /// # Errors
    /// A stale variable, or one that is not a single number.
    pub fn backward(self, loss: Var) -> Result<Gradients, Error> {
        self.backward_times(1.0, loss)
    }

    /// The gradients of so many times the loss.
    pub(crate) fn backward_times(mut self, factor: f32, loss: Var) -> Result<Gradients, Error> {
        let last = self.index(loss)?;
        if self.nodes[last].shape.elements() != 1 {
            return Err(Error::shape("loss", Shape::SCALAR, self.nodes[last].shape));
        }
        for buffers in &mut self.memory.buffers {
            buffers.gradient_is = Is::Nothing;
        }
        let root = &mut self.memory.buffers[last];
        root.gradient.resize(1)?;
        root.gradient[0] = factor;
        root.gradient_is = Is::Written;
        for index in (0..=last).rev() {
            let node = &self.nodes[index];
            if !node.wants_gradient || self.memory.buffers[index].gradient_is == Is::Nothing {
                continue;
            }
            match node.source {
                Source::Computed { op, inputs, count } => {
                    self.step_back(index, op.get(), &inputs[..count])?;
                }
                _ => self.memory.buffers[index].gradient_is = Is::Final,
            }
        }
        Ok(Gradients { tape: self.reset_but_epoch() })
    }

    /// Passes the gradient of one node on to its inputs.
    fn step_back(&mut self, index: usize, op: &dyn Differentiable, inputs: &[usize]) -> Result<(), Error> {
        let (shapes, count) = self.shapes(inputs);
        let isa = self.memory.isa;
        let mut d_output = mem::take(&mut self.memory.buffers[index].gradient);
        let mut scratch = mem::take(&mut self.memory.scratch);
        let scratch_len =
            op.backward_scratch_len(isa, &shapes[..count], self.nodes[inputs[0]].wants_gradient)?;
        scratch.grow(scratch_len)?;

        // A gradient goes straight to its value's buffer, or, if there is one already, past it.
        let mut targets: [Buffer; MAX_INPUTS] = Default::default();
        let mut adds = [false; MAX_INPUTS];
        for (i, &input) in inputs.iter().enumerate() {
            if !self.nodes[input].wants_gradient {
                continue;
            }
            let buffers = &mut self.memory.buffers[input];
            adds[i] = buffers.gradient_is != Is::Nothing;
            targets[i] = mem::take(if adds[i] { &mut self.memory.extra[i] } else { &mut buffers.gradient });
            targets[i].resize(shapes[i].elements())?;
            buffers.gradient_is = Is::Written;
        }

        let result = {
            let mut data: [&[f32]; MAX_INPUTS] = [&[]; MAX_INPUTS];
            for (data, &input) in data.iter_mut().zip(inputs) {
                *data = self.data(input);
            }
            let mut d_inputs = targets.each_mut().map(|target| Some(&mut **target));
            for (i, d_input) in d_inputs.iter_mut().enumerate() {
                if i >= count || !self.nodes[inputs[i]].wants_gradient {
                    *d_input = None;
                }
            }
            op.backward(Backward {
                isa,
                shapes: &shapes[..count],
                inputs: &data[..count],
                output: &self.memory.buffers[index].value,
                kept: &self.memory.buffers[index].kept,
                d_output: &mut d_output,
                d_inputs,
                scratch: &mut scratch[..scratch_len],
            })
        };

        for (i, &input) in inputs.iter().enumerate() {
            if !self.nodes[input].wants_gradient {
                continue;
            }
            let target = mem::take(&mut targets[i]);
            if adds[i] {
                elementwise::add_assign(isa, &mut self.memory.buffers[input].gradient, &target)?;
                self.memory.extra[i] = target;
            } else {
                self.memory.buffers[input].gradient = target;
            }
        }
        self.memory.buffers[index].gradient = d_output;
        self.memory.scratch = scratch;
        result
    }

    pub(crate) fn record(&mut self, op: impl Into<Op>, inputs: &[Var]) -> Result<Var, Error> {
        let op: Op = op.into();
        let mut indices = [0; MAX_INPUTS];
        for (index, &var) in indices.iter_mut().zip(inputs) {
            *index = self.index(var)?;
        }
        let indices_used = &indices[..inputs.len()];
        let (shapes, count) = self.shapes(indices_used);
        let shapes = &shapes[..count];
        let operation = op.get();
        let shape = operation.output_shape(shapes)?;
        let isa = self.memory.isa;
        let (prepared_len, kept_len) = (operation.prepared_len(isa, shapes)?, operation.kept_len(shapes)?);
        let scratch_len = operation.forward_scratch_len(isa, shapes)?;
        let wants_gradient = indices_used.iter().any(|&input| self.nodes[input].wants_gradient);
        let var = self.push(Node {
            shape,
            wants_gradient,
            source: Source::Computed { op, inputs: indices, count },
        })?;

        let mut own = mem::take(&mut self.memory.buffers[var.index]);
        let mut scratch = mem::take(&mut self.memory.scratch);
        let room = own.value.resize(shape.elements()).and_then(|()| {
            own.prepared.resize(prepared_len)?;
            heap::resize(&mut own.kept, kept_len)?;
            scratch.grow(scratch_len)
        });
        let result = room.and_then(|()| {
            let mut data: [&[f32]; MAX_INPUTS] = [&[]; MAX_INPUTS];
            for (data, &input) in data.iter_mut().zip(&indices[..count]) {
                *data = self.data(input);
            }
            let inputs = &data[..count];
            operation.prepare(isa, shapes, inputs, &mut own.prepared).and_then(|()| {
                let run = Forward {
                    isa,
                    shapes,
                    inputs,
                    prepared: &own.prepared,
                    prepared_for: shapes,
                    in_place: false,
                    output: &mut own.value,
                    scratch: &mut scratch[..scratch_len],
                };
                operation.forward_keeping(run, &mut own.kept)
            })
        });
        self.memory.buffers[var.index] = own;
        self.memory.scratch = scratch;
        if result.is_err() {
            self.nodes.pop();
        }
        result.map(|()| var)
    }

    fn record_with_bias(
        &mut self,
        op: impl Into<Op>,
        x: Var,
        w: Var,
        bias: Option<Var>,
    ) -> Result<Var, Error> {
        match bias {
            Some(bias) => self.record(op, &[x, w, bias]),
            None => self.record(op, &[x, w]),
        }
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

    fn shapes(&self, inputs: &[usize]) -> ([Shape; MAX_INPUTS], usize) {
        let mut shapes = [Shape::SCALAR; MAX_INPUTS];
        for (shape, &input) in shapes.iter_mut().zip(inputs) {
            *shape = self.nodes[input].shape;
        }
        (shapes, inputs.len())
    }

    fn reset_but_epoch(self) -> Tape<'static> {
        let recording = self.memory.recording;
        let mut tape = self.reset();
        tape.memory.recording = recording;
        tape
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

/// What a backward pass leaves: gradients and values. It borrows nothing, so that the parameters
/// may be changed.
pub struct Gradients {
    /// Without nodes, and still of the same recording.
    tape: Tape<'static>,
}

impl Gradients {
    /// The gradient of a parameter.
    ///
    /// # Errors
    /// A stale variable, or one that has no gradient.
    pub fn get(&self, parameter: Var) -> Result<&[f32], Error> {
        let buffers = self.buffers(parameter)?;
        if buffers.gradient_is == Is::Final { Ok(&buffers.gradient) } else { Err(Error::NoGradient) }
    }

    /// Adds the gradients of another recording of the same net.
    pub(crate) fn add(&mut self, ours: &[Var], other: &Gradients, theirs: &[Var]) -> Result<(), Error> {
        for (&var, &of_other) in ours.iter().zip(theirs) {
            // A frozen parameter has none.
            if self.buffers(var)?.gradient_is == Is::Final {
                let Memory { isa, buffers, .. } = &mut self.tape.memory;
                elementwise::add_assign(*isa, &mut buffers[var.index].gradient, other.get(of_other)?)?;
            }
        }
        Ok(())
    }

    /// The numbers of a computed variable.
    ///
    /// # Errors
    /// A stale variable, or one whose numbers the tape had only borrowed.
    pub fn value(&self, var: Var) -> Result<&[f32], Error> {
        let value = &self.buffers(var)?.value;
        if value.is_empty() { Err(Error::NoValue) } else { Ok(value) }
    }

    /// Of no recording.
    pub(crate) fn none(isa: Isa) -> Gradients {
        Gradients { tape: Tape::new(isa) }
    }

    /// Leaves none behind.
    pub(crate) fn take(&mut self) -> Gradients {
        let none = Gradients::none(self.tape.memory.isa);
        mem::replace(self, none)
    }

    /// A new recording in the same memory.
    pub fn into_tape<'a>(self) -> Tape<'a> {
        self.tape.reset()
    }

    fn buffers(&self, var: Var) -> Result<&Buffers, Error> {
        let current = var.recording == self.tape.memory.recording;
        self.tape.memory.buffers.get(var.index).filter(|_| current).ok_or(Error::StaleVar)
    }
}
