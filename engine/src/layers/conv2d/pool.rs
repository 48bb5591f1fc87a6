use super::Conv2d;
use super::backward::ConvolutionBackward;
use super::forward::Weights;
use crate::error::Error;
use crate::layers::{
    Backward, BackwardReads, Forward, MaxPool2d, Site, Step, TrainingStep, elements, elements_of_one, kept,
    one_input_of, room,
};
use crate::memory::buffer::whole_lines;
use crate::parallel::{Threads, WORTH_SHARING, each_chunk, for_each_part};
use bantam_kernels::conv2d::{Activation, Convolution, Geometry};
use bantam_kernels::{self as kernels, Isa, max_pool2d as kernel};
use core::ops::Range;

/// A convolution and the max-pool of its output, without padding. The map between them never is in memory as a whole:
/// some images, or some rows of one, are convolved and pooled before the next.
pub(crate) struct Conv2dPool {
    isa: Isa,
    threads: Threads,
    activation: Activation,
    stripes: Stripes,
    scratch_len: usize,
    overwrites: bool,
}

impl Conv2dPool {
    pub fn new(conv: &Conv2d, pool: &MaxPool2d, site: &Site<'_>) -> Result<Conv2dPool, Error> {
        let Site { isa, threads, activation, .. } = *site;
        let map = conv.geometry(one_input_of(site.inputs)?, site.direct_only, site.model_weights);
        let map = kept(&map)?;
        let halves = [pool.windows.size, pool.windows.stride] == [[2, 2]; 2];
        let pool = kept(&pool.geometry(map.output()))?.cropped();
        let stripes = Stripes::new(isa, map.cropped(pool.seen()), pool, halves);
        let scratch_len = threads.count().saturating_mul(stripes.scratch_len);
        let overwrites = isa == Isa::SCALAR && !threads.are_more_than(1) && stripes.stay_behind();
        Ok(Conv2dPool { isa, threads, activation, stripes, scratch_len, overwrites })
    }
}

impl Step for Conv2dPool {
    fn prepared_len(&self) -> usize {
        self.stripes.conv.packed_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        Ok(self.stripes.conv.pack(weights[0], prepared)?)
    }

    /// Not the kernel, if it is packed.
    fn reads_weights(&self, index: usize) -> bool {
        index > 0 || self.prepared_len() == 0
    }

    fn scratch_len(&self) -> usize {
        self.scratch_len
    }

    fn multiply_adds(&self) -> u64 {
        self.stripes.conv.geometry().multiply_adds()
    }

    /// If each stripe's output ends before the input of the next begins. With vectors it takes more time than a memory
    /// of its own, four percent of the MNIST net's.
    fn overwrites(&self, _: usize) -> bool {
        self.overwrites
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let stripe = Stripe { isa: self.isa, weights: Weights::of(&run), activation: self.activation };
        self.stripes.pass(self.threads, stripe, run, maxima, None)
    }
}

/// The same with its backward pass.
pub(crate) struct Conv2dPoolTraining {
    forward: Conv2dPool,
    /// Of a pass that saves where the maxima were.
    stripes: Stripes,
    scratch_len: usize,
    saved_len: usize,
    backward: ConvolutionBackward,
}

impl Conv2dPoolTraining {
    pub fn new(conv: &Conv2d, pool: &MaxPool2d, site: &Site<'_>) -> Result<Conv2dPoolTraining, Error> {
        let forward = Conv2dPool::new(conv, pool, site)?;
        let Stripes { ref conv, pool, .. } = forward.stripes;
        let stripes = Stripes::new(site.isa, *conv.geometry(), pool, false);
        let scratch_len = site.threads.count().saturating_mul(stripes.scratch_len);
        let saved_len = kernel::argmax_len(&pool)?;
        let backward = ConvolutionBackward::new(conv.geometry(), Some(pool), site);
        Ok(Conv2dPoolTraining { forward, stripes, scratch_len, saved_len, backward })
    }
}

impl Step for Conv2dPoolTraining {
    fn prepared_len(&self) -> usize {
        self.forward.prepared_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.forward.prepare(weights, prepared)
    }

    fn scratch_len(&self) -> usize {
        self.forward.scratch_len.max(self.scratch_len)
    }

    fn multiply_adds(&self) -> u64 {
        self.forward.multiply_adds()
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.forward.forward(run)
    }
}

impl TrainingStep for Conv2dPoolTraining {
    fn backward_reads(&self) -> BackwardReads {
        self.backward.reads()
    }

    /// The index of each maximum in its window.
    fn saved_len(&self) -> usize {
        self.saved_len
    }

    fn forward_saving(&self, run: Forward<'_>, argmax: &mut [u8]) -> Result<(), Error> {
        let Conv2dPool { isa, threads, activation, .. } = self.forward;
        let stripe = Stripe { isa, weights: Weights::of(&run), activation };
        self.stripes.pass(threads, stripe, run, maxima_and_where, Some(argmax))
    }

    fn backward_scratch_len(&self, d_input: bool) -> usize {
        self.backward.scratch_len(d_input)
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        self.backward.run(run)
    }
}

/// What all stripes have in common.
#[derive(Clone, Copy)]
struct Stripe<'a> {
    isa: Isa,
    weights: Weights<'a>,
    activation: Activation,
}

impl Stripe<'_> {
    /// The map of a stripe, at the front of the scratch.
    fn convolve<'s>(
        &self,
        conv: &Convolution,
        input: &[f32],
        scratch: &'s mut [f32],
    ) -> Result<&'s [f32], Error> {
        let len = elements(conv.geometry().output());
        let (map, scratch) = scratch.split_at_mut(whole_lines(len));
        let map = &mut map[..len];
        self.weights.convolve(conv, Activation::None, input, map, scratch)?;
        Ok(map)
    }
}

/// Pools a stripe's map. Named by whom it is for, so that a program that only infers has no code in it
/// that finds where the maxima were.
type Pool =
    fn(Stripe<'_>, &kernel::Geometry, &[f32], &mut [f32], Option<&mut [u8]>) -> Result<(), kernels::Error>;

fn maxima(
    Stripe { isa, activation, .. }: Stripe<'_>,
    pool: &kernel::Geometry,
    map: &[f32],
    output: &mut [f32],
    _: Option<&mut [u8]>,
) -> Result<(), kernels::Error> {
    kernel::forward(isa, pool, activation, map, output)
}

fn maxima_and_where(
    Stripe { isa, activation, .. }: Stripe<'_>,
    pool: &kernel::Geometry,
    map: &[f32],
    output: &mut [f32],
    argmax: Option<&mut [u8]>,
) -> Result<(), kernels::Error> {
    kernel::forward_argmax(isa, pool, activation, map, output, argmax.unwrap_or_default())
}

/// How the map between convolution and pool is parted.
struct Stripes {
    conv: Convolution,
    pool: kernel::Geometry,
    /// The convolution pools while it has its outputs in registers, and there is no map.
    at_once: bool,
    /// Whole images at a time, or one and some rows of the pool's output.
    images: usize,
    rows: usize,
    /// Elements of scratch of a stripe.
    scratch_len: usize,
}

/// A stripe's convolution and pool, and where its input and output lie in those of the batch.
struct Part {
    conv: Convolution,
    pool: kernel::Geometry,
    input: Range<usize>,
    output: Range<usize>,
}

impl Stripes {
    /// `halves` if the pool has windows of 2×2 and as large a stride, and that is all there is to do.
    fn new(isa: Isa, conv: Geometry, pool: kernel::Geometry, halves: bool) -> Stripes {
        let mut stripes = Stripes::cut(isa, conv, pool, halves);
        stripes.scratch_len = stripes.room();
        stripes
    }

    fn cut(isa: Isa, conv: Geometry, pool: kernel::Geometry, halves: bool) -> Stripes {
        let conv = Convolution::new(isa, &conv);
        let [batch, rows, ..] = pool.output();
        let pooled = if halves { conv.pooled() } else { None };
        let mut stripes = Stripes { conv, pool, at_once: pooled.is_some(), images: 1, rows, scratch_len: 0 };
        let room = pooled.unwrap_or(conv).stripe_len();
        let geometry = conv.geometry();
        let map = elements_of_one(geometry.output());
        if map <= room {
            stripes.images = (room / map).min(batch);
            return stripes;
        }
        // Windows that overlap would have rows convolved twice; tiles stay whole, so that the bits
        // stay the same.
        let Some((_, first)) = pool.rows(0..1) else { return stripes };
        let step = pool.rows(1..2).map_or(first.end, |(_, second)| second.start);
        let aligned = |count: usize| (count * step).is_multiple_of(conv.algorithm().rows());
        let row = map / geometry.output()[1];
        if let Some(least) = (1..rows).find(|&count| aligned(count)).filter(|_| first.end <= step) {
            let count = (room / (row * step * least)).max(1) * least;
            let sees = |at: usize| {
                let part = pool.rows(at..rows.min(at + count));
                part.is_some_and(|(_, seen)| geometry.rows(seen).is_some())
            };
            // If the first and the last stripe see the input, those between do.
            if count < rows && sees(0) && sees((rows - 1) / count * count) {
                stripes.rows = count;
            }
        }
        stripes
    }

    /// A pass over the batch, which threads share by images or, if these are few, by rows.
    fn pass(
        &self,
        threads: Threads,
        stripe: Stripe<'_>,
        run: Forward<'_>,
        pool: Pool,
        argmax: Option<&mut [u8]>,
    ) -> Result<(), Error> {
        let Forward { samples: batch, inputs, output, scratch, overwritten, .. } = run;
        let ([_, output_len], [_, output_row], all_rows) = (self.image(), self.row(), self.all_rows());
        // Some images, or some rows of one.
        let some = |images: Range<usize>,
                    rows: Range<usize>,
                    output: &mut [f32],
                    mut argmax: Option<&mut [u8]>,
                    scratch: &mut [f32]| {
            let start = images.start * output_len + rows.start * output_row;
            self.each(images, rows, &mut |part| {
                let here = part.output.start - start..part.output.end - start;
                if let Some(pooled) = self.at_once(&part.conv) {
                    let (input, output) = (&inputs[0][part.input], &mut output[here]);
                    return stripe.weights.convolve(&pooled, stripe.activation, input, output, scratch);
                }
                let input = if overwritten.is_some() { &*output } else { inputs[0] };
                let map = stripe.convolve(&part.conv, &input[part.input], scratch)?;
                let argmax = argmax.as_deref_mut().map(|argmax| &mut argmax[here.clone()]);
                Ok(pool(stripe, &part.pool, map, &mut output[here], argmax)?)
            })
        };
        if overwritten.is_some() {
            return some(0..batch, 0..all_rows, output, argmax, scratch);
        }
        let scratch_len = self.scratch_len;
        if threads.are_more_than(batch)
            && self.rows < all_rows
            && self.conv.geometry().first(1).multiply_adds() >= WORTH_SHARING
        {
            let together = threads.part_of(all_rows).next_multiple_of(self.rows);
            return each_chunk(output, argmax, output_len, |image, output, argmax| {
                let scratch = (&mut *scratch, scratch_len);
                for_each_part(output, argmax, together * output_row, scratch, |i, output, argmax, scratch| {
                    let rows = i * together..all_rows.min((i + 1) * together);
                    some(image..image + 1, rows, output, argmax, scratch)
                })
            });
        }
        let together = threads.part_of(batch);
        let scratch = (scratch, scratch_len);
        for_each_part(output, argmax, together * output_len, scratch, |i, output, argmax, scratch| {
            let images = i * together..batch.min((i + 1) * together);
            some(images, 0..all_rows, output, argmax, scratch)
        })
    }

    /// Whether each stripe's output ends before the input of the next begins.
    fn stay_behind(&self) -> bool {
        let [input_len, output_len] = self.image();
        // From one stripe to the next the input moves on by as much, so that the second tells for all.
        let second = self.rows..self.all_rows().min(2 * self.rows);
        let ahead = |part: Part| part.output.start <= part.input.start;
        output_len <= input_len && self.part(0..1, second).is_none_or(ahead)
    }

    /// The convolution with its pool, if they go at once.
    fn at_once(&self, conv: &Convolution) -> Option<Convolution> {
        if self.at_once { conv.pooled() } else { None }
    }

    /// Numbers of an image's input and output.
    fn image(&self) -> [usize; 2] {
        [elements_of_one(self.conv.geometry().input()), elements_of_one(self.pool.output())]
    }

    /// Numbers of a row of an image's input and output.
    fn row(&self) -> [usize; 2] {
        let ([_, height, ..], [input, output]) = (self.conv.geometry().input(), self.image());
        [input / height, output / self.all_rows()]
    }

    /// Rows of an image's output.
    fn all_rows(&self) -> usize {
        self.pool.output()[1]
    }

    /// Calls `work` with the stripes of some images, or of some rows of one, first to last.
    fn each(
        &self,
        images: Range<usize>,
        rows: Range<usize>,
        work: &mut dyn FnMut(Part) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut image = images.start;
        while image < images.end {
            let some = image..images.end.min(image + self.images);
            let mut row = rows.start;
            while row < rows.end {
                let next = rows.end.min(row + self.rows);
                if let Some(part) = self.part(some.clone(), row..next) {
                    work(part)?;
                }
                row = next;
            }
            image = some.end;
        }
        Ok(())
    }

    /// Whole images, or some rows of one; `None` if these see padding alone.
    fn part(&self, images: Range<usize>, rows: Range<usize>) -> Option<Part> {
        let ([input_len, output_len], [input_row, output_row]) = (self.image(), self.row());
        if rows.len() == self.all_rows() {
            return Some(Part {
                conv: self.conv.first(images.len()),
                pool: self.pool.first(images.len()),
                input: images.start * input_len..images.end * input_len,
                output: images.start * output_len..images.end * output_len,
            });
        }
        let (pool, seen) = self.pool.rows(rows.clone())?;
        let (conv, seen) = self.conv.rows(seen)?;
        let [input, output] = [images.start * input_len, images.start * output_len];
        Some(Part {
            conv,
            pool,
            input: input + seen.start * input_row..input + seen.end * input_row,
            output: output + rows.start * output_row..output + rows.end * output_row,
        })
    }

    /// Elements of a stripe of the map, and the scratch of its convolution.
    fn room(&self) -> usize {
        let rows = self.pool.rows(0..self.rows).and_then(|(_, seen)| self.conv.rows(seen));
        let conv = match rows {
            Some((conv, _)) if self.images == 1 => conv,
            _ => self.conv.first(self.images),
        };
        if let Some(pooled) = self.at_once(&conv) {
            return pooled.scratch_len();
        }
        room([whole_lines(elements(conv.geometry().output())), conv.scratch_len()])
    }
}
