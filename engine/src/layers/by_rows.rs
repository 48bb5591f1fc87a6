//! A depthwise convolution and the 1×1 convolutions around it as one step, some rows at a time, so that the maps between them
//! are never whole: those of an inverted residual (Sandler et al., arXiv 1801.04381, section 3.3) are its largest by far.

use super::conv2d::{Conv2d, ConvolutionStep};
use super::depthwise_conv2d::DepthwiseConv2d;
use super::{Forward, Layer, Lowering, Schedule, Site, Source, Step, elements_of_one};
use crate::error::Error;
use crate::memory::buffer::{split_lines, whole_lines};
use crate::memory::heap::boxed;
use crate::parallel::{Threads, WORTH_SHARING, for_each_chunk_with};
use bantam_kernels::conv2d::{Activation, Geometry, Padding};
use bantam_kernels::depthwise_conv2d::Depthwise;
use core::ops::Range;

/// Elements between the convolutions that a thread has at a time: they stay in its second-level cache.
const STRIPE: usize = 64 * 1024;
/// More prepared weights do not stay there with it: each stripe would read all of them from beyond, which takes all that is saved.
const WEIGHTS: usize = 192 * 1024;
/// Elements of a whole map between the convolutions from which on it pays: smaller ones stay in a cache anyway.
const MAP: usize = 128 * 1024;
/// Where memory is scarce, layers that take less than this part of all that is needed at one time stay as they are: to run by rows
/// takes somewhat longer, and saves the most where maps are largest, a half or more.
const SMALL: usize = 3;
/// A plan takes no time by what a file claims to be the number of rows.
const MOST_ROWS: usize = 4096;

/// Has the step of a depthwise convolution run with that of a 1×1 convolution before it, after it, or both, where that saves
/// time or, for scalar code, memory.
pub(super) fn join(schedule: &mut Schedule, lowering: &dyn Lowering, at: usize) -> Result<(), Error> {
    let before = at.checked_sub(1).filter(|&before| follows(schedule, before));
    let before = before
        .and_then(|before| pointwise(schedule, lowering, before))
        .filter(|before| before.adds.is_none());
    let after = follows(schedule, at).then(|| pointwise(schedule, lowering, at + 1)).flatten();
    let needed = if schedule.scarce { schedule.needed()? } else { 0 };
    // With the layer behind it if not with both.
    for before in [before, None] {
        let Some(step) = ByRows::new(schedule, lowering, at, before, after, needed)? else { continue };
        let step = boxed(step)?;
        let mut parameters = schedule.steps[at].parameters.clone();
        if after.is_some() {
            parameters.end = schedule.steps[at + 1].parameters.end;
        }
        if before.is_some() {
            parameters.start = schedule.steps[at - 1].parameters.start;
        }
        let mut joined = at;
        if after.is_some() {
            schedule.merge(at);
        }
        if before.is_some() {
            joined = at - 1;
            schedule.merge(joined);
        }
        let joined = &mut schedule.steps[joined];
        (joined.step, joined.parameters, joined.by_rows) = (step, parameters, true);
        return Ok(());
    }
    Ok(())
}

/// Whether the next step alone reads a step's output, as its first input, and the two have their weights side by side.
fn follows(schedule: &Schedule, step: usize) -> bool {
    let Some([first, second]) = schedule.steps.get(step..step + 2) else { return false };
    let whole = |read: usize| match schedule.reads[read].source {
        Source::Operation(from) => schedule.steps[from].slice.is_none(),
        _ => true,
    };
    let read = schedule.reads[second.reads.start];
    read.source == Source::Operation(step)
        && read.map == first.map
        && schedule.is_read_once(step)
        && first.parameters.end == second.parameters.start
        && first.slice.is_none()
        && second.slice.is_none()
        && first.reads.clone().chain(second.reads.clone()).all(whole)
}

/// A 1×1 convolution.
#[derive(Clone, Copy)]
struct Pointwise {
    layer: Conv2d,
    activation: Activation,
    /// Added to a second input, before the activation.
    adds: Option<Activation>,
    channels: usize,
}

/// A step's, if it is one and no more.
fn pointwise(schedule: &Schedule, lowering: &dyn Lowering, step: usize) -> Option<Pointwise> {
    let mut lowered = lowering.layer(step)?;
    if lowered.name != Conv2d::NAME || schedule.steps[step].by_rows {
        return None;
    }
    let layer = Conv2d::read(&mut lowered.attributes);
    let [_, _, _, channels] = lowered.input.array("input").ok()?;
    let Conv2d { kernel, stride, groups, .. } = layer;
    let adds = schedule.steps[step].adds;
    (kernel == [1, 1] && stride == [1, 1] && groups == 1).then_some(Pointwise {
        layer,
        activation: lowered.site.activation,
        adds,
        channels,
    })
}

impl Pointwise {
    /// Of rows of so many columns, which are its samples, if it can add there what it adds.
    fn lower(&self, site: &Site<'_>, rows: usize, columns: usize) -> Result<Option<ConvolutionStep>, Error> {
        let input = [rows, 1, columns, self.channels];
        let geometry = Geometry::new(input, [1, 1], self.layer.filters, [1, 1], Padding::Valid)?;
        let mut step = ConvolutionStep::new(&geometry, &Site { activation: self.activation, ..*site });
        let can = self.adds.is_none_or(|activation| step.add(activation));
        Ok(can.then_some(step))
    }

    fn weights(&self) -> usize {
        1 + usize::from(self.layer.bias)
    }
}

/// [`DepthwiseConv2d`] between 1×1 convolutions, ready to run.
pub(super) struct ByRows {
    before: Option<ConvolutionStep>,
    depthwise: Depthwise,
    activation: Activation,
    after: Option<ConvolutionStep>,
    /// How many arrays of weights each of the three has.
    weights: [usize; 3],
    multiply_adds: u64,
    /// Elements of an image and of a row of it: of the input, of what the depthwise convolution reads and gives, and of the output.
    images: [usize; 2],
    rows: [usize; 4],
    /// Rows of the output that a thread makes at all, and at a time; the most that the depthwise convolution sees for these.
    block: usize,
    stripe: usize,
    window: usize,
}

impl ByRows {
    fn new(
        schedule: &Schedule,
        lowering: &dyn Lowering,
        at: usize,
        before: Option<Pointwise>,
        after: Option<Pointwise>,
        needed: usize,
    ) -> Result<Option<ByRows>, Error> {
        let Some(mut lowered) = lowering.layer(at).filter(|_| before.is_some() || after.is_some()) else {
            return Ok(None);
        };
        let layer = DepthwiseConv2d::read(&mut lowered.attributes);
        let Site { isa, threads, activation, .. } = lowered.site;
        let geometry = layer.geometry(lowered.input.array("input")?)?;
        let ([batch, _, columns, channels], [_, height, width, made]) = (geometry.input(), geometry.output());
        let depthwise = Depthwise::new(isa, &geometry).first(1);
        let (read_row, made_row) = (columns * channels, width * made);
        let input_row = before.map_or(read_row, |before| columns * before.channels);
        let output_row = after.map_or(made_row, |after| width * after.layer.filters);
        let scarce = schedule.scarce;
        // Rows that are kept take memory where they are made here, not where they are read from a map.
        let held_row = if before.is_some() { read_row } else { 0 };
        let of_row = layer.stride[0].saturating_mul(held_row).saturating_add(made_row);
        let [one, two] = [geometry.input(), geometry.output()].map(elements_of_one);
        let input_len = before.map_or(one, |before| one / channels * before.channels);
        let output_len = after.map_or(two, |after| two / made * after.layer.filters);
        let room = if scarce {
            // What is needed elsewhere may be taken here too.
            let window = layer.kernel[0].saturating_mul(layer.dilation[0]).saturating_mul(held_row);
            (needed / SMALL).saturating_sub(batch * (input_len + output_len)).saturating_sub(window)
        } else {
            STRIPE
        };
        let stripe = (room / of_row.max(1)).clamp(1, height);
        let mut block = height;
        if threads.are_more_than(1) && geometry.first(1).multiply_adds() * 8 >= WORTH_SHARING {
            block = threads.part_of(height);
        }
        if height > MOST_ROWS {
            return Ok(None);
        }
        let mut window = 0;
        for start in (0..height).step_by(block) {
            let end = height.min(start + block);
            for first in (start..end).step_by(stripe) {
                let Some((_, seen)) = depthwise.rows(first..end.min(first + stripe)) else { return Ok(None) };
                window = window.max(seen.len());
            }
        }
        let plain = Site { threads: Threads::ONE, ..lowered.site };
        let lower = |pointwise: Option<Pointwise>, rows, columns| match pointwise {
            Some(pointwise) => pointwise.lower(&plain, rows, columns),
            None => Ok(None),
        };
        let steps = [lower(before, window, columns)?, lower(after, stripe, width)?];
        if [before.is_some(), after.is_some()] != steps.each_ref().map(Option::is_some) {
            return Ok(None);
        }
        let [of_before, of_after] = steps;
        let of = |step: &dyn Step| step.multiply_adds();
        let around = |schedule: &Schedule, step: usize| of(&*schedule.steps[step].step);
        let mut multiply_adds = geometry.multiply_adds();
        if before.is_some() {
            multiply_adds = multiply_adds.saturating_add(around(schedule, at - 1));
        }
        if after.is_some() {
            multiply_adds = multiply_adds.saturating_add(around(schedule, at + 1));
        }
        let joined = ByRows {
            before: of_before,
            depthwise,
            activation,
            after: of_after,
            weights: [
                before.map_or(0, |before| before.weights()),
                1 + usize::from(layer.bias),
                after.map_or(0, |after| after.weights()),
            ],
            multiply_adds,
            images: [input_len, output_len],
            rows: [input_row, read_row, made_row, output_row],
            block,
            stripe,
            window,
        };
        // What lies between if nothing is joined.
        let between = [before.map_or(0, |_| one), after.map_or(0, |_| two)];
        let pays = if scarce {
            let most =
                if before.is_some() { one + input_len.max(between[1]) } else { input_len + between[1] };
            batch * most > needed / SMALL
                && batch * (input_len + output_len) + joined.scratch_len() <= batch * most
        } else {
            between.into_iter().any(|len| len >= MAP) && joined.prepared_len() <= WEIGHTS
        };
        Ok(pays.then_some(joined))
    }

    /// Elements of the rows that are kept before the depthwise convolution, and of what it gives.
    fn scratch_lens(&self) -> [usize; 2] {
        let [_, read_row, made_row, _] = self.rows;
        let held = if self.before.is_some() { self.window * read_row } else { 0 };
        [held, if self.after.is_some() { self.stripe * made_row } else { 0 }]
    }

    fn scratch_len_of_block(&self) -> usize {
        let [held, made] = self.scratch_lens().map(whole_lines);
        let of = |step: &Option<ConvolutionStep>| step.as_ref().map_or(0, Step::scratch_len);
        held.saturating_add(made).saturating_add(of(&self.before).max(of(&self.after)))
    }

    /// Some rows of an image's output, from the whole input.
    fn run(
        &self,
        rows: Range<usize>,
        input: &[f32],
        run: &Forward<'_>,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let [input_row, read_row, made_row, output_row] = self.rows;
        let [held_len, made_len] = self.scratch_lens();
        let (held, scratch) = split_lines(scratch, held_len);
        let (made, scratch) = split_lines(scratch, made_len);
        let [first, second, _] = self.weights;
        let (before_weights, rest) = run.weights.split_at(first);
        let (weights, after_weights) = rest.split_at(second);
        let before_len = self.before.as_ref().map_or(0, Step::prepared_len);
        let prepared = run.prepared.split_at(whole_lines(before_len).min(run.prepared.len()));
        // Which rows are held.
        let mut here = 0..0;
        for (i, output) in output.chunks_mut(self.stripe * output_row).enumerate() {
            let first = rows.start + i * self.stripe;
            let rows = output.len() / output_row;
            let Some((depthwise, seen)) = self.depthwise.rows(first..first + rows) else { continue };
            let seen_rows = match &self.before {
                None => &input[seen.start * read_row..seen.end * read_row],
                Some(before) => {
                    // Those that were seen before go to the front, and the new ones behind them.
                    let kept = seen.start.max(here.start)..here.end.max(seen.start);
                    if !kept.is_empty() {
                        let from = (kept.start - here.start) * read_row;
                        held.copy_within(from..from + kept.len() * read_row, 0);
                    }
                    let new = kept.end..seen.end;
                    if !new.is_empty() {
                        let output = &mut held[kept.len() * read_row..seen.len() * read_row];
                        let input = &input[new.start * input_row..new.end * input_row];
                        let prepared = &prepared.0[..before_len];
                        convolve(before, new.len(), input, before_weights, prepared, output, scratch)?;
                    }
                    here = seen.clone();
                    &held[..seen.len() * read_row]
                }
            };
            let bias = weights.get(1).copied();
            let Some(after) = &self.after else {
                depthwise.forward(seen_rows, weights[0], bias, self.activation, output)?;
                continue;
            };
            let made = &mut made[..rows * made_row];
            depthwise.forward(seen_rows, weights[0], bias, self.activation, made)?;
            convolve(after, rows, made, after_weights, prepared.1, output, scratch)?;
        }
        Ok(())
    }
}

/// A 1×1 convolution of so many rows, with scratch at the front of what there is.
fn convolve(
    step: &ConvolutionStep,
    rows: usize,
    input: &[f32],
    weights: &[&[f32]],
    prepared: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    let inputs = [input, &[]];
    // What is added lies in the output.
    let (inputs, overwritten) =
        if step.overwrites(1) { (&inputs[..], Some(1)) } else { (&inputs[..1], None) };
    step.forward(Forward {
        samples: rows,
        inputs,
        weights,
        prepared,
        overwritten,
        output,
        scratch: &mut scratch[..step.scratch_len()],
        seed: 0,
        statistics: &[],
    })
}

impl Step for ByRows {
    fn prepared_len(&self) -> usize {
        let of = |step: &Option<ConvolutionStep>| step.as_ref().map_or(0, Step::prepared_len);
        match of(&self.after) {
            0 => of(&self.before),
            after => whole_lines(of(&self.before)).saturating_add(after),
        }
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        let [first, second, _] = self.weights;
        let before_len = self.before.as_ref().map_or(0, Step::prepared_len);
        let room = whole_lines(before_len).min(prepared.len());
        let (of_before, of_after) = prepared.split_at_mut(room);
        if let Some(before) = &self.before {
            before.prepare(&weights[..first], &mut of_before[..before_len])?;
        }
        match &self.after {
            Some(after) => after.prepare(&weights[first + second..], of_after),
            None => Ok(()),
        }
    }

    fn reads_weights(&self, index: usize) -> bool {
        let [first, second, _] = self.weights;
        let of = |step: &Option<ConvolutionStep>, index| {
            step.as_ref().is_some_and(|step| step.reads_weights(index))
        };
        match index.checked_sub(first) {
            None => of(&self.before, index),
            Some(index) => index.checked_sub(second).is_none_or(|index| of(&self.after, index)),
        }
    }

    fn scratch_len(&self) -> usize {
        let [_, output_len] = self.images;
        let blocks = (output_len / self.rows[3]).div_ceil(self.block);
        blocks.saturating_mul(self.scratch_len_of_block())
    }

    fn multiply_adds(&self) -> u64 {
        self.multiply_adds
    }

    fn overwrites(&self, input: usize) -> bool {
        self.after.as_ref().is_some_and(|after| after.overwrites(input))
    }

    fn forward(&self, mut run: Forward<'_>) -> Result<(), Error> {
        if self.overwrites(1) {
            run = run.overwriting(1);
        }
        let [input_len, output_len] = self.images;
        let (output, scratch) = (core::mem::take(&mut run.output), core::mem::take(&mut run.scratch));
        let (run, len) = (&run, self.scratch_len_of_block());
        let block = self.block * self.rows[3];
        for (input, output) in run.inputs[0].chunks(input_len).zip(output.chunks_mut(output_len)) {
            for_each_chunk_with((output, block), (&mut *scratch, len), |i, output, scratch| {
                let first = i * self.block;
                self.run(first..first + output.len() / self.rows[3], input, run, output, scratch)
            })?;
        }
        Ok(())
    }
}
