//! Places for buffers in one arena, by the time that each is needed. Each begins on a cache line.

use crate::memory::buffer::{end_of, whole_lines};
use core::ops::Range;

/// A buffer that is needed from one time to another, both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// In elements.
    pub len: usize,
    pub first: usize,
    pub last: usize,
    /// Where it begins, once it is placed.
    start: usize,
    /// Those of more are placed before.
    urgency: usize,
}

/// The start of a buffer that has no place: behind all others.
const NOWHERE: usize = usize::MAX;

impl Lifetime {
    pub fn new(len: usize, first: usize, last: usize) -> Lifetime {
        Lifetime { len, first, last, start: NOWHERE, urgency: 0 }
    }

    fn meets(&self, other: &Lifetime) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// The first whole line behind it.
    fn end(&self) -> usize {
        end_of(self.start, self.len)
    }

    /// Where it lies; an empty one anywhere.
    pub fn place(&self) -> Range<usize> {
        if self.len == 0 { 0..0 } else { self.start..self.start + self.len }
    }
}

/// An arena for buffers.
pub(crate) struct Placed {
    /// Elements of the arena.
    pub len: usize,
    /// The least that any placing takes: the most that is needed at one time.
    pub bound: usize,
}

/// Places each buffer apart from all that are needed at the same time.
///
/// The largest comes first, each goes to the lowest place that is free (Pisarchyk and Lee, arXiv 2001.03288, greedy by
/// size). Where that takes more than is needed at one time, the buffer that reached furthest is placed before all others,
/// some times over. At last they are tried in their order, at the lowest and at the highest free place in turn: a chain of
/// layers has one value between two steps and needs no more.
///
/// What takes more than there are numbers for ends there: [`whole_lines`] and sums saturate, and whoever asks for an arena
/// [checks](crate::memory::buffer::check_len) its length.
pub(crate) fn place(buffers: &mut [Lifetime]) -> Placed {
    let bound = peak(buffers);
    // As many as take no longer than planning a large net may.
    let last = 1 + 8192 / buffers.len().max(512);
    let mut attempt = |this: usize| match this {
        _ if this == last => place_from_both_ends(buffers, bound),
        _ => place_by_size(buffers, this),
    };
    let (mut len, mut best) = (usize::MAX, 0);
    for this in 0..=last {
        let other = attempt(this);
        if other < len {
            (len, best) = (other, this);
        }
        if len <= bound {
            return Placed { len, bound };
        }
    }
    // Each begins with what the one before it has left.
    for this in 0..=best {
        attempt(this);
    }
    Placed { len, bound }
}

/// After the first attempt, what reached furthest in the one before is placed before all others. Gives the elements of the
/// arena.
fn place_by_size(buffers: &mut [Lifetime], attempt: usize) -> usize {
    let placed = buffers.iter_mut().filter(|buffer| buffer.len > 0);
    match placed.max_by_key(|buffer| buffer.end()) {
        Some(furthest) if attempt > 0 => furthest.urgency = attempt,
        _ => buffers.iter_mut().for_each(|buffer| buffer.urgency = 0),
    }
    let mut arena = 0;
    buffers.iter_mut().for_each(|buffer| buffer.start = NOWHERE);
    // They are few; sorting by the library takes four KiB of a chip's flash.
    while let Some(index) = largest(buffers) {
        let start = free(buffers, index, None);
        arena = arena.max(put(&mut buffers[index], start));
    }
    arena
}

fn place_from_both_ends(buffers: &mut [Lifetime], bound: usize) -> usize {
    let (mut arena, mut from_the_end) = (0, false);
    buffers.iter_mut().for_each(|buffer| buffer.start = NOWHERE);
    for index in 0..buffers.len() {
        let Lifetime { len, first, last, .. } = buffers[index];
        if len > 0 {
            let passes = first == last;
            let start = free(buffers, index, (from_the_end && !passes).then_some(bound));
            from_the_end ^= !passes;
            arena = arena.max(put(&mut buffers[index], start));
        }
    }
    arena
}

/// The first of the largest that have no place, of those that are the most urgent.
fn largest(buffers: &[Lifetime]) -> Option<usize> {
    let (mut largest, mut most) = (None, (0, 0));
    for (index, buffer) in buffers.iter().enumerate() {
        let this = (buffer.urgency, buffer.len);
        if this > most && buffer.len > 0 && buffer.start == NOWHERE {
            (largest, most) = (Some(index), this);
        }
    }
    largest
}

/// The start of the lowest free place, or of the highest that ends before `end`, if there is one.
fn free(buffers: &[Lifetime], index: usize, end: Option<usize>) -> usize {
    let buffer = &buffers[index];
    let len = whole_lines(buffer.len);
    let mut start = end.map_or(0, |end| end.saturating_sub(len));
    loop {
        let taken = buffers.iter().find(|other| {
            other.start < start.saturating_add(len) && start < other.end() && other.meets(buffer)
        });
        start = match (taken, end) {
            (None, _) => return start,
            (Some(taken), None) => taken.end(),
            (Some(taken), Some(_)) if taken.start >= len => taken.start - len,
            // There is none below the end.
            (Some(_), Some(_)) => return free(buffers, index, None),
        };
    }
}

/// Gives the place after it.
fn put(buffer: &mut Lifetime, start: usize) -> usize {
    buffer.start = start;
    buffer.end()
}

/// Elements that are needed at a time.
pub(crate) fn needed_at(buffers: &[Lifetime], time: usize) -> usize {
    let needed = buffers.iter().filter(|buffer| (buffer.first..=buffer.last).contains(&time));
    needed.fold(0, |sum, buffer| end_of(sum, buffer.len))
}

/// The most that is needed at one time: no arena is smaller.
pub(crate) fn peak(buffers: &[Lifetime]) -> usize {
    fullest(buffers).0
}

/// The most that is needed at one time, and that time.
pub(crate) fn fullest(buffers: &[Lifetime]) -> (usize, usize) {
    // It begins to be needed with one of them.
    buffers.iter().fold((0, 0), |most, buffer| {
        let needed = needed_at(buffers, buffer.first);
        if needed > most.0 { (needed, buffer.first) } else { most }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::buffer::check_len;
    use alloc::vec::Vec;

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
                Lifetime::new(next(70), first, first + next(4))
            })
            .collect()
    }

    #[test]
    fn buffers_needed_at_one_time_lie_apart() {
        let mut above = 0;
        for seed in 0..300 {
            let mut buffers = buffers(seed);
            let Placed { len: arena, bound } = place(&mut buffers);
            above += usize::from(arena > bound);
            let places: Vec<_> = buffers.iter().map(Lifetime::place).collect();
            assert!(arena >= bound && bound == peak(&buffers));
            for (i, a) in buffers.iter().enumerate() {
                assert!(places[i].len() == a.len && places[i].end <= arena);
                for (j, b) in buffers.iter().enumerate().take(i) {
                    let apart = places[i].end <= places[j].start || places[j].end <= places[i].start;
                    assert!(apart || !a.meets(b), "{a:?} {b:?} {places:?}");
                }
            }
        }
        // By size and from both ends alone it would be 27.
        assert!(above <= 5, "{above}");
    }

    #[test]
    fn a_chain_of_equals_takes_two() {
        let mut buffers: Vec<_> = (0..9).map(|i| Lifetime::new(30, i, i + 1)).collect();
        assert_eq!(peak(&buffers), 2 * 32);
        assert_eq!(place(&mut buffers).len, 2 * 32);
        assert_eq!(place(&mut []).len, 0);
    }

    #[test]
    fn an_arena_that_cannot_exist_is_refused() {
        let half = isize::MAX as usize / size_of::<f32>() / 2 + 64;
        let mut buffers = [Lifetime::new(half, 0, 1); 2];
        assert!(check_len(place(&mut buffers).len).is_err());
        assert!(check_len(peak(&buffers)).is_err());
        assert!(check_len(place(&mut buffers[..1]).len).is_ok());
    }
}
