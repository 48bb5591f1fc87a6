//! A batch in micro-batches, whose gradients add up to its own.

use crate::error::Error;
use core::ops::Range;

/// A batch in parts that are as equal as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub count: usize,
    /// Samples of each but the last.
    pub samples: usize,
    /// Samples of the last.
    pub last: usize,
}

impl Parts {
    /// Of so many samples, at least one, in parts of at most `largest`.
    pub fn new(batch: usize, largest: usize) -> Parts {
        let count = batch.div_ceil(largest);
        let samples = batch.div_ceil(count);
        Parts { count, samples, last: batch - (count - 1) * samples }
    }

    /// As few parts as can be that have the same samples.
    pub fn equal(batch: usize, largest: usize) -> Parts {
        let count = (batch.div_ceil(largest)..batch).find(|&count| batch.is_multiple_of(count));
        Parts::new(batch, batch / count.unwrap_or(batch))
    }

    /// Checks that they can be learnt one after the other, in the same memory.
    pub fn check(self, whole_batch: bool) -> Result<(), Error> {
        let expected = if self.last != self.samples {
            "a divisor of the batch"
        } else if self.count > 1 && whole_batch {
            "the whole batch, whose statistics a layer needs"
        } else {
            return Ok(());
        };
        Err(Error::OutOfRange { what: "micro-batch", expected, got: self.samples as f32 })
    }

    /// The samples of a part.
    pub fn range(self, part: usize) -> Range<usize> {
        let first = part * self.samples;
        first..first + if part + 1 == self.count { self.last } else { self.samples }
    }

    /// How many sums of gradients wait at most for others, where parts are learnt one after the other.
    pub fn sums(self) -> usize {
        let waiting = |part: usize| 1 + part.count_ones() as usize;
        (0..self.count).step_by(2).map(waiting).max().filter(|_| self.count > 1).unwrap_or(0)
    }
}
