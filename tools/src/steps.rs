//! Epochs of another length than their data set's.

use bantam::{Dataset, Error, Shape};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::cell::RefCell;

/// A data set of which an epoch takes so many samples, drawn by the epoch's seed: none twice before all were taken. Where no
/// epoch begins, as when a model is measured, they are the first.
///
/// With batches of 20, 100 steps are an epoch of 2,000 samples (`steps_per_epoch` and `validation_steps` in Keras).
#[derive(Debug)]
pub struct Steps<D> {
    data: D,
    /// The samples of this epoch.
    chosen: RefCell<Vec<usize>>,
}

impl<D: Dataset> Steps<D> {
    /// So many samples of a data set in an epoch, which may be more than it has.
    ///
    /// # Panics
    /// The data set is empty.
    pub fn new(data: D, len: usize) -> Steps<D> {
        let chosen = (0..len).map(|i| i % data.len()).collect();
        Steps { data, chosen: RefCell::new(chosen) }
    }

    fn at(&self, index: usize) -> usize {
        self.chosen.borrow()[index]
    }
}

impl<D: Dataset> Dataset for Steps<D> {
    fn len(&self) -> usize {
        self.chosen.borrow().len()
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
        let mut chosen = self.chosen.borrow_mut();
        let mut rest = Vec::new();
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
