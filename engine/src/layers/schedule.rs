//! The steps of a plan in their order, before they have places in an arena.

use super::{Port, Step};
use crate::error::Error;
use crate::memory::buffer::whole_lines;
use crate::memory::heap;
use crate::memory::lifetimes::Lifetime;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

/// Steps in the order in which they run.
pub(crate) struct Schedule {
    /// Samples of a full batch.
    pub batch: usize,
    /// Whether memory is scarcer than time.
    pub scarce: bool,
    pub steps: Vec<Scheduled>,
    /// What they read, in their order.
    pub reads: Vec<Read>,
    /// Of each value of the model.
    pub sources: Vec<Source>,
    /// The steps that give the outputs.
    pub outputs: Vec<usize>,
}

/// Nodes that run as one step, and where everything of theirs lies.
pub(crate) struct Scheduled {
    pub step: Box<dyn Step>,
    /// What it reads, of the schedule's, and its weights, of the model's.
    pub reads: Range<usize>,
    pub parameters: Range<usize>,
    /// What it gives, of the model's values, and its pixels and channels for one sample.
    pub value: usize,
    pub map: [usize; 2],
    /// The last step that reads it, or its own index; beyond all of them for an output of the model.
    pub last_read: usize,
    /// The input that it overwrites.
    pub overwritten: Option<usize>,
    /// Set if it is some channels of a later step's output.
    pub slice: Option<Slice>,
    /// The channels of the map that it lies in.
    pub width: usize,
    /// Its buffer, of those that [`Schedule::buffers`] gives, and its place in an arena.
    pub buffer: usize,
    pub place: Range<usize>,
    pub scratch: Range<usize>,
    pub prepared: Range<usize>,
}

impl Scheduled {
    /// Elements of the output for one sample.
    pub fn sample_len(&self) -> usize {
        let [pixels, channels] = self.map;
        pixels * channels
    }

    /// Elements from the first of an output of so many samples to the last; in a slice, other channels lie between.
    pub fn reach(&self, samples: usize) -> usize {
        let [pixels, channels] = self.map;
        samples * pixels * self.width - (self.width - channels)
    }
}

/// Some channels of a step's output.
#[derive(Clone, Copy)]
pub(crate) struct Slice {
    /// The step that has them among its inputs.
    pub of: usize,
    /// The step whose output is no slice itself, and the first of the channels in that.
    pub whole: usize,
    pub first: usize,
}

/// An input of a step.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    /// The step that reads, and which of its inputs it is.
    pub step: usize,
    pub input: usize,
    pub source: Source,
    /// Pixels and channels of a sample, as the reader sees them.
    pub map: [usize; 2],
}

/// Where a value is when a step reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An input of the model.
    Input(usize),
    /// A value that is given, of that index among those.
    Given(usize),
    /// What a step gives.
    Operation(usize),
    /// Nobody needs it.
    Nowhere,
}

impl Schedule {
    /// The steps' buffers: behind that of each step's output is that of its scratch. An output that overwrites another's
    /// has that one's, and a slice that of the whole.
    pub fn buffers(&mut self) -> Result<Vec<Lifetime>, Error> {
        let Schedule { batch, steps, reads, .. } = self;
        let mut buffers: Vec<Lifetime> = heap::list(2 * steps.len())?;
        for (k, scheduled) in steps.iter_mut().enumerate() {
            (scheduled.overwritten, scheduled.buffer) = (None, 2 * k);
            buffers.push(Lifetime::new(batch.saturating_mul(scheduled.sample_len()), k, scheduled.last_read));
            buffers.push(Lifetime::new(scheduled.step.scratch_len(), k, k));
        }
        for (k, scheduled) in steps.iter_mut().enumerate() {
            let Some(Slice { whole, .. }) = scheduled.slice else { continue };
            (scheduled.buffer, buffers[2 * k].len) = (2 * whole, 0);
            let buffer = &mut buffers[2 * whole];
            (buffer.first, buffer.last) = (buffer.first.min(k), buffer.last.max(scheduled.last_read));
        }
        for k in 0..steps.len() {
            let (before, [scheduled, ..]) = steps.split_at_mut(k) else { break };
            let inputs = &reads[scheduled.reads.clone()];
            for (input, read) in inputs.iter().enumerate() {
                let Source::Operation(from) = read.source else { continue };
                let buffer = before[from].buffer;
                let lies_there = |other: &&Read| match other.source {
                    Source::Operation(other) => before[other].buffer == buffer,
                    _ => false,
                };
                let alone = inputs.iter().filter(lies_there).count() == 1;
                let own = scheduled.slice.is_none() && before[from].slice.is_none();
                let fits = whole_lines(buffers[2 * k].len) <= whole_lines(buffers[buffer].len);
                if buffers[buffer].last == k && alone && own && fits && scheduled.step.overwrites(input) {
                    (buffers[buffer].last, buffers[2 * k].len) = (scheduled.last_read, 0);
                    (scheduled.overwritten, scheduled.buffer) = (Some(input), buffer);
                    break;
                }
            }
        }
        Ok(buffers)
    }

    /// The most elements that are needed at one time.
    pub fn needed(&mut self) -> Result<usize, Error> {
        // What is needed more from each step on than before it; less is more by a number that wraps.
        let mut more = heap::filled(self.steps.len() + 2, 0usize)?;
        for buffer in self.buffers()? {
            let len = whole_lines(buffer.len);
            more[buffer.first] = more[buffer.first].wrapping_add(len);
            more[buffer.last + 1] = more[buffer.last + 1].wrapping_sub(len);
        }
        let mut needed = 0usize;
        let at_each = more.iter().map(|&more| {
            needed = needed.wrapping_add(more);
            needed
        });
        Ok(at_each.max().unwrap_or(0))
    }

    /// Elements that may be needed to save the copying of so many.
    pub fn worth(&self, copied: usize) -> usize {
        if self.scarce { 0 } else { copied }
    }

    /// Makes a step's output a slice of a later one's, from that channel on, if all that write and read it can have that.
    /// Whether it is one now. What the later one is a slice of is known by then: the last are asked first.
    pub fn slice(&mut self, step: usize, of: usize, first: usize) -> bool {
        let scheduled = &self.steps[step];
        let (whole, before) = whole(&self.steps, of);
        let slice = Slice { of, whole, first: before + first };
        let readers = || self.reads.iter().filter(|read| read.source == Source::Operation(step));
        let once = readers().filter(|read| read.step == of).count() == 1;
        let as_it_is = readers().all(|read| read.map == scheduled.map);
        if scheduled.slice.is_some() || scheduled.last_read == self.steps.len() || !once || !as_it_is {
            return false;
        }
        self.steps[step].slice = Some(slice);
        let fits = self.keeps_apart(whole) && self.fit_ports(step);
        if !fits {
            self.unslice(step);
        }
        fits
    }

    /// Whether one step reads a step's output, once, and nobody else.
    pub fn is_read_once(&self, step: usize) -> bool {
        let readers = self.reads.iter().filter(|read| read.source == Source::Operation(step)).count();
        readers == 1 && self.steps[step].last_read < self.steps.len()
    }

    /// Makes a step and the next one, which alone reads its output, a single one with the step, weights and inputs of the
    /// first, what the second reads beside that, and the second's output.
    pub fn merge(&mut self, first: usize) {
        // All behind the first come one earlier.
        let earlier = |step: &mut usize| *step -= usize::from(*step > first);
        let Schedule { steps, reads, sources, outputs, .. } = self;
        let Scheduled { step, reads: from, parameters, .. } = steps.remove(first);
        let between = steps[first].reads.clone().find(|&read| reads[read].source == Source::Operation(first));
        if let Some(between) = between {
            reads.remove(between);
        }
        for scheduled in &mut steps[first..] {
            (scheduled.reads.start, scheduled.reads.end) =
                (scheduled.reads.start - 1, scheduled.reads.end - 1);
        }
        let merged = &mut steps[first];
        (merged.step, merged.parameters, merged.reads.start) = (step, parameters, from.start);
        for (input, read) in reads[merged.reads.clone()].iter_mut().enumerate() {
            (read.step, read.input) = (first, input);
        }
        for scheduled in &mut *steps {
            earlier(&mut scheduled.last_read);
            if let Some(slice) = &mut scheduled.slice {
                earlier(&mut slice.of);
                earlier(&mut slice.whole);
            }
        }
        for read in &mut *reads {
            earlier(&mut read.step);
        }
        for source in reads.iter_mut().map(|read| &mut read.source).chain(sources) {
            if let Source::Operation(step) = source {
                earlier(step);
            }
        }
        outputs.iter_mut().for_each(earlier);
    }

    /// Gives a step's output a place of its own again.
    pub fn unslice(&mut self, step: usize) {
        self.steps[step].slice = None;
        // They can always have that.
        self.fit_ports(step);
    }

    /// Gives all that a step reads a place of its own again.
    pub fn unslice_inputs(&mut self, of: usize) {
        for step in 0..of {
            if self.steps[step].slice.is_some_and(|slice| slice.of == of) {
                self.unslice(step);
            }
        }
    }

    /// Whether no step reads some channels of a whole output while it writes others.
    fn keeps_apart(&self, of: usize) -> bool {
        self.reads.iter().all(|read| {
            let Source::Operation(from) = read.source else { return true };
            let in_place = self.steps[from].slice.is_some_and(|slice| slice.of == read.step);
            in_place || whole(&self.steps, read.step).0 != of || whole(&self.steps, from).0 != of
        })
    }

    /// Tells those that write and read a step's output of how many channels its map is.
    fn fit_ports(&mut self, step: usize) -> bool {
        let [_, width] = self.steps[whole(&self.steps, step).0].map;
        let in_place = self.steps[step].slice.map(|slice| slice.of);
        self.steps[step].width = width;
        let Schedule { steps, reads, .. } = self;
        let readers =
            reads.iter().filter(|read| read.source == Source::Operation(step) && Some(read.step) != in_place);
        // All are told, whether one cannot or not.
        readers.fold(steps[step].step.slice(Port::Output, width), |can, read| {
            can & steps[read.step].step.slice(Port::Input(read.input), width)
        })
    }
}

/// The step whose output a step's is, as a whole or from that channel on.
pub(crate) fn whole(steps: &[Scheduled], step: usize) -> (usize, usize) {
    steps[step].slice.map_or((step, 0), |slice| (slice.whole, slice.first))
}
