//! Samples that threads read ahead, in the order in which they will be asked for.

use super::decode::Converted;
use super::error::ImageError;
use super::resize::Scratch;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What reading a sample gave: its pixels, and what was done to them.
pub(super) type Sample = Result<(Vec<f32>, Converted), ImageError>;

/// Reads the sample of an index, with what is drawn at random drawn from a seed, if anything is.
pub(super) type Read = dyn Fn(usize, Option<u64>, &mut Scratch, Vec<f32>) -> Sample + Send + Sync;

/// Threads that read. They end with it.
pub(super) struct Queue {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    read: Box<Read>,
    /// The most samples that are read and not yet taken.
    ahead: usize,
    state: Mutex<State>,
    /// There is something to read.
    work: Condvar,
    /// Something was read.
    ready: Condvar,
}

#[derive(Default)]
struct State {
    order: Vec<usize>,
    seed: Option<u64>,
    /// How often the order was given. What was begun for an earlier one is thrown away.
    round: usize,
    /// How many of the order were taken.
    taken: usize,
    /// Those behind them that are being read, or were.
    slots: VecDeque<Option<Sample>>,
    /// Memory of those that were taken.
    spare: Vec<Vec<f32>>,
    closed: bool,
}

impl Queue {
    /// Nothing is to be read yet.
    pub fn new(threads: usize, ahead: usize, read: Box<Read>) -> Queue {
        let shared = Arc::new(Shared {
            read,
            ahead: ahead.max(1),
            state: Mutex::default(),
            work: Condvar::new(),
            ready: Condvar::new(),
        });
        let worker = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        };
        let threads = (0..threads.max(1)).map(worker).collect();
        Queue { shared, threads }
    }

    /// From now on samples are read in this order.
    pub fn begin(&self, order: Vec<usize>, seed: Option<u64>) {
        let mut state = self.shared.lock();
        let State { spare, round, .. } = std::mem::take(&mut *state);
        *state = State { order, seed, spare, round: round + 1, ..State::default() };
        self.shared.work.notify_all();
    }

    /// Takes the next sample, if it is of that index.
    pub fn take(&self, index: usize) -> Option<Sample> {
        let mut state = self.shared.lock();
        if state.order.get(state.taken) != Some(&index) {
            return None;
        }
        loop {
            if let Some(Some(_)) = state.slots.front() {
                state.taken += 1;
                self.shared.work.notify_one();
                return state.slots.pop_front().flatten();
            }
            state = self.shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives back the memory of a sample.
    pub fn recycle(&self, pixels: Vec<f32>) {
        let mut state = self.shared.lock();
        if state.spare.len() < self.shared.ahead {
            state.spare.push(pixels);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // Where it panicked it has said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// No reader panics with the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut scratch = Scratch::default();
        let mut state = self.lock();
        while !state.closed {
            let next = state.taken + state.slots.len();
            let Some(&index) = state.order.get(next).filter(|_| state.slots.len() < self.ahead) else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.slots.push_back(None);
            let (round, seed) = (state.round, state.seed);
            let memory = state.spare.pop().unwrap_or_default();
            drop(state);
            let sample = (self.read)(index, seed, &mut scratch, memory);
            state = self.lock();
            if state.round == round {
                let slot = next - state.taken;
                state.slots[slot] = Some(sample);
                self.ready.notify_all();
            }
        }
    }
}
