//! Places for buffers in one arena, by the time that each is needed. Each begins on a cache line.

use crate::Error;
use crate::buffer::{end_of, whole_lines};
use crate::heap;
use alloc::vec::Vec;
use core::ops::Range;

/// A buffer that is needed from one time to another, both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// In numbers.
    pub len: usize,
    pub first: usize,
    pub last: usize,
}

impl Lifetime {
    fn meets(&self, other: &Lifetime) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where each buffer lies, apart from all that are needed at the same time, and the length of the arena.
/// The largest comes first, each goes to the lowest place that is free (Pisarchyk and Lee, arXiv
/// 2001.03288, greedy by size).
///
/// # Errors
/// No arena can be as long, or there is no memory for the lists.
pub(crate) fn place(buffers: &[Lifetime]) -> Result<(Vec<Range<usize>>, usize), Error> {
    // They are few; sorting by the library takes four KiB of a chip's flash.
    let mut order: Vec<usize> = heap::list(buffers.len())?;
    for (index, buffer) in buffers.iter().enumerate() {
        let at = order.partition_point(|&other| buffers[other].len >= buffer.len);
        order.insert(at, index);
    }
    // An empty one at the start is apart from all others.
    let mut places = heap::list(buffers.len())?;
    places.resize(buffers.len(), 0..0);
    // Sorted by where they begin.
    let mut placed: Vec<usize> = heap::list(buffers.len())?;
    let mut arena = 0;
    for index in order {
        let buffer = buffers[index];
        if buffer.len == 0 {
            continue;
        }
        let mut start = 0usize;
        for &other in placed.iter().filter(|&&other| buffers[other].meets(&buffer)) {
            if start.saturating_add(buffer.len) <= places[other].start {
                break;
            }
            start = start.max(whole_lines(places[other].end));
        }
        arena = arena.max(end_of(start, buffer.len)?);
        places[index] = start..start + buffer.len;
        let at = placed.partition_point(|&other| places[other].start <= start);
        placed.insert(at, index);
    }
    Ok((places, arena))
}

/// Numbers that are needed at a time.
pub(crate) fn needed_at(buffers: &[Lifetime], time: usize) -> Result<usize, Error> {
    let mut needed = buffers.iter().filter(|buffer| (buffer.first..=buffer.last).contains(&time));
    needed.try_fold(0, |sum, buffer| end_of(sum, buffer.len))
}

/// The most that is needed at one time: no arena is smaller.
pub(crate) fn most_at_once(buffers: &[Lifetime]) -> Result<usize, Error> {
    // It begins to be needed with one of them.
    let mut times = buffers.iter().map(|buffer| buffer.first);
    times.try_fold(0, |most, time| Ok(most.max(needed_at(buffers, time)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, without a generator's crate.
    fn buffers(seed: usize) -> Vec<Lifetime> {
        let mut state = seed * 7919 + 1;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
            state / 64 % below
        };
        (0..1 + next(20))
            .map(|_| {
                let first = next(12);
                Lifetime { len: next(70), first, last: first + next(4) }
            })
            .collect()
    }

    #[test]
    fn buffers_needed_at_one_time_lie_apart() {
        for seed in 0..300 {
            let buffers = buffers(seed);
            let (places, arena) = place(&buffers).unwrap();
            assert!(arena >= most_at_once(&buffers).unwrap());
            for (i, a) in buffers.iter().enumerate() {
                assert!(places[i].len() == a.len && places[i].end <= arena);
                for (j, b) in buffers.iter().enumerate().take(i) {
                    let apart = places[i].end <= places[j].start || places[j].end <= places[i].start;
                    assert!(apart || !a.meets(b), "{a:?} {b:?} {places:?}");
                }
            }
        }
    }

    #[test]
    fn a_chain_of_equals_takes_two() {
        let buffers: Vec<_> = (0..9).map(|i| Lifetime { len: 30, first: i, last: i + 1 }).collect();
        assert_eq!(most_at_once(&buffers), Ok(2 * 32));
        assert_eq!(place(&buffers).unwrap().1, 2 * 32);
        assert_eq!(place(&[]).unwrap().1, 0);
    }

    #[test]
    fn an_arena_that_cannot_exist_is_refused() {
        let half = isize::MAX as usize / size_of::<f32>() / 2 + 64;
        let buffers = [Lifetime { len: half, first: 0, last: 1 }; 2];
        assert!(place(&buffers).is_err());
        assert!(most_at_once(&buffers).is_err());
        assert!(place(&buffers[..1]).is_ok());
    }
}
