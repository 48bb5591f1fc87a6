//! The steps of a plan in their order, before they have places in an arena.

use super::{Port, Step};
use crate::Error;
use crate::memory::buffer::whole_lines;
use crate::memory::heap::Claims;
use crate::memory::lifetimes::{Lifetime, peak};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

/// Steps in the order in which they run.
pub(crate) struct Schedule {
    /// Samples of a full batch.
    pub batch: usize,
    /// Whether memory is scarcer than time.
    pub scarce: bool,
    pub steps: Vec<Scheduled>,
    /// What they read, in their order.
    pub reads: Vec<Read>,
}

/// A step of a schedule.
pub(crate) struct Scheduled {
    pub step: Box<dyn Step>,
    /// Pixels and channels of the output for one sample.
    pub map: [usize; 2],
    /// The last step that reads the output, or its own index; beyond all of them for an output of the model.
    pub last_read: usize,
    /// The input that the output overwrites.
    pub overwritten: Option<usize>,
    /// Set if the output is some channels of a later step's.
    pub slice: Option<Slice>,
    /// The buffer that the output lies in, from that channel on of a map of so many.
    pub buffer: usize,
    pub first: usize,
    pub width: usize,
}

impl Scheduled {
    pub fn new(step: Box<dyn Step>, map: [usize; 2], last_read: usize) -> Scheduled {
        let (overwritten, slice, buffer, first, width) = (None, None, 0, 0, map[1]);
        Scheduled { step, map, last_read, overwritten, slice, buffer, first, width }
    }

    pub fn extent(&self) -> Extent {
        let [pixels, channels] = self.map;
        Extent { sample: pixels * self.width, beyond: self.width - channels }
    }
}

/// How far samples of an output reach, from the first element to the last: if it is a slice, others' lie between.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Elements from one sample to the next.
    sample: usize,
    /// Elements of the last pixel that are behind its own.
    beyond: usize,
}

impl Extent {
    /// Whether others' channels lie between its pixels.
    pub fn has_gaps(self) -> bool {
        self.beyond > 0
    }

    /// Elements of so many samples.
    pub fn of(self, samples: usize) -> usize {
        samples * self.sample - self.beyond
    }
}

/// Channels of a step's output, from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub of: usize,
    pub first: usize,
}

/// An input of a step.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    /// The step that reads, and which of its inputs it is.
    pub step: usize,
    pub input: usize,
    /// The step whose output it is; `None` is an input of the model.
    pub from: Option<usize>,
    /// Pixels and channels of a sample, as the reader sees them.
    pub map: [usize; 2],
}

impl Schedule {
    /// With room for so many steps and inputs.
    pub fn new(batch: usize, scarce: bool, steps: usize, reads: usize) -> Result<Schedule, Error> {
        let mut claims = Claims::default();
        let schedule = Schedule { batch, scarce, steps: claims.list(steps), reads: claims.list(reads) };
        claims.check()?;
        Ok(schedule)
    }

    /// The steps' buffers: behind that of each step's output is that of its scratch. An output that overwrites another's
    /// has that one's, and a slice that of the whole.
    pub fn buffers(&mut self) -> Result<Vec<Lifetime>, Error> {
        let mut claims = Claims::default();
        let mut buffers = claims.list(2 * self.steps.len());
        claims.check()?;
        for (k, Scheduled { step, map: [pixels, channels], last_read, slice, .. }) in
            self.steps.iter().enumerate()
        {
            let len = if slice.is_some() { 0 } else { self.batch.saturating_mul(pixels * channels) };
            buffers.push(Lifetime::new(len, k, *last_read));
            buffers.push(Lifetime::new(step.scratch_len(), k, k));
        }
        for k in 0..self.steps.len() {
            let (whole, first) = self.whole(k);
            let [_, width] = self.steps[whole].map;
            let scheduled = &mut self.steps[k];
            let buffer = &mut buffers[2 * whole];
            (buffer.first, buffer.last) = (buffer.first.min(k), buffer.last.max(scheduled.last_read));
            (scheduled.buffer, scheduled.first, scheduled.width) = (2 * whole, first, width);
            scheduled.overwritten = None;
        }
        for k in 0..self.steps.len() {
            let Scheduled { step, last_read, slice: None, .. } = &self.steps[k] else { continue };
            let len = buffers[2 * k].len;
            let inputs = || self.reads.iter().filter(|read| read.step == k);
            let overwritten = inputs().find_map(|&Read { input, from, .. }| {
                let before = &self.steps[from?];
                let buffer = &buffers[before.buffer];
                let alone = inputs().filter(|read| read.from == from).count() == 1;
                let fits = before.slice.is_none() && whole_lines(len) <= whole_lines(buffer.len);
                (buffer.last == k && alone && fits && step.overwrites(input))
                    .then_some((input, before.buffer))
            });
            if let Some((input, buffer)) = overwritten {
                (buffers[buffer].last, buffers[2 * k].len) = (*last_read, 0);
                (self.steps[k].overwritten, self.steps[k].buffer) = (Some(input), buffer);
            }
        }
        Ok(buffers)
    }

    /// The step whose output a step's is, as a whole or from that channel on.
    pub fn whole(&self, step: usize) -> (usize, usize) {
        let slices = iter::successors(Some((step, 0)), |&(step, first)| {
            self.steps[step].slice.map(|slice| (slice.of, first + slice.first))
        });
        slices.last().unwrap_or((step, 0))
    }

    /// Elements that are needed at a time.
    pub fn needed(&mut self) -> Result<usize, Error> {
        Ok(peak(&self.buffers()?))
    }

    /// Elements that may be needed to save the copying of so many.
    pub fn worth(&self, copied: usize) -> usize {
        if self.scarce { 0 } else { copied }
    }

    /// Makes a step's output a slice of a later one's, if all that write and read it can have that. Whether it is one now.
    pub fn slice(&mut self, step: usize, slice: Slice) -> bool {
        let scheduled = &self.steps[step];
        let readers = || self.reads.iter().filter(|read| read.from == Some(step));
        let once = readers().filter(|read| read.step == slice.of).count() == 1;
        let as_it_is = readers().all(|read| read.map == scheduled.map);
        if scheduled.slice.is_some() || scheduled.last_read == self.steps.len() || !once || !as_it_is {
            return false;
        }
        self.steps[step].slice = Some(slice);
        let fits = self.keeps_apart(self.whole(step).0) && self.fit_ports(step);
        if !fits {
            self.unslice(step);
        }
        fits
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
    fn keeps_apart(&self, whole: usize) -> bool {
        self.reads.iter().all(|read| {
            let Some(from) = read.from else { return true };
            let in_place = self.steps[from].slice.is_some_and(|slice| slice.of == read.step);
            in_place || self.whole(read.step).0 != whole || self.whole(from).0 != whole
        })
    }

    /// Tells those that write and read a step's output of how many channels its map is.
    fn fit_ports(&mut self, step: usize) -> bool {
        let [_, width] = self.steps[self.whole(step).0].map;
        let in_place = self.steps[step].slice.map(|slice| slice.of);
        let Schedule { steps, reads, .. } = self;
        let mut readers = reads.iter().filter(|read| read.from == Some(step) && Some(read.step) != in_place);
        steps[step].step.slice(Port::Output, width)
            & readers.all(|read| steps[read.step].step.slice(Port::Input(read.input), width))
    }
}
