use bantam::{Dataset, Error, Shape};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::cell::RefCell;

/// A data set of which an epoch takes so many samples. The next one goes on with the others, and once all were taken they are
/// shuffled and taken again.
pub struct Steps<D> {
    data: D,
    len: usize,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The samples of this epoch.
    chosen: Vec<usize>,
    /// Those that are not yet taken.
    rest: Vec<usize>,
}

impl<D: Dataset> Steps<D> {
    pub fn new(data: D, len: usize) -> Steps<D> {
        let chosen = (0..len).map(|i| i % data.len()).collect();
        Steps { data, len, state: RefCell::new(State { chosen, rest: Vec::new() }) }
    }

    fn at(&self, index: usize) -> usize {
        self.state.borrow().chosen[index]
    }
}

impl<D: Dataset> Dataset for Steps<D> {
    fn len(&self) -> usize {
        self.len
    }

    fn input_shape(&self) -> Shape {
        self.data.input_shape()
    }

    fn target_len(&self) -> usize {
        self.data.target_len()
    }

    fn weight(&self, index: usize) -> f32 {
        self.data.weight(self.at(index))
    }

    fn begin_epoch(&self, order: &[usize], seed: u64) -> Result<(), Error> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut state = self.state.borrow_mut();
        let State { chosen, rest } = &mut *state;
        for chosen in chosen.iter_mut() {
            if rest.is_empty() {
                rest.extend(0..self.data.len());
            }
            let at = (u128::from(random.next_u64()) * rest.len() as u128) >> 64;
            *chosen = rest.swap_remove(at as usize);
        }
        let order: Vec<usize> = order.iter().map(|&index| chosen[index]).collect();
        self.data.begin_epoch(&order, seed)
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        self.data.read(self.at(index), input, target)
    }
}
