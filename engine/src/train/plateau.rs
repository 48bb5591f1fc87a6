use crate::error::Error;

/// Cuts the learning rate when a loss no longer falls. Keras's rules and defaults, where a cooldown of 1 has no effect; but
/// what it remembers goes on from one [`fit`](crate::Trainer::fit) to the next as the optimiser's state does.
///
/// ```
/// use bantam::{Adam, Loss, Monitor, ReduceLrOnPlateau, Trainer};
/// let plateau = ReduceLrOnPlateau { monitor: Monitor::Loss, patience: 3, ..ReduceLrOnPlateau::default() };
/// let trainer = Trainer::new(Adam::default(), Loss::SoftmaxCrossEntropy).reduce_lr_on_plateau(plateau);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReduceLrOnPlateau {
    /// What is watched.
    pub monitor: Monitor,
    /// What the rate is multiplied by.
    pub factor: f32,
    /// It is cut in so many epochs in a row that are no better than the best, at least in one.
    pub patience: u64,
    /// An epoch is better if its loss is smaller than the best by more than this.
    pub min_delta: f32,
    /// Epochs after a cut, the one of the cut among them, in which none counts as no better.
    pub cooldown: u64,
    /// No rate is cut to less.
    pub min_rate: f32,
}

/// A loss at the end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitor {
    /// The mean over the epoch's batches.
    Loss,
    /// On the validation set.
    ValidationLoss,
}

impl Default for ReduceLrOnPlateau {
    fn default() -> ReduceLrOnPlateau {
        ReduceLrOnPlateau {
            monitor: Monitor::ValidationLoss,
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_rate: 0.0,
        }
    }
}

/// What is remembered of the epochs so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Plateau {
    pub best: Option<f32>,
    /// Epochs that were no better.
    pub wait: u64,
    /// Epochs that do not count.
    pub cooldown: u64,
}

impl ReduceLrOnPlateau {
    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse = |what, expected, got| Err(Error::OutOfRange { what, expected, got });
        if !(0.0..1.0).contains(&self.factor) {
            return refuse("factor of a plateau", "at least 0 and less than 1", self.factor);
        }
        for (what, number) in
            [("least difference of a plateau", self.min_delta), ("least learning rate", self.min_rate)]
        {
            if !(0.0..=f32::MAX).contains(&number) {
                return refuse(what, "a finite number of at least 0", number);
            }
        }
        Ok(())
    }

    /// Sees an epoch's loss. Gives the rate to go on with if it is another.
    pub(super) fn see(&self, seen: &mut Plateau, loss: f32, rate: f32) -> Option<f32> {
        if seen.cooldown > 0 {
            seen.cooldown -= 1;
            seen.wait = 0;
        }
        let better = |best: f32| f64::from(loss) + f64::from(self.min_delta) < f64::from(best);
        if seen.best.is_none_or(better) {
            (seen.best, seen.wait) = (Some(loss), 0);
            return None;
        }
        if seen.cooldown > 0 {
            return None;
        }
        seen.wait = seen.wait.saturating_add(1);
        if seen.wait < self.patience || rate <= self.min_rate {
            return None;
        }
        (seen.wait, seen.cooldown) = (0, self.cooldown);
        Some((rate * self.factor).max(self.min_rate))
    }
}
