use crate::arena::{self, Arena};
use crate::ops::Forward;
use crate::parallel::threads;
use crate::plan::End;
use crate::tensor::check_len;
use crate::{Buffer, Error, Model, Plan, Shape};
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

impl<'m> Session<'m> {
    /// For up to `batch` samples at a time, in memory of its own.
    ///
    /// # Errors
    /// `batch` is zero, or more than memory can hold.
    pub fn new(model: &'m Model<'m>, batch: usize, isa: Isa) -> Result<Session<'m>, Error> {
        Session::of_first(model.layers().len(), model, batch, isa)
    }

    /// As [`new`](Session::new), of the first `count` layers.
    pub(crate) fn of_first(
        count: usize,
        model: &'m Model<'m>,
        batch: usize,
        isa: Isa,
    ) -> Result<Session<'m>, Error> {
        let plan = Plan::of_first(count, model, batch, isa)?;
        let arena = Arena::Own(Buffer::try_new(plan.arena_len())?);
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
        Session::with_plan(Plan::new(model, batch, isa)?, arena)
    }

    /// As [`with_arena`](Session::with_arena), by a plan that was asked for its size before.
    ///
    /// # Errors
    /// The arena is too small.
    pub fn with_plan(plan: Plan<'m>, arena: &'m mut [f32]) -> Result<Session<'m>, Error> {
        let arena = Arena::lent(arena, plan.arena_len())?;
        Session { plan, arena }.prepared()
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
        Session::with_arena(model, batch, isa, arena::from_bytes(arena)?)
    }

    fn prepared(mut self) -> Result<Session<'m>, Error> {
        self.plan.prepare(self.arena.numbers_mut())?;
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
    /// `input` is not a whole number of samples, or more than the batch; it or the output holds a NaN or an
    /// infinity; a convolution overflows that is not [direct only](crate::Conv2d::direct_only); or there are more
    /// threads than before, and the caller's arena is too small for them.
    pub fn run(&mut self, input: &[f32]) -> Result<&[f32], Error> {
        check_finite("input", self.plan.model.input_shape(), input)?;
        if cfg!(feature = "parallel") && self.plan.threads != threads() {
            self.plan_again()?;
        }
        let plan = &self.plan;
        let (prepared, values) = self.arena.numbers_mut().split_at_mut(plan.prepared_len());
        let output = plan.run(prepared, &mut values[..plan.values_len()], input)?;
        check_finite("output", plan.model.output_shape(), output)?;
        Ok(output)
    }

    /// For other threads than before. Prepared weights stay as they are and where they are.
    fn plan_again(&mut self) -> Result<(), Error> {
        let Plan { layer_count, model, batch, isa, .. } = self.plan;
        let plan = Plan::of_first(layer_count, model, batch, isa)?;
        self.arena.reserve(plan.arena_len())?;
        self.plan = plan;
        Ok(())
    }
}

impl Plan<'_> {
    /// Prepares the weights at the start of an arena.
    pub(crate) fn prepare(&self, arena: &mut [f32]) -> Result<(), Error> {
        for step in &self.steps {
            let (shapes, weights) = (&step.shapes[..step.inputs], &step.weights[..step.inputs]);
            step.op.get().prepare(self.isa, shapes, weights, &mut arena[step.prepared.clone()])?;
        }
        Ok(())
    }

    /// Runs samples through prepared weights. `values` has the plan's length.
    pub(crate) fn run<'v>(
        &self,
        prepared: &[f32],
        values: &'v mut [f32],
        input: &[f32],
    ) -> Result<&'v [f32], Error> {
        let Plan { model, isa, batch, ref steps, .. } = *self;
        let sample = model.input_shape();
        let n = (input.len() / sample.elements()).clamp(1, batch);
        check_len("samples", input, sample.with_batch(n)?)?;
        let mut before: Option<(End, usize)> = None;
        for step in steps {
            let mut shapes = step.shapes;
            shapes[0] = shapes[0].first(n);
            let (input_len, output_len) = (shapes[0].elements(), step.output.first(n).elements());
            let reserved_before = before.map_or(0, |(_, reserved)| reserved);
            let there = if step.in_place { 0 } else { reserved_before };
            let [here, scratch, from] = parts(values, step.end, step.reserved, there);
            let mut inputs = step.weights;
            inputs[0] = if before.is_none() {
                input
            } else if step.in_place {
                &[]
            } else {
                &from[..input_len]
            };
            step.op.get().forward(Forward {
                isa,
                shapes: &shapes[..step.inputs],
                inputs: &inputs[..step.inputs],
                prepared: &prepared[step.prepared.clone()],
                prepared_for: &step.shapes[..step.inputs],
                in_place: step.in_place,
                output: &mut here[..if step.in_place { input_len.max(output_len) } else { output_len }],
                scratch: &mut scratch[..step.scratch],
            })?;
            before = Some((step.end, step.reserved));
        }
        let (Some((end, reserved)), Some(last)) = (before, steps.last()) else {
            values[..input.len()].copy_from_slice(input);
            return Ok(&values[..input.len()]);
        };
        let [output, ..] = parts(values, end, reserved, 0);
        Ok(&output[..last.output.first(n).elements()])
    }
}

/// Checks the numbers of samples of that shape.
pub(crate) fn check_finite(what: &'static str, sample: Shape, numbers: &[f32]) -> Result<(), Error> {
    // Without a way out the loop takes whole vectors.
    if numbers.iter().fold(true, |finite, x| finite & x.is_finite()) {
        return Ok(());
    }
    match numbers.iter().position(|x| !x.is_finite()) {
        Some(at) => {
            let (len, got) = (sample.elements(), numbers[at]);
            Err(Error::NotFinite { what, sample: at / len, index: at % len, got })
        }
        None => Ok(()),
    }
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
