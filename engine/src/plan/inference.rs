use super::Options;
use crate::graph::fuse::{Operation, Operations, Reads, Source};
use crate::layers::{Extent, Read, Schedule, Scheduled, Site, Step, matrix};
use crate::memory::buffer::{check_len, end_of};
use crate::memory::heap;
use crate::memory::lifetimes::{Placed, place};
use crate::parallel::Threads;
use crate::{Error, Model, Shape};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use bantam_kernels::conv2d::Activation;
use core::fmt;
use core::ops::Range;

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
    pub steps: Vec<Planned>,
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

/// Nodes that run as one step. Ranges are of the arena's values, but for the prepared weights'.
pub(crate) struct Planned {
    pub step: Box<dyn Step>,
    pub reads: Reads,
    pub prepared: Range<usize>,
    /// What it gives, and how many elements that has for one sample.
    pub value: usize,
    pub sample_len: usize,
    pub place: Range<usize>,
    pub extent: Extent,
    pub scratch: Range<usize>,
    /// The input that it overwrites.
    pub overwritten: Option<usize>,
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
    /// Bytes of prepared weights, which stay.
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
        let count = list.len();
        let reads = list.iter().map(|operation| operation.reads.values(model).len()).sum();
        let mut schedule = Schedule::new(batch, isa == Isa::SCALAR, count, reads)?;
        for (k, operation) in list.iter().enumerate() {
            let Operation { reads, value, last_read, .. } = *operation;
            let shapes = Shapes::new(model, reads, batch)?;
            let step = operation.lower(model, &shapes.site(isa, threads, direct_only))?;
            for (input, &value) in reads.values(model).iter().enumerate() {
                let from = match sources[value] {
                    Source::Operation(from) => Some(from),
                    _ => None,
                };
                schedule.reads.push(Read {
                    step: k,
                    input,
                    from,
                    map: matrix(&model.value_shape(value)).into(),
                });
            }
            schedule.steps.push(Scheduled::new(step, matrix(&model.value_shape(value)).into(), last_read));
        }
        for (k, operation) in list.iter().enumerate().rev() {
            if let Some(arrange) = operation.arrange() {
                arrange(&mut schedule, k)?;
            }
        }
        let mut buffers = schedule.buffers()?;
        let Placed { len: values, bound } = place(&mut buffers);
        let mut steps: Vec<Planned> = heap::list(count)?;
        let mut prepared = 0;
        for (k, (scheduled, operation)) in schedule.steps.into_iter().zip(&list).enumerate() {
            let (extent, prepared_len) = (scheduled.extent(), scheduled.step.prepared_len());
            let Scheduled { step, overwritten, slice, buffer, first, .. } = scheduled;
            let mut place = buffers[buffer].place();
            if slice.is_some() {
                place.start += first;
                place.end = place.start.saturating_add(extent.of(batch));
            }
            steps.push(Planned {
                step,
                reads: operation.reads,
                value: operation.value,
                sample_len: model.value_shape(operation.value).elements(),
                prepared: prepared..prepared.saturating_add(prepared_len),
                place,
                extent,
                scratch: buffers[2 * k + 1].place(),
                overwritten,
            });
            prepared = end_of(prepared, prepared_len);
        }
        check_len(prepared.saturating_add(values))?;
        Ok(Layout { options, steps, sources, outputs, prepared, values, bound })
    }

    /// What runs, in order.
    fn rows<'a>(&'a self, model: &'a Model<'_>) -> impl Iterator<Item = PlannedStep<'a>> {
        let bytes = |elements: usize| size_of::<f32>() * elements;
        let batch = self.options.batch;
        self.steps.iter().enumerate().map(move |(k, planned)| PlannedStep {
            names: model.nodes_of(&self.sources, k).map(|node| model.nodes()[node].name()).collect(),
            output: model.value_shape(planned.value).with_batch(batch).unwrap_or(Shape::SCALAR),
            offset: bytes(self.prepared + planned.place.start),
            bytes: bytes(batch * planned.sample_len),
            in_place: planned.overwritten.is_some(),
            sliced: planned.extent.has_gaps(),
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

    pub fn site(&self, isa: Isa, threads: Threads, direct_only: bool) -> Site<'_> {
        let (inputs, weights) = self.list.split_at(self.inputs);
        Site { isa, threads, direct_only, activation: Activation::None, inputs, weights }
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
