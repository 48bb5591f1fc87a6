use super::training_step::{Late, Run};
use crate::error::Error;
use crate::graph::Model;
use crate::loss::Criterion;
use crate::memory::buffer::Buffer;
use crate::plan::training::TrainingLayout;
use crate::plan::way::Event;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise;
use core::ops::Range;

/// What a shard learns: some samples of a batch, whose loss is that share of the batch's.
pub(crate) struct Lesson<'a, 'm> {
    pub model: &'a Model<'m>,
    pub layout: &'a TrainingLayout,
    /// What the frozen base is in, and its weights.
    pub base: &'a Model<'m>,
    pub prepared: &'a [f32],
    pub criterion: &'a Criterion<'a>,
    pub seed: u64,
    pub share: f32,
    pub samples: &'a [f32],
    pub targets: &'a [f32],
    pub weights: &'a [f32],
}

/// A part of a batch that is learnt apart from its others.
pub(crate) struct Shard {
    transient: Buffer,
    pub loss: f32,
    pub correct: Option<usize>,
}

impl Shard {
    /// With room for so many gradients and values.
    pub fn new(len: usize) -> Result<Shard, Error> {
        Ok(Shard { transient: Buffer::try_new(len)?, loss: 0.0, correct: None })
    }

    /// Runs the frozen base, before the first stretch.
    pub fn begin(&mut self, lesson: &Lesson<'_, '_>) -> Result<(), Error> {
        let Lesson { model, layout, base, prepared, share, samples, .. } = *lesson;
        let run = Run { model, layout, learnt_in: None, samples, share };
        run.base(base, prepared, &mut self.transient[..layout.transient], layout.options.batch)
    }

    /// A stretch of a step's time: at the end of the last, the gradients, and its share of the loss, are the shard's part of
    /// the batch's.
    pub fn learn(&mut self, lesson: &Lesson<'_, '_>, stretch: Range<usize>) -> Result<(), Error> {
        let Lesson { model, layout, criterion, seed, share, samples, targets, weights, .. } = *lesson;
        let run = Run { model, layout, learnt_in: None, samples, share };
        let transient = &mut self.transient[..layout.transient];
        let batch = layout.options.batch;
        for &event in &layout.events[stretch.clone()] {
            match event {
                Event::Forward(k) => {
                    let penalty = share * run.step(transient, k, batch, Some(seed), Late(false))?;
                    self.loss = if k == 0 { penalty } else { self.loss + penalty };
                }
                Event::Loss => {
                    let (loss, correct) = run.loss(transient, criterion, (targets, weights), share)?;
                    (self.loss, self.correct) = (self.loss + loss * share, correct);
                }
                Event::Again(k) => {
                    run.step(transient, k, batch, Some(seed), Late(true))?;
                }
                Event::Back(k) => run.backward(transient, k)?,
            }
        }
        match layout.events.get(stretch.end) {
            Some(&Event::Forward(k)) => run.gather(transient, k),
            Some(&Event::Back(k)) => run.gather_gradient(transient, k),
            _ => Ok(()),
        }
    }

    /// Merges what the shards of a batch gathered for that event, and gives it to all. The order depends on how many
    /// shards there are, and on nothing else.
    pub fn merge<'l>(
        shards: &mut [Shard],
        layout_of: impl Fn(usize) -> &'l TrainingLayout,
        at: usize,
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
                let merged = &mut sums[i].transient[layout_of(i).statistics_at(at)];
                let other = &others[0].transient[layout_of(other).statistics_at(at)];
                layout_of(i).merge(at, merged, other, share)?;
            }
            apart *= 2;
        }
        let Some((first, others)) = shards.split_first_mut() else { return Ok(()) };
        let merged = &first.transient[layout_of(0).statistics_at(at)];
        for (i, other) in others.iter_mut().enumerate() {
            other.transient[layout_of(i + 1).statistics_at(at)].copy_from_slice(merged);
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

    /// The same, to be changed.
    pub fn gradients_mut(&mut self, layout: &TrainingLayout) -> &mut [f32] {
        &mut self.transient[..layout.gradients]
    }

    /// Adds another shard's gradients.
    pub fn add(&mut self, layout: &TrainingLayout, other: &Shard) -> Result<(), Error> {
        let sums = &mut self.transient[..layout.gradients];
        Ok(elementwise::add_assign(layout.options.isa, Activation::None, sums, other.gradients(layout))?)
    }
}
