//! What happens in a training step, one after the other, and what is computed twice to be kept in memory for less time.

use super::training::{Trained, TrainingLayout};
use crate::error::Error;
use crate::layers::{BackwardReads, Source};
use crate::memory::heap;
use core::ops::Range;

/// Something that happens in a training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step computes its output.
    Forward(usize),
    /// The loss is computed, and its gradient.
    Loss,
    /// A step computes its output again, for backward passes to read.
    Again(usize),
    /// A step passes its gradient on.
    Back(usize),
}

/// Which outputs are dropped when they were read forward, and computed again when a backward pass reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// None.
    KeepAll,
    /// Those that take few operations: normalisations, activations, sums and pools.
    DropCheap,
    /// All but each so-manieth (Chen et al., arXiv 1604.06174).
    KeepEvery(usize),
}

impl Way {
    /// Whether the output of step `k` is dropped.
    fn drops(self, k: usize, step: &Trained) -> bool {
        match self {
            Way::KeepAll => false,
            Way::DropCheap => step.is_cheap(),
            Way::KeepEvery(n) => !(k + 1).is_multiple_of(n),
        }
    }
}

impl Trained {
    /// Whether the step does few operations for each number of its output.
    fn is_cheap(&self) -> bool {
        self.step.multiply_adds() < 4 * self.output.elements() as u64
    }

    /// What its backward pass reads; nothing if it has none.
    pub(super) fn backward_reads(&self) -> BackwardReads {
        if self.learns { self.step.backward_reads() } else { BackwardReads::NOTHING }
    }
}

impl TrainingLayout {
    /// Puts all that happens in order, and marks what is dropped.
    pub(super) fn order(&mut self, way: Way) -> Result<(), Error> {
        let count = self.steps.len();
        let output = self.output;
        for (k, step) in self.steps.iter_mut().enumerate() {
            step.dropped = k != output && way.drops(k, step);
        }
        let mut events = heap::list(3 * count + 1)?;
        events.extend((0..count).map(Event::Forward));
        events.push(Event::Loss);
        // Which outputs backward passes find.
        let mut there = heap::filled(count, false)?;
        let mut wanted = heap::filled(count, false)?;
        for (k, step) in self.steps.iter().enumerate() {
            there[k] = !step.dropped;
        }
        for k in (0..count).rev().filter(|&k| self.steps[k].learns) {
            let reads = self.steps[k].backward_reads();
            if reads.inputs {
                self.want(k, &mut wanted);
            }
            wanted[k] |= reads.output || self.steps[k].saved_len > 0;
            let first = events.len();
            for j in (0..=k).rev() {
                if core::mem::take(&mut wanted[j]) && !there[j] {
                    self.want(j, &mut wanted);
                    there[j] = true;
                    events.push(Event::Again(j));
                }
            }
            // What others read comes before them.
            events[first..].reverse();
            events.push(Event::Back(k));
        }
        self.events = events;
        Ok(())
    }

    /// Marks the outputs that a step reads.
    fn want(&self, k: usize, wanted: &mut [bool]) {
        for input in &self.steps[k].inputs {
            if let Source::Operation(from) = input.source {
                wanted[from] = true;
            }
        }
    }

    /// The events between those before which the parts of a batch must meet, to have their statistics merged.
    pub fn stretches(&self) -> impl Iterator<Item = Range<usize>> {
        let meets = |event: &Event| match *event {
            Event::Forward(k) | Event::Back(k) => self.steps[k].step.batch_statistics().is_some(),
            Event::Loss | Event::Again(_) => false,
        };
        let ends = self.events.iter().enumerate().filter(move |(_, event)| meets(event)).map(|(at, _)| at);
        let mut start = 0;
        ends.chain([self.events.len()]).map(move |end| core::mem::replace(&mut start, end)..end)
    }

    /// Multiply-adds of what is computed again.
    pub fn again(&self) -> u64 {
        let of = |event: &Event| match *event {
            Event::Again(k) => self.steps[k].step.multiply_adds(),
            _ => 0,
        };
        self.events.iter().map(of).fold(0, u64::saturating_add)
    }
}
