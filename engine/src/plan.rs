use crate::buffer::{end_of, whole_lines};
use crate::heap;
use crate::model::Mode;
use crate::ops::{LayerOp, MAX_INPUTS};
use crate::parallel::threads;
use crate::{Error, Model, Shape};
use alloc::vec::Vec;
use bantam_kernels::Isa;
use core::fmt;
use core::ops::Range;

/// Where everything lies when a model runs: known before it does, in one arena.
///
/// Prepared weights come first. Then a step's input lies at one end of what is left and its output at
/// the other, with the scratch of the kernels between; a step that can do so overwrites its input. The
/// samples themselves stay with the caller.
///
/// ```
/// use bantam::{Isa, Plan, Sequential};
/// let net = Sequential::new([28, 28, 1]).conv2d(8, 3).relu().max_pool2d(2).flatten().dense(10);
/// let model = net.build(1)?;
/// let plan = Plan::new(&model, 1, Isa::SCALAR)?;
/// // The pooled map; each thread convolves two rows of the map before it at a time.
/// assert_eq!(plan.layers().next().map(|layer| layer.bytes), Some(4 * 13 * 13 * 8));
/// println!("{plan}");
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone)]
pub struct Plan<'m> {
    pub(crate) model: &'m Model<'m>,
    pub(crate) isa: Isa,
    pub(crate) batch: usize,
    /// How many of the model's layers it runs.
    pub(crate) layer_count: usize,
    /// How many threads the scratch is for.
    pub(crate) threads: usize,
    pub(crate) steps: Vec<PlannedStep<'m>>,
    /// Numbers of all prepared weights.
    prepared: usize,
    /// Numbers of values and scratch.
    values: usize,
}

/// Layers that run as one operation.
#[derive(Clone)]
pub(crate) struct PlannedStep<'m> {
    pub op: LayerOp,
    pub layers: Range<usize>,
    /// Of the input for a full batch, then of the weights.
    pub shapes: [Shape; MAX_INPUTS],
    pub weights: [&'m [f32]; MAX_INPUTS],
    pub inputs: usize,
    /// Numbers from the start of the arena.
    pub prepared: Range<usize>,
    pub output: Shape,
    pub end: End,
    /// Whether it overwrites its input.
    pub in_place: bool,
    /// Numbers that are kept for the output, or what it overwrites.
    pub reserved: usize,
    pub scratch: usize,
}

impl PlannedStep<'_> {
    fn multiply_adds(&self) -> u64 {
        self.op.get().multiply_adds(&self.shapes[..self.inputs])
    }
}

/// Which end of the arena's values something lies at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

/// A line of a [`Plan`]: layers that run as one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedLayer<'p> {
    /// Their names.
    pub names: Vec<&'p str>,
    /// Shape of the output, `[N, …]`.
    pub output: Shape,
    /// Where the output begins, in bytes from the start of the arena.
    pub offset: usize,
    /// Bytes of the output.
    pub bytes: usize,
    /// Whether the output overwrites the input.
    pub in_place: bool,
    /// Bytes of scratch that the kernels need.
    pub scratch_bytes: usize,
    /// Bytes of prepared weights, which stay.
    pub prepared_bytes: usize,
    /// Multiply-adds of a full batch, as direct computation counts them.
    pub multiply_adds: u64,
}

impl<'m> Plan<'m> {
    /// For up to `batch` samples at a time, on as many threads as there are now.
    ///
    /// # Errors
    /// `batch` is zero, or more than memory can hold.
    pub fn new(model: &'m Model<'m>, batch: usize, isa: Isa) -> Result<Plan<'m>, Error> {
        Plan::of_first(model.layers().len(), model, batch, isa)
    }

    /// As [`new`](Plan::new), of the first `count` layers.
    pub(crate) fn of_first(
        count: usize,
        model: &'m Model<'m>,
        batch: usize,
        isa: Isa,
    ) -> Result<Plan<'m>, Error> {
        let mut shape = model.input_shape().with_batch(batch)?;
        let steps =
            || model.steps(0..count, Mode::Inference).filter_map(|step| Some((step.op?, step.layers)));
        let planned = heap::list(steps().count())?;
        let mut plan = Plan {
            model,
            isa,
            batch,
            layer_count: count,
            threads: threads(),
            steps: planned,
            prepared: 0,
            values: 0,
        };
        for (op, layers) in steps() {
            let (shapes, weights, inputs) = model.layers()[layers.start].inputs(shape);
            let (operation, used) = (op.get(), &shapes[..inputs]);
            let output = operation.output_shape(used)?;
            let prepared_len = operation.prepared_len(isa, used)?;
            let prepared = plan.prepared..plan.prepared.saturating_add(prepared_len);
            plan.prepared = end_of(prepared.start, prepared_len)?;
            let scratch = operation.forward_scratch_len(isa, used)?;

            let before = plan.steps.last().map(|step| (step.end, step.reserved));
            let len = whole_lines(output.elements());
            let (in_place, end, reserved, together) = match before {
                // The samples are not ours to overwrite.
                None => (false, End::Front, len, len),
                Some((end, reserved)) if len <= reserved && operation.in_place(isa, used)? => {
                    (true, end, reserved, reserved)
                }
                Some((End::Front, reserved)) => (false, End::Back, len, reserved + len),
                Some((End::Back, reserved)) => (false, End::Front, len, reserved + len),
            };
            plan.values = plan.values.max(end_of(together, scratch)?);
            shape = output;
            let step = PlannedStep {
                op,
                layers,
                shapes,
                weights,
                inputs,
                prepared,
                output,
                end,
                in_place,
                reserved,
                scratch,
            };
            plan.steps.push(step);
        }
        if plan.steps.is_empty() {
            plan.values = whole_lines(shape.elements());
        }
        end_of(plan.prepared, plan.values)?;
        Ok(plan)
    }

    /// What it runs on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Bytes of the arena: no more is used when the model runs, and no less would do.
    pub fn peak_bytes(&self) -> usize {
        size_of::<f32>() * self.arena_len()
    }

    /// Numbers of the arena.
    pub fn arena_len(&self) -> usize {
        self.prepared + self.values
    }

    /// Numbers of prepared weights at the start of the arena.
    pub(crate) fn prepared_len(&self) -> usize {
        self.prepared
    }

    /// Multiply-adds of a full batch, as direct computation counts them.
    pub fn multiply_adds(&self) -> u64 {
        self.steps.iter().map(PlannedStep::multiply_adds).fold(0, u64::saturating_add)
    }

    /// Numbers of values and scratch, which follow them.
    pub(crate) fn values_len(&self) -> usize {
        self.values
    }

    /// What runs, in order.
    pub fn layers(&self) -> impl Iterator<Item = PlannedLayer<'_>> {
        let bytes = |numbers: usize| size_of::<f32>() * numbers;
        self.steps.iter().map(move |step| PlannedLayer {
            names: self.model.layers()[step.layers.clone()].iter().map(|layer| layer.name()).collect(),
            output: step.output,
            offset: bytes(match step.end {
                End::Front => self.prepared,
                End::Back => self.prepared + self.values - step.reserved,
            }),
            bytes: bytes(step.output.elements()),
            in_place: step.in_place,
            scratch_bytes: bytes(step.scratch),
            prepared_bytes: bytes(step.prepared.len()),
            multiply_adds: step.multiply_adds(),
        })
    }
}

/// The table of [`layers`](Plan::layers), to be printed.
impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { isa, batch, .. } = self;
        writeln!(
            f,
            "{:38} {:>16} {:>9} {:>9} {:>9} {:>9} {:>13}",
            "layers", "output", "offset", "bytes", "scratch", "prepared", "multiply-adds"
        )?;
        for layer in self.layers() {
            let names = layer.names.join(" + ");
            let place = if layer.in_place { "=" } else { "" };
            let shape = alloc::format!("{}", layer.output);
            writeln!(
                f,
                "{names:38} {shape:>16} {place:>1}{:>8} {:>9} {:>9} {:>9} {:>13}",
                layer.offset, layer.bytes, layer.scratch_bytes, layer.prepared_bytes, layer.multiply_adds
            )?;
        }
        write!(
            f,
            "{isa}, batch {batch}: arena of {} bytes, {} multiply-adds; = overwrites its input",
            self.peak_bytes(),
            self.multiply_adds()
        )
    }
}
