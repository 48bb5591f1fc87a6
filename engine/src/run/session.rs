use super::carve::carve;
use crate::error::Error;
use crate::graph::Model;
use crate::layers::{Forward, MAX_INPUTS, Scheduled, Source};
use crate::memory::arena::{self, Arena};
use crate::memory::buffer::Buffer;
use crate::parallel;
use crate::plan::inference::Layout;
use crate::plan::{Options, Plan, kept};

/// A model made ready to run by its [`Plan`]: weights prepared for the instruction set, memory for up to so many samples
/// at a time.
///
/// ```
/// use bantam::{Options, Sequential, Session};
/// let model = Sequential::new([4]).dense(3).softmax().build(1)?;
/// let mut session = Session::new(&model, Options::new(1))?;
/// let probabilities = session.run(&[1.0, 2.0, 3.0, 4.0])?;
/// assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct Session<'m> {
    plan: Plan<'m>,
    arena: Arena<'m>,
    /// How many samples were run last.
    samples: usize,
}

impl<'m> Session<'m> {
    /// In memory of its own.
    ///
    /// # Errors
    /// The batch is empty, or more than memory can hold.
    pub fn new(model: &'m Model<'m>, options: Options) -> Result<Session<'m>, Error> {
        Session::own(Plan::new(model, options)?)
    }

    /// Of these values of a model, in memory of its own.
    pub(crate) fn of(
        model: &'m Model<'m>,
        outputs: &[usize],
        options: Options,
    ) -> Result<Session<'m>, Error> {
        Session::own(Plan::of(model, outputs, options)?)
    }

    /// By a plan, in memory of its own.
    pub(crate) fn own(plan: Plan<'m>) -> Result<Session<'m>, Error> {
        let arena = Arena::Own(Buffer::try_new(plan.arena_len())?);
        Session::start(plan, arena)
    }

    /// As [`new`](Session::new), in the caller's memory, of which it uses [`Plan::arena_len`] elements. It is faster
    /// where that begins on a cache line.
    ///
    /// ```
    /// use bantam::{Isa, Options, Sequential, Session};
    /// static MODEL: &[u8] = &[]; // include_bytes, in flash
    /// let model = Sequential::new([4]).dense(3).build(1)?; // or Model::from_bytes(MODEL)
    /// let mut arena = [0.0; 16];
    /// let mut session = Session::with_arena(&model, Options::new(1).isa(Isa::SCALAR), &mut arena)?;
    /// assert_eq!(session.run(&[0.0; 4])?, [0.0; 3]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Session::new), or the arena is too small: the error tells how many bytes are missing.
    pub fn with_arena(
        model: &'m Model<'m>,
        options: Options,
        arena: &'m mut [f32],
    ) -> Result<Session<'m>, Error> {
        Session::with_plan(Plan::new(model, options)?, arena)
    }

    /// As [`with_arena`](Session::with_arena), by a plan that was asked for its size before.
    ///
    /// # Errors
    /// The arena is too small.
    pub fn with_plan(plan: Plan<'m>, arena: &'m mut [f32]) -> Result<Session<'m>, Error> {
        let arena = Arena::lent(arena, plan.arena_len())?;
        Session::start(plan, arena)
    }

    /// As [`with_arena`](Session::with_arena), in bytes.
    ///
    /// # Errors
    /// As [`with_arena`](Session::with_arena), or the bytes do not begin at a multiple of four.
    pub fn with_bytes(
        model: &'m Model<'m>,
        options: Options,
        arena: &'m mut [u8],
    ) -> Result<Session<'m>, Error> {
        Session::with_arena(model, options, arena::from_bytes(arena)?)
    }

    /// As [`with_bytes`](Session::with_bytes), and calls `done` with each array of weights that no run reads again, as soon as
    /// it has another form: then the pages of a mapped file can go that have it, and its weights never take memory twice. With
    /// several threads the calls come from all of them.
    ///
    /// ```
    /// use bantam::{Isa, Options, Plan, Sequential, Session};
    /// use core::sync::atomic::{AtomicUsize, Ordering};
    /// let model = Sequential::new([8, 8, 4]).conv2d(8, 3).global_average_pool2d().build(1)?;
    /// let options = Options::new(1);
    /// let mut arena = vec![0; Plan::new(&model, options)?.peak_bytes()];
    /// let done = AtomicUsize::new(0);
    /// let count = |weights: &[f32]| _ = done.fetch_add(weights.len(), Ordering::Relaxed);
    /// Session::with_bytes_observed(&model, options, &mut arena, count)?;
    /// // Kernel and bias: scalar code, and any without `std`, reads both where they lie.
    /// let in_place = options == options.isa(Isa::SCALAR) || !cfg!(feature = "std");
    /// assert_eq!(done.into_inner(), if in_place { 0 } else { 3 * 3 * 4 * 8 + 8 });
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`with_bytes`](Session::with_bytes).
    pub fn with_bytes_observed(
        model: &'m Model<'m>,
        options: Options,
        arena: &'m mut [u8],
        done: impl Fn(&[f32]) + Sync,
    ) -> Result<Session<'m>, Error> {
        let plan = Plan::new(model, options)?;
        let arena = Arena::lent(arena::from_bytes(arena)?, plan.arena_len())?;
        Session::start_observed(plan, arena, done)
    }

    fn start(plan: Plan<'m>, arena: Arena<'m>) -> Result<Session<'m>, Error> {
        Session::start_observed(plan, arena, |_| ())
    }

    fn start_observed(
        plan: Plan<'m>,
        arena: Arena<'m>,
        done: impl Fn(&[f32]) + Sync,
    ) -> Result<Session<'m>, Error> {
        let mut session = Session { plan, arena, samples: 0 };
        let Session { plan: Plan { model, layout }, arena, .. } = &mut session;
        layout.prepare_observed(model, arena.numbers_mut(), done)?;
        Ok(session)
    }

    /// Where everything lies.
    pub fn plan(&self) -> &Plan<'m> {
        &self.plan
    }

    /// Runs a model of one input on samples that follow each other, `[N, …]` with `N` up to the batch, and gives its
    /// output for them, the first if there are several. Allocates nothing.
    ///
    /// # Errors
    /// The model has several inputs; `input` is not a whole number of samples, or more than the batch; it or an output
    /// holds a NaN or an infinity; or a convolution overflows that is not [direct only](crate::Conv2d::direct_only).
    pub fn run(&mut self, input: &[f32]) -> Result<&[f32], Error> {
        self.run_all(&[input])?;
        Ok(self.output(0))
    }

    /// Runs a model on as many samples of each of its inputs; [`output`](Session::output) has what it gives.
    ///
    /// # Errors
    /// As [`run`](Session::run), or there are more inputs than the model has, or fewer, or of different numbers of
    /// samples.
    pub fn run_all(&mut self, inputs: &[&[f32]]) -> Result<(), Error> {
        self.run_by(inputs, |layout, model, prepared, values, count| {
            layout.run(model, prepared, values, inputs, count)
        })
    }

    /// As [`run_all`](Session::run_all), and says after each step of the plan which it was, so that steps can be timed.
    ///
    /// # Errors
    /// As [`run_all`](Session::run_all).
    pub fn run_observed(
        &mut self,
        inputs: &[&[f32]],
        observe: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), Error> {
        self.run_by(inputs, |layout, model, prepared, values, count| {
            layout.steps.iter().enumerate().try_for_each(|(index, step)| {
                layout.run_step(step, model, prepared, values, inputs, count)?;
                observe(index);
                Ok(())
            })
        })
    }

    fn run_by(
        &mut self,
        inputs: &[&[f32]],
        run: impl FnOnce(&Layout, &Model<'_>, &[f32], &mut [f32], usize) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let Session { plan, arena, samples } = self;
        *samples = 0;
        let Plan { model, layout } = plan;
        let count = layout.check(model, inputs)?;
        let (prepared, values) = arena.numbers_mut().split_at_mut(layout.prepared);
        let values = &mut values[..layout.values];
        parallel::together(layout.options.threads, || run(layout, model, prepared, values, count))?;
        for &step in &layout.outputs {
            let output = &layout.steps[step];
            let sample_len = output.sample_len();
            check_finite("output", sample_len, &values[output.place.start..][..count * sample_len])?;
        }
        *samples = count;
        Ok(())
    }

    /// The output of that index of the last run, `[N, …]`; empty if there is none, or no run.
    pub fn output(&self, index: usize) -> &[f32] {
        let layout = &self.plan.layout;
        let Some(&step) = layout.outputs.get(index) else { return &[] };
        let step = &layout.steps[step];
        &self.arena.numbers()[layout.prepared + step.place.start..][..self.samples * step.sample_len()]
    }
}

impl Layout {
    /// Prepares the weights at the start of an arena.
    pub(crate) fn prepare(&self, model: &Model<'_>, arena: &mut [f32]) -> Result<(), Error> {
        self.prepare_observed(model, arena, |_| ())
    }

    /// The same, and tells of each array that no run reads again.
    fn prepare_observed(
        &self,
        model: &Model<'_>,
        arena: &mut [f32],
        done: impl Fn(&[f32]) + Sync,
    ) -> Result<(), Error> {
        let copies = kept::on(self.options.isa);
        let prepare = |planned: &Scheduled, mut prepared: &mut [f32]| {
            let (weights, count) = model.slices(planned.parameters.clone());
            let (step, weights) = (&*planned.step, &weights[..count]);
            if copies {
                prepared = kept::copy(step, weights, prepared);
            }
            step.prepare(weights, prepared)?;
            for (index, weights) in weights.iter().enumerate() {
                if copies && (kept::has(step, index, weights.len()) || !step.reads_weights(index)) {
                    done(weights);
                }
            }
            Ok(())
        };
        #[cfg(feature = "parallel")]
        if self.options.threads.are_more_than(1) {
            let mut parts = crate::memory::heap::list(self.steps.len())?;
            let (mut rest, mut start) = (arena, 0);
            for planned in &self.steps {
                let range = &planned.prepared;
                let (prepared, behind) = rest[range.start - start..].split_at_mut(range.len());
                (rest, start) = (behind, range.end);
                parts.push((planned, prepared));
            }
            let work = |_, (planned, prepared): &mut (&Scheduled, &mut [f32])| prepare(planned, prepared);
            return crate::parallel::for_each_apart(self.options.threads, &mut parts, work);
        }
        self.steps.iter().try_for_each(|planned| prepare(planned, &mut arena[planned.prepared.clone()]))
    }

    /// How many samples there are of each input, if they are samples.
    fn check(&self, model: &Model<'_>, inputs: &[&[f32]]) -> Result<usize, Error> {
        let shapes = model.input_shapes();
        if inputs.len() != shapes.len() {
            let (what, expected) = ("inputs of the model", shapes.len());
            return Err(bantam_kernels::Error::Length { what, expected, got: inputs.len() }.into());
        }
        let mut count = 0;
        for (shape, input) in shapes.iter().zip(inputs) {
            let len = shape.elements();
            if count == 0 {
                count = (input.len() / len).clamp(1, self.options.batch);
            }
            if input.len() != count * len {
                let (what, expected) = ("samples", count * len);
                return Err(bantam_kernels::Error::Length { what, expected, got: input.len() }.into());
            }
            check_finite("input", len, input)?;
        }
        Ok(count)
    }

    /// Runs samples through prepared weights. `values` has the layout's length.
    pub(crate) fn run(
        &self,
        model: &Model<'_>,
        prepared: &[f32],
        values: &mut [f32],
        samples: &[&[f32]],
        count: usize,
    ) -> Result<(), Error> {
        self.steps.iter().try_for_each(|step| self.run_step(step, model, prepared, values, samples, count))
    }

    #[inline]
    fn run_step(
        &self,
        planned: &Scheduled,
        model: &Model<'_>,
        prepared: &[f32],
        values: &mut [f32],
        samples: &[&[f32]],
        count: usize,
    ) -> Result<(), Error> {
        let Scheduled { step, reads, parameters, prepared: packed, place, scratch, overwritten, .. } =
            planned;
        let ([place, scratch], rest) = carve(values, [place.clone(), scratch.clone()]);
        let reads = &self.reads[reads.clone()];
        let mut inputs = [&[][..]; MAX_INPUTS];
        let mut len = planned.reach(count);
        for (i, (slice, read)) in inputs.iter_mut().zip(reads).enumerate() {
            match read.source {
                Source::Operation(from) => {
                    let input_len = self.steps[from].reach(count);
                    if *overwritten == Some(i) {
                        len = len.max(input_len);
                    } else {
                        *slice = rest.read(self.steps[from].place.start, input_len);
                    }
                }
                Source::Input(input) | Source::Given(input) => *slice = samples[input],
                Source::Nowhere => {}
            }
        }
        let (mut weights, weight_count) = model.slices(parameters.clone());
        let mut packed = &prepared[packed.clone()];
        if kept::on(self.options.isa) {
            packed = kept::lend(&**step, &mut weights[..weight_count], packed);
        }
        step.forward(Forward {
            samples: count,
            inputs: &inputs[..reads.len()],
            weights: &weights[..weight_count],
            prepared: packed,
            overwritten: *overwritten,
            output: &mut place[..len],
            scratch,
            seed: 0,
            statistics: &[],
        })
    }
}

/// Checks samples of so many elements each.
pub(crate) fn check_finite(what: &'static str, sample_len: usize, samples: &[f32]) -> Result<(), Error> {
    // Without a way out the loop takes whole vectors.
    if samples.iter().fold(true, |finite, x| finite & x.is_finite()) {
        return Ok(());
    }
    match samples.iter().position(|x| !x.is_finite()) {
        Some(at) => {
            let (sample, index) = (at / sample_len, at % sample_len);
            Err(Error::NotFinite { what, sample, index, got: samples[at] })
        }
        None => Ok(()),
    }
}
