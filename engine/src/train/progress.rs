use super::Trainer;
use super::plateau::Plateau;
use super::running::Running;
use crate::error::Error;
use crate::graph::Model;
use crate::memory::heap;
use crate::optimizer::{Asks, Optimizer};
use alloc::vec::Vec;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Where a training is, beside the model and the optimiser's state.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub random: Xoshiro256PlusPlus,
    /// Of samples, in the last epoch.
    pub order: Vec<usize>,
    /// How far that came.
    pub epoch: Begun,
    /// Whole epochs.
    pub epochs: u64,
    /// Of the weights that it left.
    pub checksum: u64,
    pub plateau: Plateau,
    /// Whether it left moving averages in the model, if the optimiser has them, and the weights with the optimiser.
    pub averaged: bool,
}

/// An epoch that was stopped, or is over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Begun {
    /// What the data set draws from.
    pub seed: u64,
    /// The figures of what was learnt.
    pub running: Running,
}

impl Trainer {
    /// Where the last `fit` left off, if it left the model like this.
    pub(super) fn resume(&mut self, model: &Model<'_>, samples: usize) -> Result<Progress, Error> {
        let in_order = || {
            let mut order = heap::list(samples)?;
            order.extend(0..samples);
            Ok::<_, Error>(order)
        };
        if self.progress.as_ref().is_some_and(|progress| progress.checksum != model.checksum()) {
            self.forget();
        }
        match self.progress.take() {
            Some(progress) if progress.order.len() == samples => Ok(progress),
            Some(progress) => Ok(Progress { order: in_order()?, epoch: Begun::default(), ..progress }),
            None => {
                let random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
                let (order, checksum) = (in_order()?, model.checksum());
                let (epoch, plateau) = Default::default();
                Ok(Progress { random, order, epoch, epochs: 0, checksum, plateau, averaged: false })
            }
        }
    }

    /// Drops what an earlier training left. An optimiser that was in none keeps the state that it came with.
    pub(super) fn forget(&mut self) {
        if self.progress.take().is_some() {
            self.optimizer = self.optimizer.restarted();
        }
    }
}

/// Exchanges a model's weights and their moving averages, if the optimiser has them.
pub(super) fn swap_ema(optimizer: &mut Optimizer, model: &mut Model<'_>) -> Result<(), Error> {
    if !optimizer.rule().asks(Asks::Average) {
        return Ok(());
    }
    let count = model.parameters().len();
    (0..count).try_for_each(|parameter| optimizer.swap_ema(parameter, model.values_mut(parameter)))
}
