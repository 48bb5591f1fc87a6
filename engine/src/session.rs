use crate::buffer::Buffer;
use crate::model::Mode;
use crate::ops::{Forward, MAX_INPUTS, Op};
use crate::parallel::threads;
use crate::tensor::check_len;
use crate::{Error, Model, Shape};
use alloc::vec::Vec;
use bantam_kernels::Isa;

/// A model made ready to run: weights packed for the instruction set, memory for up to so many
/// samples at a time.
///
/// ```
/// use bantam::{Isa, Sequential, Session};
/// let model = Sequential::new([4]).dense(3).softmax().build(1)?;
/// let mut session = Session::new(&model, 1, Isa::detect())?;
/// let probabilities = session.run(&[1.0, 2.0, 3.0, 4.0])?;
/// assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct Session<'m> {
    model: &'m Model<'m>,
    isa: Isa,
    batch: usize,
    steps: Vec<PreparedStep<'m>>,
    /// The first step reads the input; each writes one of these, and the next reads it.
    values: [Buffer; 2],
    scratch: Buffer,
    /// How many threads the scratch is for.
    threads: usize,
}

struct PreparedStep<'m> {
    op: Op,
    /// Of the input for a full batch, then of the weights.
    shapes: [Shape; MAX_INPUTS],
    weights: [&'m [f32]; MAX_INPUTS],
    inputs: usize,
    prepared: Buffer,
    output: Shape,
}

impl<'m> Session<'m> {
    /// For up to `batch` samples at a time.
    ///
    /// # Errors
    /// `batch` is zero, or more than memory can hold.
    pub fn new(model: &'m Model<'m>, batch: usize, isa: Isa) -> Result<Session<'m>, Error> {
        let mut shape = model.input_shape().with_batch(batch)?;
        let (mut largest, mut scratch_len) = (shape.elements(), 0);
        let mut steps = Vec::new();
        let mut at = 0;
        while at < model.layers().len() {
            let step = model.step(at, model.layers().len(), shape, Mode::Inference)?;
            at = step.next;
            let Some(op) = step.op else { continue };
            let parameters = &model.layers()[step.layer].parameters;
            let mut shapes = [shape; MAX_INPUTS];
            let mut weights: [&[f32]; MAX_INPUTS] = [&[]; MAX_INPUTS];
            for (i, parameter) in parameters.iter().enumerate() {
                shapes[i + 1] = parameter.shape;
                weights[i + 1] = &parameter.values;
            }
            let inputs = 1 + parameters.len();
            let operation = op.get();
            let mut prepared = Buffer::new(operation.prepared_len(isa, &shapes[..inputs])?);
            operation.prepare(isa, &shapes[..inputs], &weights[..inputs], &mut prepared)?;
            scratch_len = scratch_len.max(operation.forward_scratch_len(isa, &shapes[..inputs])?);
            shape = operation.output_shape(&shapes[..inputs])?;
            largest = largest.max(shape.elements());
            steps.push(PreparedStep { op, shapes, weights, inputs, prepared, output: shape });
        }
        Ok(Session {
            model,
            isa,
            batch,
            steps,
            values: [largest, largest].map(Buffer::new),
            scratch: Buffer::new(scratch_len),
            threads: threads(),
        })
    }

    /// Runs the model on samples that follow each other, `[N, …]` with `N` up to the batch, and
    /// gives their outputs. Allocates nothing, unless there are more threads than before.
    ///
    /// # Errors
    /// `input` is not a whole number of samples, or more than the batch.
    pub fn run(&mut self, input: &[f32]) -> Result<&[f32], Error> {
        let sample = self.model.input_shape();
        let n = (input.len() / sample.elements()).clamp(1, self.batch);
        check_len("samples", input, sample.with_batch(n)?)?;
        let output_len = self.model.output_shape().with_batch(n)?.elements();
        if self.threads != threads() {
            for step in &self.steps {
                let len = step.op.get().forward_scratch_len(self.isa, &step.shapes[..step.inputs])?;
                self.scratch.grow(len);
            }
            self.threads = threads();
        }
        let [even, odd] = &mut self.values;
        for (index, step) in self.steps.iter().enumerate() {
            let (from, to) = if index % 2 == 0 { (&mut *odd, &mut *even) } else { (&mut *even, &mut *odd) };
            let from = if index == 0 { input } else { &*from };
            let mut shapes = step.shapes;
            shapes[0] = with_batch(shapes[0], n)?;
            let op = match step.op {
                // A reshape knows the whole shape that it makes.
                Op::Reshape(mut reshape) => {
                    reshape.shape = with_batch(reshape.shape, n)?;
                    Op::Reshape(reshape)
                }
                op => op,
            };
            let mut inputs = step.weights;
            inputs[0] = &from[..shapes[0].elements()];
            op.get().forward(Forward {
                isa: self.isa,
                shapes: &shapes[..step.inputs],
                inputs: &inputs[..step.inputs],
                prepared: &step.prepared,
                prepared_for: &step.shapes[..step.inputs],
                output: &mut to[..with_batch(step.output, n)?.elements()],
                kept: None,
                scratch: &mut self.scratch,
            })?;
        }
        if self.steps.is_empty() {
            odd[..input.len()].copy_from_slice(input);
        }
        let last = if self.steps.len().is_multiple_of(2) { odd } else { even };
        Ok(&last[..output_len])
    }
}

fn with_batch(shape: Shape, batch: usize) -> Result<Shape, Error> {
    match shape.split_batch() {
        Some((_, sample)) => sample.with_batch(batch),
        None => Ok(shape),
    }
}
