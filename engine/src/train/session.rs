//! Plans and sessions of a trainer's batch size, optimiser, loss, instruction set and threads.

use super::Trainer;
use crate::error::Error;
use crate::graph::Model;
use crate::loss::penalties;
use crate::memory::arena::{self, Arena};
use crate::memory::buffer::Buffer;
use crate::memory::heap;
use crate::plan::{TrainingPlan, Way};
use crate::run::TrainingSession;
use alloc::string::String;
use alloc::vec::Vec;

impl<'m> TrainingPlan<'m> {
    /// For steps of a trainer's batch size, with its optimiser, loss, instruction set and threads.
    ///
    /// # Errors
    /// No layer with weights is trainable, the batch is empty, the model has several inputs or outputs, or it takes more
    /// than memory can hold.
    pub fn new(trainer: &Trainer, model: &'m Model<'m>) -> Result<TrainingPlan<'m>, Error> {
        TrainingPlan::by_way(trainer, model, Way::KeepAll)
    }

    /// The same, by a way to keep less and compute more. What is learnt has the same bits.
    ///
    /// # Errors
    /// As [`new`](TrainingPlan::new).
    pub fn by_way(trainer: &Trainer, model: &'m Model<'m>, way: Way) -> Result<TrainingPlan<'m>, Error> {
        let Trainer { optimizer, loss, class_weights, batch_size, seed, .. } = trainer;
        TrainingPlan::by_rule(optimizer.rule(), *loss, trainer.options(*batch_size), *seed, way, model)?
            .with(class_weights, penalties(&trainer.regularizers, model)?)
    }

    /// All ways that are worth it, the fastest first: each takes less memory than those before it.
    ///
    /// ```
    /// use bantam::{Loss, Sequential, Sgd, Trainer, TrainingPlan};
    /// let model = Sequential::new([28, 28, 1]).conv2d(8, 3).relu().conv2d(8, 3).relu().flatten().dense(10).build(1)?;
    /// let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy);
    /// for plan in TrainingPlan::ways(&trainer, &model)? {
    ///     println!("{}: {} bytes, {} multiply-adds", plan.way(), plan.peak_bytes(), plan.multiply_adds());
    /// }
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](TrainingPlan::new).
    pub fn ways(trainer: &Trainer, model: &'m Model<'m>) -> Result<Vec<TrainingPlan<'m>>, Error> {
        let first = TrainingPlan::new(trainer, model)?;
        let others = Way::all(first.layout.steps.len()).skip(1);
        let mut plans = Vec::from([first]);
        for way in others {
            plans.push(TrainingPlan::by_way(trainer, model, way)?);
        }
        plans.sort_by_key(|plan| (plan.layout.cost(), plan.peak_bytes()));
        let mut least = usize::MAX;
        plans.retain(|plan| {
            let less = plan.peak_bytes() < least;
            least = least.min(plan.peak_bytes());
            less
        });
        Ok(plans)
    }

    /// The fastest way that takes so many bytes at the most.
    ///
    /// ```
    /// use bantam::{Loss, Sequential, Sgd, Trainer, TrainingPlan};
    /// let net = Sequential::new([28, 28, 1]).conv2d(8, 3).batch_normalization().relu();
    /// let net = net.conv2d(8, 3).batch_normalization().relu().conv2d(8, 3).batch_normalization().relu();
    /// let model = net.global_average_pool2d().dense(10).build(1)?;
    /// let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy);
    /// let all = TrainingPlan::new(&trainer, &model)?.peak_bytes();
    /// let plan = TrainingPlan::within(&trainer, &model, all - 1)?;
    /// assert!(plan.peak_bytes() < all);
    /// let mut session = plan.session()?;
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](TrainingPlan::new), or no way takes so little: the error tells the least that would do, and the layer that
    /// needs it.
    pub fn within(trainer: &Trainer, model: &'m Model<'m>, bytes: usize) -> Result<TrainingPlan<'m>, Error> {
        // One plan at a time: they may be larger than the memory of a chip that is left.
        let first = TrainingPlan::new(trainer, model)?;
        let steps = first.layout.steps.len();
        if first.peak_bytes() <= bytes {
            return Ok(first);
        }
        drop(first);
        let mut best: Option<(u64, Way)> = None;
        let mut least = (usize::MAX, Way::KeepAll);
        for way in Way::all(steps) {
            let plan = TrainingPlan::by_way(trainer, model, way)?;
            let (peak, cost) = (plan.peak_bytes(), plan.layout.cost());
            if peak < least.0 {
                least = (peak, way);
            }
            if peak <= bytes && best.is_none_or(|(other, _)| cost < other) {
                best = Some((cost, way));
            }
        }
        if let Some((_, way)) = best {
            return TrainingPlan::by_way(trainer, model, way);
        }
        let plan = TrainingPlan::by_way(trainer, model, least.1)?;
        let node = plan.layout.fullest_node(model);
        let layer = node.map_or(Ok(String::new()), |node| heap::text(model.nodes()[node].name()))?;
        Err(Error::BudgetTooSmall { expected: least.0, got: bytes, layer })
    }

    /// A session in memory of its own; the weights begin as the model has them.
    ///
    /// # Errors
    /// There is no memory for the arena, or weights are beyond what a step can compute with.
    pub fn session(self) -> Result<TrainingSession<'m>, Error> {
        let arena = Arena::Own(Buffer::try_new(self.arena_len())?);
        TrainingSession::begin(self, arena)
    }

    /// As [`session`](TrainingPlan::session), in the caller's memory, of which it uses
    /// [`arena_len`](TrainingPlan::arena_len) elements.
    ///
    /// # Errors
    /// The arena is too small: the error tells how many bytes are missing; or weights are beyond what a step can compute
    /// with.
    pub fn session_in(self, arena: &'m mut [f32]) -> Result<TrainingSession<'m>, Error> {
        let arena = Arena::lent(arena, self.arena_len())?;
        TrainingSession::begin(self, arena)
    }
}

impl<'m> TrainingSession<'m> {
    /// In memory of its own; the weights begin as the model has them.
    ///
    /// # Errors
    /// As [`TrainingPlan::new`].
    pub fn new(trainer: &Trainer, model: &'m Model<'m>) -> Result<TrainingSession<'m>, Error> {
        TrainingPlan::new(trainer, model)?.session()
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
        TrainingPlan::new(trainer, model)?.session_in(arena)
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
