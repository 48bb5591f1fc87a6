use crate::buffer::Buffer;
use crate::ops::{Forward, ForwardInPlace, LayerOp};
use crate::parallel::threads;
use crate::plan::End;
use crate::tensor::check_len;
use crate::{Error, Model, Plan, Shape};
use bantam_kernels::Isa;

/// A model made ready to run by its [`Plan`]: weights prepared for the instruction set, memory for up
/// to so many samples at a time.
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
    plan: Plan<'m>,
    arena: Arena<'m>,
}

enum Arena<'a> {
    Own(Buffer),
    Lent(&'a mut [f32]),
}

impl<'m> Session<'m> {
    /// For up to `batch` samples at a time, in memory of its own.
    ///
    /// # Errors
    /// `batch` is zero, or more than memory can hold.
    pub fn new(model: &'m Model<'m>, batch: usize, isa: Isa) -> Result<Session<'m>, Error> {
        let plan = Plan::new(model, batch, isa)?;
        let arena = Arena::Own(Buffer::new(plan.arena_len()));
        Session { plan, arena }.prepared()
    }

    /// As [`new`](Session::new), in the caller's memory, of which it uses
    /// [`Plan::arena_len`] numbers. It is faster where that begins on a cache line.
    ///
    /// ```
    /// use bantam::{Isa, Sequential, Session};
    /// static MODEL: &[u8] = &[]; // include_bytes, in flash
    /// let model = Sequential::new([4]).dense(3).build(1)?; // or Model::from_bytes(MODEL)
    /// let mut arena = [0.0; 16];
    /// let mut session = Session::with_arena(&model, 1, Isa::SCALAR, &mut arena)?;
    /// assert_eq!(session.run(&[0.0; 4])?, [0.0; 3]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Session::new), or the arena is too small: the error tells how many bytes are missing.
    pub fn with_arena(
        model: &'m Model<'m>,
        batch: usize,
        isa: Isa,
        arena: &'m mut [f32],
    ) -> Result<Session<'m>, Error> {
        let plan = Plan::new(model, batch, isa)?;
        check_arena(arena, &plan)?;
        Session { plan, arena: Arena::Lent(arena) }.prepared()
    }

    /// As [`with_arena`](Session::with_arena), in bytes.
    ///
    /// # Errors
    /// As [`with_arena`](Session::with_arena), or the bytes do not begin at a multiple of four.
    pub fn with_bytes(
        model: &'m Model<'m>,
        batch: usize,
        isa: Isa,
        arena: &'m mut [u8],
    ) -> Result<Session<'m>, Error> {
        let whole = arena.len() / size_of::<f32>() * size_of::<f32>();
        let arena = bytemuck::try_cast_slice_mut(&mut arena[..whole]);
        let arena = arena.map_err(|_| Error::MisalignedArena { expected: align_of::<f32>() })?;
        Session::with_arena(model, batch, isa, arena)
    }

    fn prepared(mut self) -> Result<Session<'m>, Error> {
        let isa = self.plan.isa;
        let arena = self.arena.numbers();
        for step in &self.plan.steps {
            let (shapes, weights) = (&step.shapes[..step.inputs], &step.weights[..step.inputs]);
            step.op.get().prepare(isa, shapes, weights, &mut arena[step.prepared.clone()])?;
        }
        Ok(self)
    }

    /// Where everything lies.
    pub fn plan(&self) -> &Plan<'m> {
        &self.plan
    }

    /// Runs the model on samples that follow each other, `[N, …]` with `N` up to the batch, and
    /// gives their outputs. Allocates nothing, unless there are other threads than before.
    ///
    /// # Errors
    /// `input` is not a whole number of samples, or more than the batch; or there are more threads than
    /// before, and the caller's arena is too small for them.
    pub fn run(&mut self, input: &[f32]) -> Result<&[f32], Error> {
        if self.plan.threads != threads() {
            self.plan_again()?;
        }
        let Plan { model, isa, batch, ref steps, .. } = self.plan;
        let sample = model.input_shape();
        let n = (input.len() / sample.elements()).clamp(1, batch);
        check_len("samples", input, sample.with_batch(n)?)?;
        let used = self.plan.prepared_len()..self.plan.arena_len();
        let (prepared, values) = self.arena.numbers()[..used.end].split_at_mut(used.start);

        let mut before: Option<(End, usize)> = None;
        for step in steps {
            let mut shapes = step.shapes;
            shapes[0] = with_batch(shapes[0], n)?;
            let op = match step.op {
                // A reshape knows the whole shape that it makes.
                LayerOp::Reshape(mut reshape) => {
                    reshape.shape = with_batch(reshape.shape, n)?;
                    LayerOp::Reshape(reshape)
                }
                op => op,
            };
            let (input_len, output_len) = (shapes[0].elements(), with_batch(step.output, n)?.elements());
            let prepared = &prepared[step.prepared.clone()];
            let (shapes, prepared_for) = (&shapes[..step.inputs], &step.shapes[..step.inputs]);
            if step.in_place {
                let [data, scratch, _] = parts(values, step.end, step.reserved, 0);
                op.get().forward_in_place(ForwardInPlace {
                    isa,
                    shapes,
                    data: &mut data[..input_len.max(output_len)],
                    weights: &step.weights[..step.inputs],
                    prepared,
                    prepared_for,
                    scratch: &mut scratch[..step.scratch],
                })?;
            } else {
                let reserved_before = before.map_or(0, |(_, reserved)| reserved);
                let [output, scratch, from] = parts(values, step.end, step.reserved, reserved_before);
                let mut inputs = step.weights;
                inputs[0] = if before.is_some() { &from[..input_len] } else { input };
                op.get().forward(Forward {
                    isa,
                    shapes,
                    inputs: &inputs[..step.inputs],
                    prepared,
                    prepared_for,
                    output: &mut output[..output_len],
                    kept: None,
                    scratch: &mut scratch[..step.scratch],
                })?;
            }
            before = Some((step.end, step.reserved));
        }
        let output_len = model.output_shape().with_batch(n)?.elements();
        let Some((end, reserved)) = before else {
            values[..input.len()].copy_from_slice(input);
            return Ok(&values[..output_len]);
        };
        let [output, ..] = parts(values, end, reserved, 0);
        Ok(&output[..output_len])
    }

    /// For other threads than before. Prepared weights stay as they are and where they are.
    fn plan_again(&mut self) -> Result<(), Error> {
        let plan = Plan::new(self.plan.model, self.plan.batch, self.plan.isa)?;
        match &mut self.arena {
            Arena::Own(buffer) => buffer.grow(plan.arena_len()),
            Arena::Lent(arena) => check_arena(arena, &plan)?,
        }
        self.plan = plan;
        Ok(())
    }
}

impl Arena<'_> {
    fn numbers(&mut self) -> &mut [f32] {
        match self {
            Arena::Own(buffer) => buffer,
            Arena::Lent(arena) => arena,
        }
    }
}

fn check_arena(arena: &[f32], plan: &Plan<'_>) -> Result<(), Error> {
    let (expected, got) = (plan.peak_bytes(), size_of_val(arena));
    if got < expected { Err(Error::ArenaTooSmall { expected, got }) } else { Ok(()) }
}

/// So many numbers at that end, what is between, and so many at the other end.
fn parts(values: &mut [f32], end: End, here: usize, there: usize) -> [&mut [f32]; 3] {
    let len = values.len();
    match end {
        End::Front => {
            let (front, rest) = values.split_at_mut(here);
            let (middle, back) = rest.split_at_mut(len - here - there);
            [front, middle, back]
        }
        End::Back => {
            let (front, rest) = values.split_at_mut(there);
            let (middle, back) = rest.split_at_mut(len - here - there);
            [back, middle, front]
        }
    }
}

fn with_batch(shape: Shape, batch: usize) -> Result<Shape, Error> {
    match shape.split_batch() {
        Some((_, sample)) => sample.with_batch(batch),
        None => Ok(shape),
    }
}
