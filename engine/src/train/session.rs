//! Plans and sessions of a trainer's batch size, optimiser, loss, instruction set and threads.

use super::Trainer;
use crate::error::Error;
use crate::graph::Model;
use crate::loss::penalties;
use crate::memory::arena::{self, Arena};
use crate::memory::buffer::Buffer;
use crate::memory::heap;
use crate::plan::parts::Parts;
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
        model.only_input()?.with_batch(trainer.batch_size)?;
        let parts = Parts::new(trainer.batch_size, trainer.checked_micro_batch(trainer.batch_size)?);
        TrainingPlan::in_parts(trainer, model, way, parts)
    }

    fn in_parts(
        trainer: &Trainer,
        model: &'m Model<'m>,
        way: Way,
        parts: Parts,
    ) -> Result<TrainingPlan<'m>, Error> {
        let Trainer { optimizer, loss, class_weights, seed, .. } = trainer;
        let options = (trainer.options(parts.samples), parts);
        TrainingPlan::by_rule(optimizer.rule(), *loss, options, *seed, way, model)?
            .with(class_weights, penalties(&trainer.regularizers, model)?)
    }

    /// All ways that are worth it, the fastest first: each takes less memory than those before it. Behind those of the
    /// trainer's [micro-batch](Trainer::micro_batch) come those of smaller ones, whose bits are others.
    ///
    /// ```
    /// use bantam::{Loss, Sequential, Sgd, Trainer, TrainingPlan};
    /// let model = Sequential::new([28, 28, 1]).conv2d(8, 3).relu().conv2d(8, 3).relu().flatten().dense(10).build(1)?;
    /// let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy);
    /// for plan in TrainingPlan::ways(&trainer, &model)? {
    ///     println!("{} at a time, {}: {} bytes", plan.micro_batch(), plan.way(), plan.peak_bytes());
    /// }
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](TrainingPlan::new).
    pub fn ways(trainer: &Trainer, model: &'m Model<'m>) -> Result<Vec<TrainingPlan<'m>>, Error> {
        let mut plans = Vec::new();
        let mut first = TrainingPlan::new(trainer, model)?;
        loop {
            let (parts, known) = (first.parts, plans.len());
            let (steps, smaller) = (first.layout.steps.len(), first.smaller_parts());
            plans.push(first);
            for way in Way::all(steps).skip(1) {
                plans.push(TrainingPlan::in_parts(trainer, model, way, parts)?);
            }
            plans[known..].sort_by_key(|plan| (plan.layout.cost(), plan.peak_bytes()));
            let Some(parts) = smaller else { break };
            first = TrainingPlan::in_parts(trainer, model, Way::KeepAll, parts)?;
        }
        let mut least = usize::MAX;
        plans.retain(|plan| {
            let less = plan.peak_bytes() < least;
            least = least.min(plan.peak_bytes());
            less
        });
        Ok(plans)
    }

    /// The next smaller micro-batches, if there are any and they can be learnt one after the other.
    fn smaller_parts(&self) -> Option<Parts> {
        let Parts { count, samples, .. } = self.parts;
        let parts = Parts::equal(count * samples, samples.div_ceil(2));
        (samples > 1 && !self.layout.needs_whole_batch()).then_some(parts)
    }

    /// The fastest way that takes so many bytes at the most. What is learnt has the bits of [`new`](TrainingPlan::new), unless
    /// nothing does but smaller [micro-batches](Trainer::micro_batch), whose gradients add up to the same within rounding.
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
        if first.peak_bytes() <= bytes {
            return Ok(first);
        }
        let steps = first.layout.steps.len();
        let (mut parts, mut smaller) = (first.parts, first.smaller_parts());
        drop(first);
        let mut least = (usize::MAX, Way::KeepAll, parts);
        loop {
            let mut best: Option<(u64, Way)> = None;
            for way in Way::all(steps) {
                let plan = TrainingPlan::in_parts(trainer, model, way, parts)?;
                let (peak, cost) = (plan.peak_bytes(), plan.layout.cost());
                if peak < least.0 {
                    least = (peak, way, parts);
                }
                if peak <= bytes && best.is_none_or(|(other, _)| cost < other) {
                    best = Some((cost, way));
                }
                smaller = plan.smaller_parts();
            }
            if let Some((_, way)) = best {
                return TrainingPlan::in_parts(trainer, model, way, parts);
            }
            let Some(next) = smaller else { break };
            parts = next;
        }
        let (expected, way, parts) = least;
        let plan = TrainingPlan::in_parts(trainer, model, way, parts)?;
        let node = plan.layout.fullest_node(model);
        let layer = node.map_or(Ok(String::new()), |node| heap::text(model.nodes()[node].name()))?;
        Err(Error::BudgetTooSmall { expected, got: bytes, layer })
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
