use super::conv2d::{self, Weights};
use super::{Backward, Conv2d, Differentiable, Forward, ForwardInPlace, MaxPool2d, Operation};
use crate::buffer::whole_lines;
use crate::parallel::{WORTH_SHARING, each_chunk, fewer_than_threads, for_each_part, part_of, threads};
use crate::{Error, Shape};
use bantam_kernels::conv2d::{Activation, Algorithm, Geometry};
use bantam_kernels::{Isa, max_pool2d as kernel};

/// A convolution and the max-pool of its output. The map between them never is in memory as a whole:
/// some images, or some rows of one, are convolved and pooled before the next.
#[derive(Clone, Copy)]
pub(crate) struct Conv2dPool {
    /// Without an activation: the pool's does.
    pub conv: Conv2d,
    /// Without padding.
    pub pool: MaxPool2d,
}

impl Conv2dPool {
    /// Of the convolution, without the outputs that the pool drops, and of the pool.
    fn geometries(&self, inputs: &[Shape]) -> Result<(Geometry, kernel::Geometry), Error> {
        let conv = self.conv.geometry(inputs)?;
        let dropped = self.pool.geometry(&[Shape::new(&conv.output())?])?;
        let conv = conv.cropped(dropped.seen())?;
        Ok((conv, self.pool.geometry(&[Shape::new(&conv.output())?])?))
    }

    /// A forward pass that notes where the maxima were, if asked.
    fn pass(&self, run: Forward<'_>, argmax: Option<&mut [u8]>) -> Result<(), Error> {
        let Forward { isa, inputs, prepared, prepared_for, output, scratch, .. } = run;
        let (conv, pool) = self.geometries(prepared_for)?;
        let stripes = Stripes::new(isa, &conv, &pool)?;
        let Stripes { conv, pool, algorithm, images, rows } = stripes;
        let weights = Weights::new(inputs, prepared, algorithm);
        let stripe = Stripe { isa, weights, activation: self.pool.activation };
        let ([_, height, ..], [_, all_rows, ..]) = (conv.input(), pool.output());
        let (input_len, output_len) = (elements(conv.input()), elements(pool.output()));
        let (input_row, output_row) = (input_len / height, output_len / all_rows);
        let batch = output.len() / output_len;
        let input = |first: usize, images: usize| &inputs[0][first * input_len..][..images * input_len];

        // Rows of one image, from `first` on.
        let some_rows = |first: usize,
                         input: &[f32],
                         output: &mut [f32],
                         argmax: Option<&mut [u8]>,
                         scratch: &mut [f32]| {
            each_chunk(output, argmax, rows * output_row, |i, output, argmax| {
                let first = first + i * rows;
                let part = pool.rows(first..first + output.len() / output_row);
                let part = part.and_then(|(pool, seen)| Some((pool, conv.rows(seen)?)));
                let Some((pool, (conv, seen))) = part else { return Ok(()) };
                let input = &input[seen.start * input_row..seen.end * input_row];
                stripe.run(&conv, &pool, input, output, argmax, scratch)
            })
        };
        let scratch = (scratch, stripes.scratch_len(isa)?);
        if fewer_than_threads(batch) && rows < all_rows && conv.multiply_adds() >= WORTH_SHARING {
            let together = part_of(all_rows).next_multiple_of(rows);
            let (scratch, scratch_len) = scratch;
            return each_chunk(output, argmax, output_len, |image, output, argmax| {
                let scratch = (&mut *scratch, scratch_len);
                for_each_part(output, argmax, together * output_row, scratch, |i, output, argmax, scratch| {
                    some_rows(i * together, input(image, 1), output, argmax, scratch)
                })
            });
        }
        let together = part_of(batch);
        for_each_part(output, argmax, together * output_len, scratch, |part, output, argmax, scratch| {
            each_chunk(output, argmax, images * output_len, |i, output, argmax| {
                let count = output.len() / output_len;
                let input = input(part * together + i * images, count);
                if rows < all_rows {
                    return some_rows(0, input, output, argmax, scratch);
                }
                stripe.run(&conv.with_batch(count)?, &pool.with_batch(count)?, input, output, argmax, scratch)
            })
        })
    }
}

impl Operation for Conv2dPool {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        Shape::new(&self.geometries(inputs)?.1.output())
    }

    fn prepared_len(&self, isa: Isa, inputs: &[Shape]) -> Result<usize, Error> {
        conv2d::prepared_len(isa, &self.geometries(inputs)?.0)
    }

    fn prepare(
        &self,
        isa: Isa,
        shapes: &[Shape],
        inputs: &[&[f32]],
        prepared: &mut [f32],
    ) -> Result<(), Error> {
        conv2d::prepare(isa, &self.geometries(shapes)?.0, inputs[1], prepared)
    }

    fn forward_scratch_len(&self, isa: Isa, inputs: &[Shape]) -> Result<usize, Error> {
        let (conv, pool) = self.geometries(inputs)?;
        let stripes = Stripes::new(isa, &conv, &pool)?;
        Ok(stripes.scratch_len(isa)? * threads())
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> u64 {
        self.geometries(inputs).map_or(0, |(conv, _)| conv.multiply_adds())
    }

    /// If each stripe's output ends before the input of the next begins. With vectors it takes more time
    /// than a memory of its own, four percent of the MNIST net's.
    fn in_place(&self, isa: Isa, inputs: &[Shape]) -> Result<bool, Error> {
        let (conv, pool) = self.geometries(inputs)?;
        let Stripes { conv, pool, rows, .. } = Stripes::new(isa, &conv, &pool)?;
        let ([_, height, ..], [_, all_rows, ..]) = (conv.input(), pool.output());
        let (input_len, output_len) = (elements(conv.input()), elements(pool.output()));
        let (input_row, output_row) = (input_len / height, output_len / all_rows);
        let behind = |first: usize| {
            let (_, seen) = pool.rows(first..all_rows.min(first + rows))?;
            let (_, seen) = conv.rows(seen)?;
            Some(first * output_row <= seen.start * input_row)
        };
        let all_behind = (rows..all_rows).step_by(rows).all(|first| behind(first) == Some(true));
        Ok(isa == Isa::SCALAR && threads() == 1 && output_len <= input_len && all_behind)
    }

    fn forward_in_place(&self, run: ForwardInPlace<'_>) -> Result<(), Error> {
        let ForwardInPlace { isa, shapes, data, weights, prepared, prepared_for, scratch } = run;
        let (conv, pool) = self.geometries(prepared_for)?;
        let Stripes { conv, pool, algorithm, images, rows } = Stripes::new(isa, &conv, &pool)?;
        let stripe = Stripe {
            isa,
            weights: Weights::new(weights, prepared, algorithm),
            activation: self.pool.activation,
        };
        let ([_, height, ..], [_, all_rows, ..]) = (conv.input(), pool.output());
        let (input_len, output_len) = (elements(conv.input()), elements(pool.output()));
        let (input_row, output_row) = (input_len / height, output_len / all_rows);
        let [batch, ..] = shapes[0].array::<4>("input")?;
        for first in (0..batch).step_by(images) {
            let count = images.min(batch - first);
            for row in (0..all_rows).step_by(rows) {
                let last_row = all_rows.min(row + rows);
                let (conv, pool, seen) = if rows == all_rows {
                    (conv.with_batch(count)?, pool.with_batch(count)?, 0..count * height)
                } else {
                    let part = pool.rows(row..last_row);
                    let part = part.and_then(|(pool, seen)| Some((pool, conv.rows(seen)?)));
                    let Some((pool, (conv, seen))) = part else { continue };
                    (conv, pool, seen)
                };
                let from = first * input_len;
                let input = &data[from + seen.start * input_row..from + seen.end * input_row];
                let map = stripe.convolve(&conv, input, scratch)?;
                let to = first * output_len + row * output_row;
                let output = &mut data[to..to + elements(pool.output())];
                kernel::forward(isa, &pool, stripe.activation, map, output)?;
            }
        }
        Ok(())
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.pass(run, None)
    }
}

impl Differentiable for Conv2dPool {
    /// The index of each maximum in its window.
    fn kept_len(&self, inputs: &[Shape]) -> Result<usize, Error> {
        Ok(kernel::argmax_len(&self.geometries(inputs)?.1)?)
    }

    fn forward_keeping(&self, run: Forward<'_>, argmax: &mut [u8]) -> Result<(), Error> {
        self.pass(run, Some(argmax))
    }

    fn backward_scratch_len(&self, isa: Isa, inputs: &[Shape], d_input: bool) -> Result<usize, Error> {
        let (conv, pool) = self.geometries(inputs)?;
        conv2d::backward_scratch_len(isa, &conv, Some(&pool), d_input)
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let (conv, pool) = self.geometries(run.shapes)?;
        conv2d::backward(&conv, self.pool.activation, Some(&pool), run)
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
    fn run(
        &self,
        conv: &Geometry,
        pool: &kernel::Geometry,
        input: &[f32],
        output: &mut [f32],
        argmax: Option<&mut [u8]>,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let Stripe { isa, activation, .. } = *self;
        let map = self.convolve(conv, input, scratch)?;
        match argmax {
            None => kernel::forward(isa, pool, activation, map, output)?,
            Some(argmax) => kernel::forward_argmax(isa, pool, activation, map, output, argmax)?,
        }
        Ok(())
    }

    /// The map of a stripe, at the front of the scratch.
    fn convolve<'s>(
        &self,
        conv: &Geometry,
        input: &[f32],
        scratch: &'s mut [f32],
    ) -> Result<&'s [f32], Error> {
        let len = elements(conv.output());
        let (map, scratch) = scratch.split_at_mut(whole_lines(len));
        let map = &mut map[..len];
        conv2d::convolve(self.isa, conv, self.weights, Activation::None, input, map, scratch)?;
        Ok(map)
    }
}

fn elements(shape: [usize; 4]) -> usize {
    shape.iter().product()
}

/// How the map between convolution and pool is parted.
struct Stripes {
    /// Of one image.
    conv: Geometry,
    pool: kernel::Geometry,
    algorithm: Algorithm,
    /// Whole images at a time, or one and some rows of the pool's output.
    images: usize,
    rows: usize,
}

/// Numbers of a stripe of the map that should stay in a cache: the first-level one, or with the
/// transforms of many tiles the second-level one.
const STRIPE: usize = 8 * 1024;
const WINOGRAD_STRIPE: usize = 128 * 1024;

impl Stripes {
    fn new(isa: Isa, conv: &Geometry, pool: &kernel::Geometry) -> Result<Stripes, Error> {
        let algorithm = Algorithm::choose(isa, conv);
        let [batch, rows, ..] = pool.output();
        let (conv, pool) = (conv.with_batch(1)?, pool.with_batch(1)?);
        let mut stripes = Stripes { conv, pool, algorithm, images: 1, rows };
        let room = match algorithm {
            // A small computer has no cache to fill and no memory to waste.
            Algorithm::RowPairs => 0,
            Algorithm::Direct if isa == Isa::SCALAR => 0,
            Algorithm::Direct => STRIPE,
            Algorithm::Winograd(_) => WINOGRAD_STRIPE,
        };
        let map = elements(conv.output());
        if map <= room {
            stripes.images = (room / map).min(batch);
            return Ok(stripes);
        }
        // Windows that overlap would have rows convolved twice; tiles stay whole, so that the bits
        // stay the same.
        let Some((_, first)) = pool.rows(0..1) else { return Ok(stripes) };
        let step = pool.rows(1..2).map_or(first.end, |(_, second)| second.start);
        let aligned = |count: usize| (count * step).is_multiple_of(algorithm.rows());
        let row = map / conv.output()[1];
        if let Some(least) = (1..rows).find(|&count| aligned(count)).filter(|_| first.end <= step) {
            let count = (room / (row * step * least)).max(1) * least;
            let seeing = (0..rows).step_by(count).all(|at| {
                let part = pool.rows(at..rows.min(at + count));
                part.is_some_and(|(_, seen)| conv.rows(seen).is_some())
            });
            if seeing && count < rows {
                stripes.rows = count;
            }
        }
        Ok(stripes)
    }

    /// Numbers of a stripe of the map, and the scratch of its convolution.
    fn scratch_len(&self, isa: Isa) -> Result<usize, Error> {
        let rows = self.pool.rows(0..self.rows).and_then(|(_, seen)| self.conv.rows(seen));
        let conv = match rows {
            Some((conv, _)) if self.images == 1 => conv,
            _ => self.conv.with_batch(self.images)?,
        };
        Ok(whole_lines(elements(conv.output())) + conv2d::convolve_scratch_len(isa, &conv, self.algorithm)?)
    }
}
