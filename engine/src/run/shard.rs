use super::training_step::Run;
use crate::error::Error;
use crate::graph::Model;
use crate::loss::Criterion;
use crate::memory::buffer::Buffer;
use crate::plan::training::TrainingLayout;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise;
use core::ops::Range;

/// What a shard learns: some samples of a batch, whose loss is that share of the batch's.
pub(crate) struct Lesson<'a, 'm> {
    pub model: &'a Model<'m>,
    pub layout: &'a TrainingLayout,
    /// Weights of the frozen base.
    pub prepared: &'a [f32],
    pub criterion: &'a Criterion,
    pub seed: u64,
    pub share: f32,
    pub samples: &'a [f32],
    pub targets: &'a [f32],
}

/// A part of a batch that is learnt apart from its others.
#[derive(Default)]
pub(crate) struct Shard {
    transient: Buffer,
    pub loss: f32,
    pub correct: Option<usize>,
}

impl Shard {
    /// Room for a layout's gradients and values.
    pub fn reserve(&mut self, layout: &TrainingLayout) -> Result<(), Error> {
        self.transient.grow(layout.transient)
    }

    /// A stretch of a step's time: at the end of the last, the gradients, and its share of the loss, are the shard's part of
    /// the batch's.
    pub fn learn(&mut self, lesson: &Lesson<'_, '_>, stretch: Range<usize>) -> Result<(), Error> {
        let Lesson { model, layout, prepared, criterion, seed, share, samples, targets } = *lesson;
        let run = Run { model, layout, learnt_in: None, samples };
        let transient = &mut self.transient[..layout.transient];
        let (batch, loss_at) = (layout.options.batch, layout.loss_at());
        if stretch.start == 0 {
            run.base(prepared, transient, batch)?;
        }
        for time in stretch.clone() {
            if time < loss_at {
                run.step(transient, time, batch, Some(seed))?;
            } else if time == loss_at {
                let (loss, correct) = run.loss(transient, criterion, targets, share)?;
                (self.loss, self.correct) = (loss * share, correct);
            } else if layout.steps[layout.step_at(time)].learns {
                run.backward(transient, layout.step_at(time))?;
            }
        }
        match stretch.end {
            end if end == layout.end() => Ok(()),
            end if end < loss_at => run.gather(transient, end),
            end => run.gather_gradient(transient, layout.step_at(end)),
        }
    }

    /// Merges what the shards of a batch gathered to be known at that time, and gives it to all. The order depends on how many
    /// shards there are, and on nothing else.
    pub fn merge<'l>(
        shards: &mut [Shard],
        layout_of: impl Fn(usize) -> &'l TrainingLayout,
        time: usize,
    ) -> Result<(), Error> {
        let count = shards.len();
        let samples = |range: Range<usize>| -> usize {
            range.take_while(|&i| i < count).map(|i| layout_of(i).options.batch).sum()
        };
        let mut apart = 1;
        while apart < count {
            for i in (0..count - apart).step_by(2 * apart) {
                let other = i + apart;
                let share = samples(other..other + apart) as f32 / samples(i..other + apart) as f32;
                let (sums, others) = shards.split_at_mut(other);
                let merged = &mut sums[i].transient[layout_of(i).statistics_at(time)];
                let other = &others[0].transient[layout_of(other).statistics_at(time)];
                layout_of(i).merge(time, merged, other, share)?;
            }
            apart *= 2;
        }
        let Some((first, others)) = shards.split_first_mut() else { return Ok(()) };
        let merged = &first.transient[layout_of(0).statistics_at(time)];
        for (i, other) in others.iter_mut().enumerate() {
            other.transient[layout_of(i + 1).statistics_at(time)].copy_from_slice(merged);
        }
        Ok(())
    }

    /// Calls `with` for each parameter that follows the statistics of batches, and with what moves it.
    pub fn follow(&self, layout: &TrainingLayout, mut with: impl FnMut(usize, &dyn Fn(&mut [f32]))) {
        layout.follow(&self.transient, |learnt, update| with(learnt.parameter, update));
    }

    /// All gradients, one after the other.
    pub fn gradients(&self, layout: &TrainingLayout) -> &[f32] {
        &self.transient[..layout.gradients]
    }

    /// Adds another shard's gradients.
    pub fn add(&mut self, layout: &TrainingLayout, other: &Shard) -> Result<(), Error> {
        let sums = &mut self.transient[..layout.gradients];
        Ok(elementwise::add_assign(layout.options.isa, Activation::None, sums, other.gradients(layout))?)
    }
}
