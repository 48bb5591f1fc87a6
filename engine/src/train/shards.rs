//! A batch, learnt in shards: threads share a step this way, and a part's values stay in a cache.

use super::batch::Batch;
use crate::error::Error;
use crate::graph::Model;
use crate::loss::{Criterion, Loss, Penalty, penalty};
use crate::memory::buffer::Buffer;
use crate::memory::heap;
use crate::parallel::{Threads, for_each_apart, together};
use crate::plan::Options;
use crate::plan::parts::Parts;
use crate::plan::training::TrainingLayout;
use crate::plan::way::Way;
use crate::run::{Lesson, PairwiseSum, Shard};
use alloc::string::String;
use alloc::vec::Vec;
use bantam_kernels::Isa;

/// What a trainer says of its steps.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    /// Of a whole batch.
    pub options: Options,
    pub loss: Loss,
    /// Arrays of state that the optimiser keeps beside each array of weights.
    pub arrays: usize,
    /// Bytes that a training may take.
    pub memory: Option<usize>,
    /// Samples of a shard at the most.
    pub micro_batch: usize,
}

/// How batches are learnt.
pub(super) struct Shards {
    setup: Setup,
    /// The frozen base, if it runs folded.
    folded: Option<Model<'static>>,
    way: Way,
    /// Whether they are learnt one after the other, in the same memory.
    in_turn: bool,
    /// For each number of samples that a shard has had.
    layouts: Vec<ShardLayout>,
    shards: Vec<Shard>,
    /// Elements that each takes, whichever batch of an epoch it is.
    rooms: Vec<usize>,
    /// Gradients of those that were learnt in turn.
    sums: Buffer,
}

/// How shards of so many samples learn, on so many threads.
struct ShardLayout {
    options: (usize, Threads),
    layout: TrainingLayout,
    /// Weights of the frozen base.
    prepared: Buffer,
}

/// The layouts of a batch's shards.
#[derive(Clone, Copy)]
struct Laid {
    parts: Parts,
    whole: usize,
    /// Of the last shard.
    last: usize,
}

/// What a batch is to teach.
pub(super) struct Lessons<'a, 'm> {
    pub model: &'a Model<'m>,
    pub criterion: &'a Criterion<'a>,
    pub penalties: &'a [Penalty],
    pub seed: u64,
    pub batch: &'a Batch,
    /// Samples.
    pub rows: usize,
}

/// What a batch has taught.
pub(super) struct Learnt<'a> {
    pub loss: f32,
    pub correct: Option<usize>,
    pub gradients: &'a [f32],
    /// Where each parameter's gradient lies.
    pub layout: &'a TrainingLayout,
    /// A shard with the statistics of the batch.
    pub first: &'a Shard,
}

impl Shards {
    /// To teach that model, whose frozen part stays as it is.
    pub fn new(setup: Setup, model: &Model<'_>) -> Result<Shards, Error> {
        let folded = TrainingLayout::folded_base(model, setup.loss, setup.options.isa)?;
        let (way, in_turn) = (Way::KeepAll, false);
        let (layouts, shards, rooms) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Shards { setup, folded, way, in_turn, layouts, shards, rooms, sums: Buffer::default() })
    }

    /// Learns the batch that was read.
    pub fn learn(&mut self, lessons: &Lessons<'_, '_>) -> Result<Learnt<'_>, Error> {
        together(self.setup.options.threads, || self.learn_together(lessons))
    }

    fn learn_together(&mut self, lessons: &Lessons<'_, '_>) -> Result<Learnt<'_>, Error> {
        let &Lessons { model, criterion, penalties, seed, batch, rows } = lessons;
        let laid = self.laid(model, rows)?;
        let Laid { parts, whole, last } = laid;
        let count = parts.count;
        let in_turn = self.in_turn && count > 1;
        self.reserve(laid)?;
        let Options { isa, threads, .. } = self.setup.options;
        let Shards { layouts, shards, sums, folded, .. } = self;
        let base = folded.as_ref().unwrap_or(model);
        let layout_of = |i: usize| &layouts[if i + 1 == count { last } else { whole }];
        let lesson = |i: usize| {
            let range = parts.range(i);
            let share = range.len() as f32 / rows as f32;
            let ShardLayout { layout, prepared, .. } = layout_of(i);
            let seed = seed.wrapping_add(range.start as u64);
            let [samples, targets, weights] = batch.part(range);
            Lesson { model, layout, base, prepared, criterion, seed, share, samples, targets, weights }
        };
        let layout = &layouts[whole].layout;
        let (mut loss, mut correct) = (0.0, None);
        let mut count_in = |shard: &Shard| {
            loss += f64::from(shard.loss);
            correct = shard.correct.map(|right| correct.unwrap_or(0) + right);
        };
        if in_turn {
            let shard = &mut shards[0];
            let mut sum = PairwiseSum::new(isa, sums, layout.gradients);
            for i in 0..count {
                let lesson = lesson(i);
                shard.begin(&lesson)?;
                shard.learn(&lesson, 0..lesson.layout.events.len())?;
                count_in(shard);
                sum.add(shard.gradients(lesson.layout))?;
            }
            sum.finish()?;
        } else {
            let shards = &mut shards[..count];
            for (turn, stretch) in layout.stretches().enumerate() {
                for_each_apart(threads, shards, |i, shard| {
                    let lesson = lesson(i);
                    if turn == 0 {
                        shard.begin(&lesson)?;
                    }
                    shard.learn(&lesson, stretch.clone())
                })?;
                if stretch.end < layout.events.len() {
                    Shard::merge(shards, |i| &layout_of(i).layout, stretch.end)?;
                }
            }
            shards.iter().for_each(&mut count_in);
        }
        let loss = (loss + penalty(penalties, isa, model)) as f32;
        if !loss.is_finite() {
            return Err(Error::Diverged { epoch: 0, batch: 0, loss });
        }
        if !in_turn {
            // In pairs, and the pairs' sums in pairs: errors grow with the logarithm of the batch.
            let mut apart = 1;
            while apart < count {
                for i in (0..count - apart).step_by(2 * apart) {
                    let (sums, others) = shards.split_at_mut(i + apart);
                    sums[i].add(layout, &others[0])?;
                }
                apart *= 2;
            }
        }
        let gradients = if in_turn { &mut sums[..layout.gradients] } else { shards[0].gradients_mut(layout) };
        for (penalty, learnt) in layout.penalised(penalties) {
            let weights = model.parameters()[learnt.parameter].values();
            penalty.add_gradient(isa, weights, &mut gradients[learnt.gradient.clone()])?;
        }
        let first = &shards[0];
        let gradients = if in_turn { &sums[..layout.gradients] } else { first.gradients(layout) };
        Ok(Learnt { loss, correct, gradients, layout, first })
    }

    /// Chooses how to keep to the memory that is allowed, for an epoch of so many samples, beside the bytes of a batch. Gives the
    /// bytes that it takes. Whatever cannot be learnt is said here, before anything is.
    pub fn plan(&mut self, model: &Model<'_>, batch: usize, all: usize) -> Result<usize, Error> {
        let mut bytes = batch.saturating_add(self.lay_out(model, all)?);
        if self.setup.options.isa != Isa::SCALAR {
            // Cheap outputs take longer to come from memory than to be computed again.
            self.way = Way::DropCheap;
            let fewer = batch.saturating_add(self.lay_out(model, all)?);
            if fewer < bytes {
                bytes = fewer;
            } else {
                self.way = Way::KeepAll;
                self.lay_out(model, all)?;
            }
        }
        let memory = self.setup.memory.unwrap_or(usize::MAX);
        if bytes <= memory {
            return Ok(bytes);
        }
        let steps = self.layouts[0].layout.steps.len();
        let mut least = (bytes, String::new());
        loop {
            let mut best: Option<(u64, Way, bool)> = None;
            for way in Way::all(steps) {
                for in_turn in [false, true] {
                    (self.way, self.in_turn) = (way, in_turn);
                    let bytes = batch.saturating_add(self.lay_out(model, all)?);
                    let layout = &self.layouts[0].layout;
                    if in_turn && layout.needs_whole_batch() {
                        // The parts of a batch must be there at once.
                        continue;
                    }
                    if bytes <= least.0 {
                        let layer = layout.fullest_node(model).map(|node| model.nodes()[node].name().into());
                        least = (bytes, layer.unwrap_or_default());
                    }
                    if bytes <= memory && best.is_none_or(|(cost, ..)| layout.cost() < cost) {
                        best = Some((layout.cost(), way, in_turn));
                    }
                }
            }
            if let Some((_, way, in_turn)) = best {
                (self.way, self.in_turn) = (way, in_turn);
                return Ok(batch.saturating_add(self.lay_out(model, all)?));
            }
            if self.layouts[0].layout.needs_whole_batch() || self.setup.micro_batch == 1 {
                let (expected, layer) = least;
                return Err(Error::BudgetTooSmall { expected, got: memory, layer });
            }
            // Fewer samples at a time: where nothing else does, as the bits are others then.
            self.setup.micro_batch = self.setup.micro_batch.min(self.setup.options.batch).div_ceil(2);
        }
    }

    /// Lays out whole batches and what is left of an epoch of so many samples. Gives the bytes of all that is then needed.
    fn lay_out(&mut self, model: &Model<'_>, all: usize) -> Result<usize, Error> {
        self.layouts.clear();
        self.rooms.clear();
        let whole = self.setup.options.batch.min(all);
        let mut sums = 0;
        for rows in [whole, all % whole].into_iter().filter(|&rows| rows > 0) {
            let Laid { parts, whole, last } = self.laid(model, rows)?;
            let [whole, last] = [whole, last].map(|at| self.layouts[at].layout.transient);
            if self.in_turn && parts.count > 1 {
                self.make_room(0, whole.max(last))?;
                sums = parts.sums().max(sums);
                continue;
            }
            for i in 0..parts.count {
                self.make_room(i, if i + 1 == parts.count { last } else { whole })?;
            }
        }
        let gradients = self.layouts[0].layout.gradients;
        let state = self.setup.arrays.saturating_mul(gradients);
        let prepared = self.layouts.iter().map(|layout| layout.prepared.len());
        let folded = self.folded.as_ref().map_or(0, Model::parameter_count);
        let others = self.rooms.iter().copied().chain([state, sums.saturating_mul(gradients), folded]);
        let numbers = prepared.chain(others).fold(0, usize::saturating_add);
        Ok(numbers.saturating_mul(size_of::<f32>()))
    }

    /// Has shard `i` take so many elements at the least.
    fn make_room(&mut self, i: usize, len: usize) -> Result<(), Error> {
        match self.rooms.get_mut(i) {
            Some(room) => *room = len.max(*room),
            None => heap::push(&mut self.rooms, len)?,
        }
        Ok(())
    }

    /// How a batch of so many samples is learnt.
    fn laid(&mut self, model: &Model<'_>, rows: usize) -> Result<Laid, Error> {
        let parts = Parts::new(rows, self.setup.micro_batch);
        let all = self.setup.options.threads;
        let threads = if self.in_turn { all } else { all.shared_by(parts.count) };
        let whole = self.layout(model, parts.samples, threads)?;
        if parts.count == 1 {
            self.layouts[whole].layout.check_batch(model)?;
        }
        let last = self.layout(model, parts.last, threads)?;
        Ok(Laid { parts, whole, last })
    }

    /// The layout of a shard of so many samples.
    fn layout(&mut self, model: &Model<'_>, samples: usize, threads: Threads) -> Result<usize, Error> {
        let known = self.layouts.iter().position(|known| known.options == (samples, threads));
        if let Some(known) = known {
            return Ok(known);
        }
        let options = Options { threads, batch: samples, ..self.setup.options };
        let folded = self.folded.as_ref();
        let layout = TrainingLayout::new(model, self.setup.loss, options, (None, true), self.way, folded)?;
        let mut prepared = Buffer::try_new(layout.persistent)?;
        layout.prepare(folded.unwrap_or(model), &mut prepared)?;
        heap::push(&mut self.layouts, ShardLayout { options: (samples, threads), layout, prepared })?;
        Ok(self.layouts.len() - 1)
    }

    /// Room for a batch.
    fn reserve(&mut self, Laid { parts, whole, .. }: Laid) -> Result<(), Error> {
        let in_turn = self.in_turn && parts.count > 1;
        let at_once = if in_turn { 1 } else { parts.count };
        while self.shards.len() < at_once {
            let shard = Shard::new(self.rooms[self.shards.len()])?;
            heap::push(&mut self.shards, shard)?;
        }
        if in_turn {
            self.sums.grow(parts.sums() * self.layouts[whole].layout.gradients)?;
        }
        Ok(())
    }
}
