//! Plans and sessions of a trainer's batch size, optimiser, loss, instruction set and threads.

use super::Trainer;
use crate::error::Error;
use crate::graph::Model;
use crate::memory::arena::{self, Arena};
use crate::memory::buffer::Buffer;
use crate::plan::TrainingPlan;
use crate::plan::timeline::Way;
use crate::run::TrainingSession;

impl<'m> TrainingPlan<'m> {
    /// For steps of a trainer's batch size, with its optimiser, loss, instruction set and threads.
    ///
    /// # Errors
    /// No layer with weights is trainable, the batch is empty, the model has several inputs or outputs, or it takes more
    /// than memory can hold.
    pub fn new(trainer: &Trainer, model: &'m Model<'m>) -> Result<TrainingPlan<'m>, Error> {
        let Trainer { optimizer, loss, batch_size, .. } = trainer;
        TrainingPlan::by_rule(optimizer.rule(), *loss, trainer.options(*batch_size), Way::KeepAll, model)
    }
}

impl<'m> TrainingSession<'m> {
    /// In memory of its own; the weights begin as the model has them.
    ///
    /// # Errors
    /// As [`TrainingPlan::new`].
    pub fn new(trainer: &Trainer, model: &'m Model<'m>) -> Result<TrainingSession<'m>, Error> {
        let plan = TrainingPlan::new(trainer, model)?;
        let arena = Arena::Own(Buffer::try_new(plan.arena_len())?);
        TrainingSession::begin(plan, arena, trainer.seed)
    }

    /// As [`new`](TrainingSession::new), in the caller's memory, of which it uses [`TrainingPlan::arena_len`] elements.
    ///
    /// # Errors
    /// As [`new`](TrainingSession::new), or the arena is too small: the error tells how many bytes are missing.
    pub fn with_arena(
        trainer: &Trainer,
        model: &'m Model<'m>,
        arena: &'m mut [f32],
    ) -> Result<TrainingSession<'m>, Error> {
        let plan = TrainingPlan::new(trainer, model)?;
        let arena = Arena::lent(arena, plan.arena_len())?;
        TrainingSession::begin(plan, arena, trainer.seed)
    }

    /// As [`with_arena`](TrainingSession::with_arena), in bytes.
    ///
    /// # Errors
    /// As [`with_arena`](TrainingSession::with_arena), or the bytes do not begin at a multiple of four.
    pub fn with_bytes(
        trainer: &Trainer,
        model: &'m Model<'m>,
        arena: &'m mut [u8],
    ) -> Result<TrainingSession<'m>, Error> {
        TrainingSession::with_arena(trainer, model, arena::from_bytes(arena)?)
    }
}
