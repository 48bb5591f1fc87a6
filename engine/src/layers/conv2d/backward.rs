use super::forward::ConvolutionStep;
use super::plain_dense::PlainDenseStep;
use crate::error::Error;
use crate::layers::{
    Backward, BackwardReads, BackwardRows, Forward, Site, Step, TrainingStep, elements, elements_of_one,
    gradients, room,
};
use crate::memory::buffer::{split_lines, whole_lines};
use crate::parallel::{Threads, WORTH_SHARING, for_each_chunk, for_each_chunk_with, for_each_group, join};
use bantam_kernels::conv2d::{Activation, Geometry, InputGradient, Parts, WeightGradient};
use bantam_kernels::elementwise::{self, Relu, Relu6};
use bantam_kernels::{Isa, max_pool2d, reduce};

/// A convolution or dense layer with its backward pass.
pub struct ConvolutionTraining {
    forward: ConvolutionStep,
    /// In place of it.
    plain_dense: Option<PlainDenseStep>,
    backward: ConvolutionBackward,
}

impl ConvolutionTraining {
    pub fn new(geometry: &Geometry, site: &Site<'_>) -> ConvolutionTraining {
        ConvolutionTraining {
            forward: ConvolutionStep::new(geometry, site),
            plain_dense: PlainDenseStep::new(geometry, site),
            backward: ConvolutionBackward::new(geometry, None, site),
        }
    }

    fn step(&self) -> &dyn Step {
        match &self.plain_dense {
            Some(step) if step.has_vectors() => step,
            _ => &self.forward,
        }
    }
}

impl Step for ConvolutionTraining {
    fn prepared_len(&self) -> usize {
        self.step().prepared_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.step().prepare(weights, prepared)
    }

    fn scratch_len(&self) -> usize {
        self.step().scratch_len()
    }

    fn multiply_adds(&self) -> u64 {
        self.step().multiply_adds()
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.step().forward(run)
    }
}

impl TrainingStep for ConvolutionTraining {
    fn backward_reads(&self) -> BackwardReads {
        self.backward.reads()
    }

    fn changes_gradient(&self) -> bool {
        self.backward.activation != Activation::None
    }

    fn backward_scratch_len(&self, d_input: bool) -> usize {
        self.backward.scratch_len[usize::from(d_input)]
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        self.backward.run(run)
    }

    fn weight_rows(&self) -> Option<usize> {
        self.backward.weight_rows()
    }

    fn backward_rows(&self, run: BackwardRows<'_>) -> Result<(), Error> {
        let BackwardRows { input, d_output, rows, d_weights } = run;
        Ok(self.backward.weights.gradient.run(input, d_output, rows, d_weights, &mut [])?)
    }
}

/// The gradients of a convolution or dense layer, of the activation behind it, and of the max-pool behind that if there
/// is one. What was saved then are the pool's maxima.
pub(super) struct ConvolutionBackward {
    isa: Isa,
    threads: Threads,
    geometry: Geometry,
    pool: Option<max_pool2d::Geometry>,
    activation: Activation,
    groups: Option<Groups>,
    /// Rows of a stripe of the output, where an image's map is too large for a cache.
    stripe: Option<usize>,
    /// Of a group, or of the batch.
    weights: WeightPass,
    input: InputPass,
    /// Without a gradient to the input, and with one.
    scratch_len: [usize; 2],
}

impl ConvolutionBackward {
    pub fn new(
        geometry: &Geometry,
        pool: Option<max_pool2d::Geometry>,
        site: &Site<'_>,
    ) -> ConvolutionBackward {
        let Site { isa, threads, activation, .. } = *site;
        let groups = Groups::new(geometry);
        let at_once = groups.as_ref().map_or(*geometry, |groups| groups.geometry);
        let mut backward = ConvolutionBackward {
            isa,
            threads,
            geometry: *geometry,
            pool,
            activation,
            groups,
            stripe: None,
            weights: WeightPass::new(isa, threads, &at_once),
            input: InputPass::new(isa, threads, &at_once),
            scratch_len: [0; 2],
        };
        if isa != Isa::SCALAR
            && let (Some(Groups { images: 1, .. }), Parts::Rows(_)) =
                (&backward.groups, backward.weights.gradient.parts())
        {
            let (map, sums) = (elements_of_one(geometry.output()), elements(geometry.weights()));
            let stripes = map.div_ceil(Groups::MAP).min(map / (4 * sums));
            backward.stripe = (stripes > 1).then(|| backward.output_rows().div_ceil(stripes));
        }
        backward.scratch_len = [backward.room(false), backward.room(true)];
        backward
    }

    /// Elements of scratch for all passes over the batch, with a gradient to the input or without.
    pub fn scratch_len(&self, d_input: bool) -> usize {
        self.scratch_len[usize::from(d_input)]
    }

    fn room(&self, d_input: bool) -> usize {
        if let Some(groups) = &self.groups {
            let [turned, sums] = [self.turned_len(d_input), groups.sums_len()].map(whole_lines);
            let len = self.group_scratch_len(groups, d_input);
            return room([turned, sums, self.threads.most_parts(groups.count).saturating_mul(len)]);
        }
        let map = if self.pool.is_some() { whole_lines(elements(self.geometry.output())) } else { 0 };
        let weights = whole_lines(self.weights.scratch_len());
        let input = if d_input {
            room([whole_lines(self.input.gradient.packed_len()), self.input.scratch_len()])
        } else {
            0
        };
        if self.at_once() { room([map, weights, input]) } else { room([map, weights.max(input)]) }
    }

    pub fn run(&self, run: Backward<'_>) -> Result<(), Error> {
        if let Some(groups) = &self.groups {
            return self.run_groups(groups, run);
        }
        let Backward { inputs, weights, output, saved, d_output, d_input, d_weights, scratch, .. } = run;
        let [d_kernel, d_bias] = gradients(d_weights);
        self.grad_activation(output, d_output)?;
        if let Some(d_bias) = d_bias {
            self.grad_bias(d_output, d_bias)?;
        }
        let (d_map, scratch) =
            unpool(self.isa, &self.geometry, self.pool.as_ref(), saved, d_output, scratch)?;
        let of_weights = |scratch: &mut [f32]| match d_kernel {
            Some(d_kernel) => self.weights.run(inputs[0], d_map, d_kernel, scratch),
            None => Ok(()),
        };
        let of_input = |scratch: &mut [f32]| match d_input {
            Some(d_input) => self.grad_input(weights[0], d_map, d_input, scratch),
            None => Ok(()),
        };
        if self.at_once() {
            let (first, second) = split_lines(scratch, self.weights.scratch_len());
            return join(|| of_weights(first), || of_input(second));
        }
        of_weights(scratch)?;
        of_input(scratch)
    }

    /// What it reads.
    pub fn reads(&self) -> BackwardReads {
        BackwardReads::output_of(self.activation).and_inputs()
    }

    /// Rows of weights, if their gradients do not depend on each other's.
    pub fn weight_rows(&self) -> Option<usize> {
        match self.weights.gradient.parts() {
            Parts::Rows(rows) if self.groups.is_none() => Some(rows),
            _ => None,
        }
    }

    /// Whether the gradients to weights and input are computed at the same time.
    fn at_once(&self) -> bool {
        self.threads.are_more_than(1) && self.geometry.multiply_adds() >= WORTH_SHARING
    }

    /// Turns the gradient to an activated output into that to the sums.
    fn grad_activation(&self, output: &[f32], d_output: &mut [f32]) -> Result<(), Error> {
        grad_activation(self.isa, self.activation, output, d_output)
    }

    /// The gradient to the bias. A pool hands each gradient to one element of its map, so that the sum of the map's is
    /// that of the pool's.
    fn grad_bias(&self, d_output: &[f32], d_bias: &mut [f32]) -> Result<(), Error> {
        let rows = d_output.len() / d_bias.len();
        Ok(reduce::sum_rows(self.isa, rows, d_bias.len(), d_output, d_bias)?)
    }

    /// Elements of the weights as the gradient to the input takes them, if there is one.
    fn turned_len(&self, d_input: bool) -> usize {
        if d_input { self.input.gradient.packed_len() } else { 0 }
    }

    /// Elements that each thread needs room for.
    fn group_scratch_len(&self, groups: &Groups, d_input: bool) -> usize {
        let map = if self.pool.is_some() { whole_lines(elements(groups.geometry.output())) } else { 0 };
        if let Some(stripe) = self.stripe(d_input) {
            let sums = self.stripes(stripe).saturating_mul(elements(self.geometry.weights()));
            // The pool has no padding, so that no stripe sees more of the map than the first.
            let map = self.pool.and_then(|pool| pool.rows(0..stripe)).map_or(0, |(_, map)| map.len());
            let [_, rows, ..] = self.geometry.output();
            let map = elements_of_one(self.geometry.output()) / rows * map;
            return room([sums, map].map(whole_lines));
        }
        let weights = self.weights.gradient.scratch_len(self.weights.gradient.parts().count());
        let input = if d_input { self.input.gradient.scratch_len() } else { 0 };
        room([map, whole_lines(weights.max(input))])
    }

    fn run_groups(&self, groups: &Groups, run: Backward<'_>) -> Result<(), Error> {
        let Backward {
            inputs,
            weights: inputs_weights,
            output,
            saved,
            d_output,
            d_input,
            d_weights,
            scratch,
            ..
        } = run;
        let [d_kernel, d_bias] = gradients(d_weights);
        let (isa, geometry) = (self.isa, &self.geometry);
        let [batch, ..] = geometry.input();
        let [_, _, _, features] = geometry.output();
        let weights = elements(geometry.weights());
        let (input_len, output_len) = (elements_of_one(geometry.input()), d_output.len() / batch);

        let (turned, scratch) = split_lines(scratch, self.turned_len(d_input.is_some()));
        if d_input.is_some() {
            self.input.gradient.pack(inputs_weights[0], turned)?;
        }
        let turned = if turned.is_empty() { inputs_weights[0] } else { &*turned };
        let (sums, scratch) = split_lines(scratch, groups.sums_len());
        let (weight_sums, bias_sums) = sums.split_at_mut(groups.count * weights);
        let (with_input, with_weights, with_bias) = (d_input.is_some(), d_kernel.is_some(), d_bias.is_some());
        let arrays = [
            (d_output, groups.images * output_len),
            (d_input.unwrap_or_default(), groups.images * input_len),
            (&mut *weight_sums, weights),
            (&mut *bias_sums, features),
        ];
        let scratch = (scratch, self.group_scratch_len(groups, with_input));
        for_each_group(self.threads, arrays, groups.count, scratch, |group, arrays, scratch| {
            let [d_output, d_input, weight_sums, bias_sums] = arrays;
            let images = d_output.len() / output_len;
            let geometry = groups.geometry.first(images);
            let pool = self.pool.map(|pool| pool.first(images));
            let input = &inputs[0][group * groups.images * input_len..][..images * input_len];
            let outputs = group * groups.images * output_len..;
            if self.activation != Activation::None {
                self.grad_activation(&output[outputs.clone()][..d_output.len()], d_output)?;
            }
            if with_bias {
                self.grad_bias(d_output, bias_sums)?;
            }
            let argmax = if pool.is_some() { &saved[outputs][..d_output.len()] } else { &[] };
            if let Some(stripe) = self.stripe(with_input) {
                return match with_weights {
                    true => self.grad_weights_by(stripe, input, argmax, d_output, weight_sums, scratch),
                    false => Ok(()),
                };
            }
            let (d_map, scratch) = unpool(isa, &geometry, pool.as_ref(), argmax, d_output, scratch)?;
            if with_weights {
                let (gradient, parts) =
                    (self.weights.gradient.first(images), self.weights.gradient.parts().count());
                let scratch = &mut scratch[..gradient.scratch_len(parts)];
                gradient.run(input, d_map, 0..parts, weight_sums, scratch)?;
            }
            if with_input {
                let gradient = self.input.gradient.first(images);
                gradient.run(d_map, turned, d_input, &mut scratch[..gradient.scratch_len()])?;
            }
            Ok(())
        })?;
        if let Some(d_kernel) = d_kernel {
            reduce::sum_rows(isa, groups.count, weights, weight_sums, d_kernel)?;
        }
        if let Some(d_bias) = d_bias {
            reduce::sum_rows(isa, groups.count, features, bias_sums, d_bias)?;
        }
        Ok(())
    }

    /// Rows of the output, that of the pool if there is one.
    fn output_rows(&self) -> usize {
        let [_, rows, ..] = self.pool.map_or(self.geometry.output(), |pool| pool.output());
        rows
    }

    /// Rows of a stripe of the output. With a gradient to the input the map is needed as a whole. Small computers have no
    /// cache, and no code for it.
    fn stripe(&self, d_input: bool) -> Option<usize> {
        if d_input || self.isa == Isa::SCALAR { None } else { self.stripe }
    }

    /// How many stripes of so many rows an image's output has.
    fn stripes(&self, together: usize) -> usize {
        self.output_rows().div_ceil(together)
    }

    /// The weights' gradient of one image, in stripes of so many rows of the output.
    fn grad_weights_by(
        &self,
        together: usize,
        input: &[f32],
        argmax: &[u8],
        d_output: &[f32],
        d_weights: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let [_, height, ..] = self.geometry.input();
        let (output_row, input_row) = (d_output.len() / self.output_rows(), input.len() / height);
        let (all, count) = (self.output_rows(), self.stripes(together));
        let (sums, scratch) = split_lines(scratch, count * d_weights.len());
        for (stripe, sums) in sums.chunks_exact_mut(d_weights.len()).enumerate() {
            let rows = stripe * together..all.min((stripe + 1) * together);
            let (pool, map) = match self.pool {
                Some(pool) => pool.rows(rows.clone()).map_or((None, 0..0), |(pool, map)| (Some(pool), map)),
                None => (None, rows.clone()),
            };
            let Some((gradient, seen)) = self.weights.gradient.rows(map) else {
                // They see padding alone, which says nothing of the weights.
                sums.fill(0.0);
                continue;
            };
            let outputs = rows.start * output_row..rows.end * output_row;
            let argmax = if pool.is_some() { &argmax[outputs.clone()] } else { &[] };
            let (geometry, d_output) = (gradient.geometry(), &d_output[outputs]);
            let (d_map, _) = unpool(self.isa, geometry, pool.as_ref(), argmax, d_output, &mut *scratch)?;
            let input = &input[seen.start * input_row..seen.end * input_row];
            gradient.run(input, d_map, 0..gradient.parts().count(), sums, &mut [])?;
        }
        Ok(reduce::sum_rows(self.isa, count, d_weights.len(), sums, d_weights)?)
    }

    /// The input's gradient of the whole batch.
    fn grad_input(
        &self,
        weights: &[f32],
        d_output: &[f32],
        d_input: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let (turned, scratch) = split_lines(scratch, self.input.gradient.packed_len());
        self.input.gradient.pack(weights, turned)?;
        let turned = if turned.is_empty() { weights } else { &*turned };
        let [batch, ..] = self.geometry.input();
        self.input.run(batch, d_output, turned, d_input, scratch)
    }
}

/// The gradient to the weights, which threads share.
pub(super) struct WeightPass {
    threads: Threads,
    pub gradient: WeightGradient,
}

impl WeightPass {
    pub fn new(isa: Isa, threads: Threads, geometry: &Geometry) -> WeightPass {
        WeightPass { threads, gradient: WeightGradient::new(isa, geometry) }
    }

    /// Of each thread's channels, with their part of the gradient.
    pub fn scratch_len(&self) -> usize {
        let [kh, kw, _, cout] = self.gradient.geometry().weights();
        let Parts::Channels(all) = self.gradient.parts() else { return 0 };
        let channels = self.threads.part_of_work(all, self.gradient.geometry().multiply_adds());
        let len = room([kh * kw * channels * cout, self.gradient.scratch_len(channels)]);
        all.div_ceil(channels).saturating_mul(len)
    }

    /// The weights' gradient of the whole batch: threads share the weights.
    pub fn run(
        &self,
        input: &[f32],
        d_output: &[f32],
        d_weights: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let [kh, kw, cin, cout] = self.gradient.geometry().weights();
        let gradient = &self.gradient;
        let together =
            self.threads.part_of_work(gradient.parts().count(), self.gradient.geometry().multiply_adds());
        let Parts::Channels(_) = gradient.parts() else {
            return for_each_chunk(d_weights, together * cout, |i, d_weights| {
                let rows = i * together..i * together + d_weights.len() / cout;
                Ok(gradient.run(input, d_output, rows, d_weights, &mut [])?)
            });
        };
        // The channels of a part do not lie beside each other in the weights: each part has its own.
        let part_len = kh * kw * together * cout + gradient.scratch_len(together);
        let scratch = &mut scratch[..cin.div_ceil(together) * part_len];
        let range = |i: usize| i * together..cin.min((i + 1) * together);
        for_each_chunk(scratch, part_len, |i, scratch| {
            let range = range(i);
            let (part, scratch) = scratch.split_at_mut(kh * kw * range.len() * cout);
            let scratch = &mut scratch[..gradient.scratch_len(range.len())];
            Ok(gradient.run(input, d_output, range, part, scratch)?)
        })?;
        for (i, part) in scratch.chunks(part_len).enumerate() {
            let range = range(i);
            let row = range.len() * cout;
            for (tap, d_weights) in d_weights.chunks_exact_mut(cin * cout).enumerate() {
                d_weights[range.start * cout..][..row].copy_from_slice(&part[tap * row..][..row]);
            }
        }
        Ok(())
    }
}

/// The gradient to the input, whose images threads share.
pub(super) struct InputPass {
    /// Images of a part.
    images: usize,
    parts: usize,
    pub gradient: InputGradient,
}

impl InputPass {
    pub fn new(isa: Isa, threads: Threads, geometry: &Geometry) -> InputPass {
        let [batch, ..] = geometry.input();
        let images = threads.part_of_work(batch, geometry.multiply_adds());
        InputPass { images, parts: batch.div_ceil(images), gradient: InputGradient::new(isa, geometry) }
    }

    /// Of each part.
    pub fn scratch_len(&self) -> usize {
        self.parts.saturating_mul(self.gradient.first(self.images).scratch_len())
    }

    /// Of so many images, with the weights as [`InputGradient::pack`] has turned them.
    pub fn run(
        &self,
        images: usize,
        d_output: &[f32],
        turned: &[f32],
        d_input: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let (input_len, output_len) = (d_input.len() / images, d_output.len() / images);
        let scratch_len = self.gradient.first(self.images).scratch_len();
        let chunks = (d_input, self.images * input_len);
        for_each_chunk_with(chunks, (scratch, scratch_len), |i, d_input, scratch| {
            let here = d_input.len() / input_len;
            let d_output = &d_output[i * self.images * output_len..][..here * output_len];
            let gradient = self.gradient.first(here);
            Ok(gradient.run(d_output, turned, d_input, &mut scratch[..gradient.scratch_len()])?)
        })
    }
}

/// Turns the gradient to an activated output into that to what was activated.
pub(crate) fn grad_activation(
    isa: Isa,
    activation: Activation,
    output: &[f32],
    d_output: &mut [f32],
) -> Result<(), Error> {
    match activation {
        Activation::None => {}
        Activation::Relu => elementwise::map_grad(isa, Relu, output, d_output)?,
        Activation::Relu6 => elementwise::map_grad(isa, Relu6, output, d_output)?,
    }
    Ok(())
}

/// The gradient to the convolution's output, at the front of the scratch if a pool follows, and the scratch that is
/// left.
fn unpool<'a>(
    isa: Isa,
    geometry: &Geometry,
    pool: Option<&max_pool2d::Geometry>,
    argmax: &[u8],
    d_output: &'a [f32],
    scratch: &'a mut [f32],
) -> Result<(&'a [f32], &'a mut [f32]), Error> {
    let Some(pool) = pool else { return Ok((d_output, scratch)) };
    let len = elements(geometry.output());
    let (map, scratch) = scratch.split_at_mut(whole_lines(len));
    max_pool2d::grad_input(isa, pool, d_output, argmax, &mut map[..len])?;
    Ok((&map[..len], scratch))
}

/// Images of a batch in groups: all passes go over one group before the next, and what they sum is added up in the
/// order of the groups.
struct Groups {
    /// Of a whole group; the last may have fewer images.
    geometry: Geometry,
    images: usize,
    count: usize,
}

impl Groups {
    /// Elements of the output's gradient in a group: with what is computed from it, it should stay in a second-level
    /// cache.
    const MAP: usize = 128 * 1024;

    /// The shapes alone decide, so that the bits do not depend on the threads. `None` if the groups would be few, or
    /// have nearly as many sums as numbers to sum.
    fn new(geometry: &Geometry) -> Option<Groups> {
        let [batch, ..] = geometry.input();
        let (map, sums) = (elements_of_one(geometry.output()), elements(geometry.weights()));
        let images = (Groups::MAP / map).max((4 * sums).div_ceil(map)).max(1);
        if batch <= images {
            return None;
        }
        let images = batch.div_ceil(batch.div_ceil(images));
        let count = batch.div_ceil(images);
        Some(Groups { geometry: geometry.first(images), images, count })
    }

    /// Sums of all groups, for weights and bias.
    fn sums_len(&self) -> usize {
        self.count * (elements(self.geometry.weights()) + self.geometry.output()[3])
    }
}
