//! A depthwise convolution and the 1×1 convolutions around it as one step, some rows at a time, so that the maps between them
//! are never whole: those of an inverted residual (Sandler et al., arXiv 1801.04381, section 3.3) are its largest by far.

use super::conv2d::{ConvolutionStep, Pointwise};
use super::{Forward, Schedule, Source, Step};
use crate::error::Error;
use crate::memory::buffer::{split_lines, whole_lines};
use crate::memory::heap::boxed;
use crate::parallel::{Threads, WORTH_SHARING, for_each_chunk_with};
use bantam_kernels::Isa;
use bantam_kernels::conv2d::{Activation, Geometry, Padding};
use bantam_kernels::depthwise_conv2d::Depthwise;
use core::any::Any;
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
/// With the 1×1 convolutions, at the least so many multiply-adds for one of the depthwise convolution.
const WITH_POINTWISE: u64 = 4;
/// A plan takes no time by what a file claims to be the number of rows.
const MOST_ROWS: usize = 4096;

/// Has the step of a depthwise convolution run with that of a 1×1 convolution before it, after it, or both, where that saves
/// time or, for scalar code, memory.
pub(super) fn join(schedule: &mut Schedule, at: usize, middle: &Middle) -> Result<(), Error> {
    let before = at.checked_sub(1).filter(|&before| follows(schedule, before));
    let before =
        before.and_then(|before| pointwise(schedule, before)).filter(|(before, _)| before.adds.is_none());
    let after = if follows(schedule, at) { pointwise(schedule, at + 1) } else { None };
    let needed = if schedule.scarce { schedule.needed()? } else { 0 };
    // With the layer behind it if not with both.
    for around in [[before, after], [None, after]] {
        let [before, _] = around;
        let room = schedule.scarce.then_some(needed / SMALL);
        let Some(step) = ByRows::new(middle, around, room)? else { continue };
        if schedule.scarce && !step.saves(schedule.batch, needed) {
            continue;
        }
        let step = boxed(step)?;
        let (mut joined, mut parameters) = (at, schedule.steps[at].parameters.clone());
        if after.is_some() {
            parameters.end = schedule.steps[at + 1].parameters.end;
            schedule.merge(at);
        }
        if before.is_some() {
            joined = at - 1;
            parameters.start = schedule.steps[joined].parameters.start;
            schedule.merge(joined);
        }
        let joined = &mut schedule.steps[joined];
        (joined.step, joined.parameters) = (step, parameters);
        break;
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

/// A depthwise convolution of a batch.
#[derive(Clone, Copy)]
pub(super) struct Middle {
    pub isa: Isa,
    pub threads: Threads,
    pub depthwise: Depthwise,
    pub activation: Activation,
    /// Arrays of weights.
    pub weights: usize,
}

/// A 1×1 convolution before it or behind it, and how many arrays of weights that has.
pub(super) type Neighbour = (Pointwise, usize);

/// A step's, if it is one.
fn pointwise(schedule: &mut Schedule, step: usize) -> Option<Neighbour> {
    let scheduled = &mut schedule.steps[step];
    let convolution = scheduled.step.merged()?.downcast_ref::<ConvolutionStep>()?;
    Some((convolution.pointwise()?, scheduled.parameters.len()))
}

/// The step of one on rows of so many columns, which are its samples, if it can add there what it adds.
fn lower(
    neighbour: Option<Neighbour>,
    isa: Isa,
    [rows, columns]: [usize; 2],
) -> Result<Option<ConvolutionStep>, Error> {
    let Some((Pointwise { channels, filters, activation, adds }, _)) = neighbour else { return Ok(None) };
    let geometry = Geometry::new([rows, 1, columns, channels], [1, 1], filters, [1, 1], Padding::Valid)?;
    let mut step = ConvolutionStep::on_one_thread(isa, &geometry, activation);
    let can = adds.is_none_or(|activation| step.add(activation));
    Ok(can.then_some(step))
}

/// A [`DepthwiseConv2d`](super::DepthwiseConv2d) between 1×1 convolutions, ready to run.
pub struct ByRows {
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
    /// Of an image of the maps between, if there are any, that are never whole.
    between: [usize; 2],
    /// Rows of the output that a thread makes in all, and at a time; the most that the depthwise convolution sees for the latter.
    block: usize,
    stripe: usize,
    window: usize,
}

impl ByRows {
    /// Of a depthwise convolution with what is before and behind it, if there is something and if it can run by rows. With
    /// vectors, only if a map between is one that no cache keeps; where memory is scarce, with `room` elements for input, output
    /// and rows, or one row at a time if that leaves none.
    pub(super) fn new(
        middle: &Middle,
        around: [Option<Neighbour>; 2],
        room: Option<usize>,
    ) -> Result<Option<ByRows>, Error> {
        let Middle { isa, threads, depthwise, activation, weights } = *middle;
        let (geometry, [before, after]) = (depthwise.geometry(), around);
        let ([batch, rows, columns, channels], [_, height, width, made]) =
            (geometry.input(), geometry.output());
        let [read, given] = [rows * columns * channels, height * width * made];
        let between = [before.map_or(0, |_| read), after.map_or(0, |_| given)];
        if between == [0, 0] || height > MOST_ROWS || (room.is_none() && between.iter().all(|&map| map < MAP))
        {
            return Ok(None);
        }
        let (one, (read_row, made_row)) = (depthwise.first(1), (columns * channels, width * made));
        let input_row = before.map_or(read_row, |(before, _)| columns * before.channels);
        let output_row = after.map_or(made_row, |(after, _)| width * after.filters);
        let images = [rows * input_row, height * output_row];
        let mut block = height;
        if threads.are_more_than(1)
            && one.geometry().multiply_adds().saturating_mul(WITH_POINTWISE) >= WORTH_SHARING
        {
            block = threads.part_of(height);
        }
        // The most rows that so many of the output see.
        let window_of = |stripe: usize| {
            let stripes = (0..height).step_by(block).flat_map(|start| {
                let end = height.min(start + block);
                (start..end).step_by(stripe).map(move |first| first..end.min(first + stripe))
            });
            stripes.map(|rows| Some(one.rows(rows)?.1.len())).try_fold(0, |most, seen| Some(most.max(seen?)))
        };
        // Rows that are kept take memory where they are made here, not where they are read from a map.
        let held_row = if before.is_some() { read_row } else { 0 };
        let Some(window) = window_of(1) else { return Ok(None) };
        let room = room.map_or(STRIPE, |room| {
            room.saturating_sub(batch * images.iter().sum::<usize>()).saturating_sub(window * held_row)
        });
        let stripe = (room / (rows.div_ceil(height) * held_row + made_row)).clamp(1, height);
        let Some(window) = window_of(stripe) else { return Ok(None) };
        let steps = [lower(before, isa, [window, columns])?, lower(after, isa, [stripe, width])?];
        if [before.is_some(), after.is_some()] != steps.each_ref().map(Option::is_some) {
            return Ok(None);
        }
        let of_pixels = |neighbour: Option<Neighbour>, pixels: usize| {
            let of_one = |(it, _): Neighbour| it.channels as u64 * it.filters as u64;
            neighbour.map_or(0, |neighbour| of_one(neighbour).saturating_mul((batch * pixels) as u64))
        };
        let [of_before, of_after] = [of_pixels(before, rows * columns), of_pixels(after, height * width)];
        let weights_of = |neighbour: Option<Neighbour>| neighbour.map_or(0, |(_, weights)| weights);
        let [before_step, after_step] = steps;
        let joined = ByRows {
            before: before_step,
            depthwise: one,
            activation,
            after: after_step,
            weights: [weights_of(before), weights, weights_of(after)],
            multiply_adds: geometry.multiply_adds().saturating_add(of_before).saturating_add(of_after),
            images,
            between,
            rows: [input_row, read_row, made_row, output_row],
            block,
            stripe,
            window,
        };
        let fast = isa == Isa::SCALAR || joined.prepared_len() <= WEIGHTS;
        Ok(fast.then_some(joined))
    }

    /// Whether it takes less memory than the layers one after the other, where those take much of what is needed at one time.
    fn saves(&self, batch: usize, needed: usize) -> bool {
        let ([input, output], [before, after]) = (self.images, self.between);
        let apart = batch * if before > 0 { before + input.max(after) } else { input + after };
        apart > needed / SMALL && batch * (input + output) + self.scratch_len() <= apart
    }

    /// As [`ConvolutionStep::add`].
    pub(super) fn add(&mut self, activation: Activation) -> bool {
        self.after.as_mut().is_some_and(|after| after.add(activation))
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

    fn merged(&mut self) -> Option<&mut dyn Any> {
        Some(self)
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
