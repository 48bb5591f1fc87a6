//! What happens in a training step, one after the other, and what is computed twice to be kept in memory for less time.

use super::training::{Trained, TrainingLayout};
use super::way::{Event, Way};
use crate::error::Error;
use crate::graph::Model;
use crate::layers::{BackwardReads, Source};
use crate::memory::heap;
use core::ops::Range;

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
    /// Whether the output of step `k` is dropped; it is known of those before.
    fn drops(&self, k: usize, way: Way) -> bool {
        let step = &self.steps[k];
        let from_dropped = |source| matches!(source, Source::Operation(from) if self.steps[from].dropped);
        match way {
            _ if k == self.output => false,
            Way::KeepAll => false,
            Way::DropCheap => step.is_cheap() && !step.inputs.iter().any(|input| from_dropped(input.source)),
            Way::DropAllCheap => step.is_cheap(),
            Way::KeepEvery(n) => !(k + 1).is_multiple_of(n),
        }
    }

    /// Puts all that happens in order, and marks what is dropped.
    pub(super) fn order(&mut self, way: Way) -> Result<(), Error> {
        let count = self.steps.len();
        for k in 0..count {
            self.steps[k].dropped = self.drops(k, way);
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

    /// Whether a step needs statistics of the whole batch.
    pub fn needs_whole_batch(&self) -> bool {
        self.stretches().nth(1).is_some()
    }

    /// Multiply-adds of what is computed again.
    pub fn again(&self) -> u64 {
        self.all_again(|step| step.step.multiply_adds())
    }

    /// How long it takes, in units that compare ways: what is cheap is not free.
    pub fn cost(&self) -> u64 {
        self.all_again(|step| step.step.multiply_adds().saturating_add(8 * step.output.elements() as u64))
    }

    fn all_again(&self, of: impl Fn(&Trained) -> u64) -> u64 {
        let again = self.events.iter().filter_map(|event| match *event {
            Event::Again(k) => Some(of(&self.steps[k])),
            _ => None,
        });
        again.fold(0, u64::saturating_add)
    }

    /// The last node of the step at which the most memory is needed.
    pub fn fullest_node(&self, model: &Model<'_>) -> Option<usize> {
        let step = match *self.events.get(self.fullest)? {
            Event::Forward(k) | Event::Again(k) | Event::Back(k) => k,
            Event::Loss => self.output,
        };
        model.nodes_of(&self.sources, step).last()
    }
}
