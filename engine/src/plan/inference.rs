use super::{Options, kept};
use crate::error::Error;
use crate::graph::Model;
use crate::graph::fuse::{Operation, Operations, Reads};
use crate::layers::{Read, Schedule, Scheduled, Site, Source, matrix};
use crate::memory::buffer::{check_len, end_of};
use crate::memory::heap::{self, Claims};
use crate::memory::lifetimes::{Placed, place};
use crate::parallel::Threads;
use crate::shape::Shape;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use bantam_kernels::conv2d::Activation;
use core::fmt;

/// Where everything lies when a model runs: known before it does, in one arena.
///
/// Prepared weights come first. Then each output and the scratch of each step have a place for as long as they are
/// needed; a step that can do so overwrites an input that nobody reads afterwards. The samples themselves stay with the
/// caller.
///
/// ```
/// use bantam::{Isa, Options, Plan, Sequential};
/// let net = Sequential::new([28, 28, 1]).conv2d(8, 3).relu().max_pool2d(2).flatten().dense(10);
/// let model = net.build(1)?;
/// let plan = Plan::new(&model, Options::new(1).isa(Isa::SCALAR))?;
/// // The pooled map; two rows of the map before it are convolved at a time.
/// assert_eq!(plan.steps().next().map(|step| step.bytes), Some(4 * 13 * 13 * 8));
/// println!("{plan}");
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct Plan<'m> {
    pub(crate) model: &'m Model<'m>,
    pub(crate) layout: Layout,
}

/// A plan without its model, whose weights may then change.
pub(crate) struct Layout {
    pub options: Options,
    /// Ranges are of the arena's values, but for the prepared weights'.
    pub steps: Vec<Scheduled>,
    /// What they read.
    pub reads: Vec<Read>,
    /// Of each value of the model.
    pub sources: Vec<Source>,
    /// The steps that give the outputs.
    pub outputs: Vec<usize>,
    /// Elements of all prepared weights, at the start of the arena.
    pub prepared: usize,
    /// Elements of values and scratch, which follow them.
    pub values: usize,
    /// The least that any placing of them takes.
    bound: usize,
}

/// A line of a [`Plan`]: nodes that run as one step.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep<'p> {
    /// Their names.
    pub names: Vec<&'p str>,
    /// Shape of the output, `[N, …]`.
    pub output: Shape,
    /// Where the output begins, in bytes from the start of the arena.
    pub offset: usize,
    /// Bytes of the output.
    pub bytes: usize,
    /// Whether the output overwrites an input.
    pub in_place: bool,
    /// Whether the output is some channels of a concatenation's, so that it is not copied: it begins at the offset, and
    /// other channels lie between its pixels.
    pub sliced: bool,
    /// Bytes of scratch that the kernels need.
    pub scratch_bytes: usize,
    /// Bytes of prepared weights and of copies of small ones, which stay.
    pub prepared_bytes: usize,
    /// Multiply-adds of a full batch, as direct computation counts them.
    pub multiply_adds: u64,
}

impl<'m> Plan<'m> {
    /// Of a model's outputs.
    ///
    /// # Errors
    /// The batch is empty, or more than memory can hold.
    pub fn new(model: &'m Model<'m>, options: Options) -> Result<Plan<'m>, Error> {
        Ok(Plan { model, layout: Layout::new(model, model.outputs(), options)? })
    }

    /// Of these values of a model.
    pub(crate) fn of(model: &'m Model<'m>, values: &[usize], options: Options) -> Result<Plan<'m>, Error> {
        Ok(Plan { model, layout: Layout::new(model, values, options)? })
    }

    /// What it was asked for.
    pub fn options(&self) -> Options {
        self.layout.options
    }

    /// What it runs on.
    pub fn isa(&self) -> Isa {
        self.layout.options.isa
    }

    /// Bytes of the arena: no more is used when the model runs, and no less would do.
    pub fn peak_bytes(&self) -> usize {
        size_of::<f32>() * self.arena_len()
    }

    /// The least that any placing of the same values, scratch and weights takes, in bytes.
    pub fn lower_bound_bytes(&self) -> usize {
        size_of::<f32>() * (self.layout.prepared + self.layout.bound)
    }

    /// Elements of the arena.
    pub fn arena_len(&self) -> usize {
        self.layout.arena_len()
    }

    /// Multiply-adds of a full batch, as direct computation counts them.
    pub fn multiply_adds(&self) -> u64 {
        self.layout.multiply_adds()
    }

    /// What runs, in order.
    pub fn steps(&self) -> impl Iterator<Item = PlannedStep<'_>> {
        self.layout.rows(self.model)
    }
}

impl Layout {
    /// Of these values.
    #[inline(never)] // What plans once has no place in the caller's frame.
    pub fn new(model: &Model<'_>, outputs: &[usize], options: Options) -> Result<Layout, Error> {
        let Options { batch, isa, threads, direct_only } = options;
        if batch == 0 {
            return Err(Error::Empty { what: "batch" });
        }
        let Operations { list, sources, outputs } = Operations::new(model, &[], outputs, false)?;
        let reads = list.iter().map(|operation| operation.reads.values(model).len()).sum();
        let mut claims = Claims::default();
        let (steps, reads) = (claims.list(list.len()), claims.list(reads));
        claims.check()?;
        let mut schedule = Schedule { batch, scarce: isa == Isa::SCALAR, steps, reads, sources, outputs };
        let model_weights = model.parameter_count();
        for (k, operation) in list.iter().enumerate() {
            let Operation { reads, value, last_read, .. } = *operation;
            let shapes = Shapes::new(model, reads, batch)?;
            let step = operation.lower(model, &shapes.site(isa, threads, direct_only, model_weights))?;
            let first = schedule.reads.len();
            for (input, &value) in reads.values(model).iter().enumerate() {
                let (source, map) = (schedule.sources[value], matrix(&model.value_shape(value)).into());
                schedule.reads.push(Read { step: k, input, source, map });
            }
            let (pixels, channels) = matrix(&model.value_shape(value));
            schedule.steps.push(Scheduled {
                step,
                reads: first..schedule.reads.len(),
                parameters: reads.parameters(model),
                value,
                map: [pixels, channels],
                last_read,
                overwritten: None,
                slice: None,
                width: channels,
                buffer: 0,
                place: 0..0,
                scratch: 0..0,
                prepared: 0..0,
            });
        }
        for (k, operation) in list.iter().enumerate().rev() {
            operation.arrange(&mut schedule, k)?;
        }
        let mut prepared = 0;
        for scheduled in &mut schedule.steps {
            let mut len = scheduled.step.prepared_len();
            if kept::on(isa) {
                let weights = &model.parameters()[scheduled.parameters.clone()];
                let lens = weights.iter().map(|weights| weights.values().len());
                len = len.saturating_add(kept::len(&*scheduled.step, lens));
            }
            scheduled.prepared = prepared..prepared.saturating_add(len);
            prepared = end_of(prepared, len);
        }
        let mut buffers = schedule.buffers()?;
        let Placed { len: values, bound } = place(&mut buffers);
        check_len(prepared.saturating_add(values))?;
        let Schedule { mut steps, reads, sources, outputs, .. } = schedule;
        for (k, scheduled) in steps.iter_mut().enumerate() {
            scheduled.scratch = buffers[2 * k + 1].place();
            scheduled.place = buffers[scheduled.buffer].place();
            scheduled.place.start += scheduled.slice.map_or(0, |slice| slice.first);
        }
        Ok(Layout { options, steps, reads, sources, outputs, prepared, values, bound })
    }

    /// What runs, in order.
    fn rows<'a>(&'a self, model: &'a Model<'_>) -> impl Iterator<Item = PlannedStep<'a>> {
        let bytes = |elements: usize| size_of::<f32>() * elements;
        let batch = self.options.batch;
        self.steps.iter().enumerate().map(move |(k, planned)| PlannedStep {
            names: model.nodes_of(&self.sources, k).map(|node| model.nodes()[node].name()).collect(),
            output: model.value_shape(planned.value).with_batch(batch).unwrap_or(Shape::SCALAR),
            offset: bytes(self.prepared + planned.place.start),
            bytes: bytes(batch * planned.sample_len()),
            in_place: planned.overwritten.is_some(),
            sliced: planned.slice.is_some(),
            scratch_bytes: bytes(planned.scratch.len()),
            prepared_bytes: bytes(planned.prepared.len()),
            multiply_adds: planned.step.multiply_adds(),
        })
    }

    /// Elements of the arena.
    pub fn arena_len(&self) -> usize {
        self.prepared + self.values
    }

    /// Multiply-adds of a full batch, as direct computation counts them.
    pub fn multiply_adds(&self) -> u64 {
        self.steps.iter().map(|planned| planned.step.multiply_adds()).fold(0, u64::saturating_add)
    }
}

/// Shapes of what an operation reads.
pub(crate) struct Shapes {
    /// Of so many inputs, and of the weights behind them.
    list: Vec<Shape>,
    inputs: usize,
}

impl Shapes {
    pub fn new(model: &Model<'_>, reads: Reads, batch: usize) -> Result<Shapes, Error> {
        let (values, parameters) = (reads.values(model), &model.parameters()[reads.parameters(model)]);
        let inputs = values.len();
        let mut list = heap::list(inputs + parameters.len())?;
        for &value in values {
            list.push(model.value_shape(value).with_batch(batch)?);
        }
        for parameter in parameters {
            list.push(parameter.shape());
        }
        Ok(Shapes { list, inputs })
    }

    pub fn site(&self, isa: Isa, threads: Threads, direct_only: bool, model_weights: usize) -> Site<'_> {
        let (inputs, weights) = self.list.split_at(self.inputs);
        let (activation, learns) = (Activation::None, false);
        Site { isa, threads, direct_only, model_weights, learns, activation, inputs, weights }
    }
}

/// The table of [`steps`](Plan::steps), to be printed.
impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Table { model: self.model, layout: &self.layout }.fmt(f)
    }
}

/// A layout, to be printed.
pub(crate) struct Table<'a, 'm> {
    pub model: &'a Model<'m>,
    pub layout: &'a Layout,
}

impl fmt::Display for Table<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table { model, layout } = *self;
        let Options { isa, batch, .. } = layout.options;
        writeln!(
            f,
            "{:38} {:>16} {:>9} {:>9} {:>9} {:>9} {:>13}",
            "layers", "output", "offset", "bytes", "scratch", "prepared", "multiply-adds"
        )?;
        for step in layout.rows(model) {
            let names = step.names.join(" + ");
            let place = if step.in_place {
                "="
            } else if step.sliced {
                "/"
            } else {
                ""
            };
            let shape = alloc::format!("{}", step.output);
            writeln!(
                f,
                "{names:38} {shape:>16} {place:>1}{:>8} {:>9} {:>9} {:>9} {:>13}",
                step.offset, step.bytes, step.scratch_bytes, step.prepared_bytes, step.multiply_adds
            )?;
        }
        write!(
            f,
            "{isa}, batch {batch}: arena of {} bytes, {} multiply-adds; = overwrites its input, / is computed where it is \
             concatenated",
            size_of::<f32>() * layout.arena_len(),
            layout.multiply_adds()
        )
    }
}
