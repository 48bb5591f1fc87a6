use crate::Error;
use crate::buffer::whole_lines;
use crate::ops::{Backward, BackwardRows, elements, elements_of_one, room, room_of_parts};
use crate::parallel::{
    WORTH_SHARING, for_each_chunk, for_each_chunk_with, for_each_group, join, most_parts, part_of_work,
    threads,
};
use bantam_kernels::conv2d::{Activation, Geometry, InputGradient, Parts, WeightGradient};
use bantam_kernels::{Isa, elementwise, max_pool2d, reduce};

/// Room for all passes over the batch, in groups or as a whole, with a gradient to the input or without.
pub(in crate::ops) fn backward_scratch_len(
    isa: Isa,
    geometry: &Geometry,
    pool: Option<&max_pool2d::Geometry>,
    d_input: bool,
) -> Result<usize, Error> {
    if let Some(groups) = Groups::new(geometry)? {
        let [turned, sums] = [groups.turned_len(isa, d_input), groups.sums_len()].map(whole_lines);
        let len = groups.scratch_len(isa, pool.is_some(), d_input)?;
        return room([turned, sums, room_of_parts(most_parts(groups.count), len)?]);
    }
    let map = if pool.is_some() { whole_lines(elements(geometry.output())) } else { 0 };
    let weights = whole_lines(grad_weights_scratch_len(isa, geometry)?);
    let input = if d_input { grad_input_scratch_len(isa, geometry)? } else { 0 };
    if at_once(geometry) { room([map, weights, input]) } else { room([map, weights.max(input)]) }
}

/// The gradients of a convolution or dense layer, and of the max-pool behind it if there is one. What
/// was kept then are the pool's maxima.
pub(in crate::ops) fn backward(
    geometry: &Geometry,
    activation: Activation,
    pool: Option<&max_pool2d::Geometry>,
    run: Backward<'_>,
) -> Result<(), Error> {
    if let Some(groups) = Groups::new(geometry)? {
        return groups.backward(geometry, activation, pool, run);
    }
    let Backward { isa, inputs, output, kept, d_output, d_inputs, scratch, .. } = run;
    let [d_input, d_weights, d_bias] = d_inputs;
    grad_activation(isa, activation, output, d_output)?;
    let (d_map, scratch) = unpool(isa, geometry, pool, kept, d_output, scratch)?;
    if let Some(d_bias) = d_bias {
        reduce::sum_rows(isa, d_map.len() / d_bias.len(), d_bias.len(), d_map, d_bias)?;
    }
    let weights = |scratch: &mut [f32]| match d_weights {
        Some(d_weights) => grad_weights(isa, geometry, inputs[0], d_map, d_weights, scratch),
        None => Ok(()),
    };
    let input = |scratch: &mut [f32]| match d_input {
        Some(d_input) => grad_input(isa, geometry, inputs[1], d_map, d_input, scratch),
        None => Ok(()),
    };
    if at_once(geometry) {
        let (first, second) = split_lines(scratch, grad_weights_scratch_len(isa, geometry)?);
        return join(|| weights(first), || input(second));
    }
    weights(scratch)?;
    input(scratch)
}

/// Rows of weights, if their gradients do not depend on each other's.
pub(in crate::ops) fn weight_rows(isa: Isa, geometry: &Geometry) -> Result<Option<usize>, Error> {
    Ok(match WeightGradient::new(isa, geometry).parts() {
        Parts::Rows(rows) if Groups::new(geometry)?.is_none() => Some(rows),
        _ => None,
    })
}

/// The gradients of some rows of weights.
pub(in crate::ops) fn backward_rows(geometry: &Geometry, run: BackwardRows<'_>) -> Result<(), Error> {
    let BackwardRows { isa, input, d_output, rows, d_weights, .. } = run;
    Ok(WeightGradient::new(isa, geometry).run(input, d_output, rows, d_weights, &mut [])?)
}

/// Whether the gradients to weights and input are computed at the same time.
fn at_once(geometry: &Geometry) -> bool {
    threads() > 1 && geometry.multiply_adds() >= WORTH_SHARING
}

/// Turns the gradient to an activated output into that to the sums.
fn grad_activation(
    isa: Isa,
    activation: Activation,
    output: &[f32],
    d_output: &mut [f32],
) -> Result<(), Error> {
    match activation {
        Activation::None => {}
        Activation::Relu => elementwise::relu_grad(isa, output, d_output)?,
        Activation::Relu6 => elementwise::relu6_grad(isa, output, d_output)?,
    }
    Ok(())
}

/// The gradient to the convolution's output, at the front of the scratch if a pool follows, and the
/// scratch that is left.
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

/// Images of a batch in groups: all passes go over one group before the next, and what they sum is added
/// up in the order of the groups.
struct Groups {
    /// Of a whole group; the last may have fewer images.
    geometry: Geometry,
    images: usize,
    count: usize,
}

impl Groups {
    /// Numbers of the output's gradient in a group: with what is computed from it, it should stay in a
    /// second-level cache.
    const MAP: usize = 128 * 1024;

    /// The shapes alone decide, so that the bits do not depend on the threads. `None` if the groups
    /// would be few, or have nearly as many sums as numbers to sum.
    fn new(geometry: &Geometry) -> Result<Option<Groups>, Error> {
        let [batch, ..] = geometry.input();
        let (map, sums) = (elements_of_one(geometry.output()), elements(geometry.weights()));
        let images = (Groups::MAP / map).max((4 * sums).div_ceil(map)).max(1);
        if batch <= images {
            return Ok(None);
        }
        let images = batch.div_ceil(batch.div_ceil(images));
        let count = batch.div_ceil(images);
        Ok(Some(Groups { geometry: geometry.first(images), images, count }))
    }

    /// Sums of all groups, for weights and bias.
    fn sums_len(&self) -> usize {
        self.count * (elements(self.geometry.weights()) + self.geometry.output()[3])
    }

    /// Numbers of the weights as the gradient to the input takes them, if there is one.
    fn turned_len(&self, isa: Isa, d_input: bool) -> usize {
        if d_input { InputGradient::new(isa, &self.geometry).packed_len() } else { 0 }
    }

    /// Numbers that each thread needs room for.
    fn scratch_len(&self, isa: Isa, pooled: bool, d_input: bool) -> Result<usize, Error> {
        let geometry = &self.geometry;
        let map = if pooled { whole_lines(elements(geometry.output())) } else { 0 };
        let weights = WeightGradient::new(isa, geometry);
        let weights = weights.scratch_len(weights.parts().count());
        let input = if d_input { InputGradient::new(isa, geometry).scratch_len() } else { 0 };
        room([map, whole_lines(weights.max(input))])
    }

    fn backward(
        &self,
        geometry: &Geometry,
        activation: Activation,
        pool: Option<&max_pool2d::Geometry>,
        run: Backward<'_>,
    ) -> Result<(), Error> {
        let Backward { isa, inputs, output, kept, d_output, d_inputs, scratch, .. } = run;
        let [d_input, d_weights, d_bias] = d_inputs;
        let [batch, ..] = geometry.input();
        let [_, _, _, features] = geometry.output();
        let weights = elements(geometry.weights());
        let weight_gradient = WeightGradient::new(isa, &self.geometry);
        let input_gradient = InputGradient::new(isa, &self.geometry);
        let (input_len, output_len) = (elements_of_one(geometry.input()), d_output.len() / batch);

        let (turned, scratch) = split_lines(scratch, self.turned_len(isa, d_input.is_some()));
        if d_input.is_some() {
            input_gradient.pack(inputs[1], turned)?;
        }
        let turned = &*turned;
        let (sums, scratch) = split_lines(scratch, self.sums_len());
        let (weight_sums, bias_sums) = sums.split_at_mut(self.count * weights);
        let (with_input, with_weights, with_bias) =
            (d_input.is_some(), d_weights.is_some(), d_bias.is_some());
        let arrays = [
            (d_output, self.images * output_len),
            (d_input.unwrap_or_default(), self.images * input_len),
            (&mut *weight_sums, weights),
            (&mut *bias_sums, features),
        ];
        let scratch = (scratch, self.scratch_len(isa, pool.is_some(), with_input)?);
        for_each_group(arrays, self.count, scratch, |group, arrays, scratch| {
            let [d_output, d_input, weight_sums, bias_sums] = arrays;
            let images = d_output.len() / output_len;
            let geometry = self.geometry.first(images);
            let pool = pool.map(|pool| pool.first(images));
            let input = &inputs[0][group * self.images * input_len..][..images * input_len];
            let outputs = group * self.images * output_len..;
            if activation != Activation::None {
                grad_activation(isa, activation, &output[outputs.clone()][..d_output.len()], d_output)?;
            }
            let argmax = if pool.is_some() { &kept[outputs][..d_output.len()] } else { &[] };
            let (d_map, scratch) = unpool(isa, &geometry, pool.as_ref(), argmax, d_output, scratch)?;
            if with_bias {
                reduce::sum_rows(isa, d_map.len() / features, features, d_map, bias_sums)?;
            }
            if with_weights {
                let (gradient, parts) = (weight_gradient.first(images), weight_gradient.parts().count());
                let scratch = &mut scratch[..gradient.scratch_len(parts)];
                gradient.run(input, d_map, 0..parts, weight_sums, scratch)?;
            }
            if with_input {
                let gradient = input_gradient.first(images);
                gradient.run(d_map, turned, d_input, &mut scratch[..gradient.scratch_len()])?;
            }
            Ok(())
        })?;
        if let Some(d_weights) = d_weights {
            reduce::sum_rows(isa, self.count, weights, weight_sums, d_weights)?;
        }
        if let Some(d_bias) = d_bias {
            reduce::sum_rows(isa, self.count, features, bias_sums, d_bias)?;
        }
        Ok(())
    }
}

/// So many numbers, and what follows from the next line on.
fn split_lines(scratch: &mut [f32], len: usize) -> (&mut [f32], &mut [f32]) {
    let (front, rest) = scratch.split_at_mut(whole_lines(len));
    (&mut front[..len], rest)
}

/// Of each thread's channels, with their part of the gradient.
fn grad_weights_scratch_len(isa: Isa, geometry: &Geometry) -> Result<usize, Error> {
    let [kh, kw, _, cout] = geometry.weights();
    let gradient = WeightGradient::new(isa, geometry);
    let Parts::Channels(all) = gradient.parts() else { return Ok(0) };
    let channels = part_of_work(all, geometry.multiply_adds());
    let len = room([kh * kw * channels * cout, gradient.scratch_len(channels)])?;
    room_of_parts(all.div_ceil(channels), len)
}

/// The weights' gradient of the whole batch: threads share the weights.
fn grad_weights(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    d_output: &[f32],
    d_weights: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    let [kh, kw, cin, cout] = geometry.weights();
    let gradient = WeightGradient::new(isa, geometry);
    let together = part_of_work(gradient.parts().count(), geometry.multiply_adds());
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

/// Of the turned weights, and of each thread's images.
fn grad_input_scratch_len(isa: Isa, geometry: &Geometry) -> Result<usize, Error> {
    let [batch, ..] = geometry.input();
    let images = part_of_work(batch, geometry.multiply_adds());
    let gradient = InputGradient::new(isa, geometry);
    let parts = room_of_parts(batch.div_ceil(images), gradient.first(images).scratch_len())?;
    room([whole_lines(gradient.packed_len()), parts])
}

/// The input's gradient of the whole batch: threads share the images.
fn grad_input(
    isa: Isa,
    geometry: &Geometry,
    weights: &[f32],
    d_output: &[f32],
    d_input: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    let [batch, ..] = geometry.input();
    let (input_len, output_len) = (d_input.len() / batch, d_output.len() / batch);
    let images = part_of_work(batch, geometry.multiply_adds());
    let gradient = InputGradient::new(isa, geometry);
    let (turned, scratch) = split_lines(scratch, gradient.packed_len());
    gradient.pack(weights, turned)?;
    let turned = &*turned;
    let scratch_len = gradient.first(images).scratch_len();
    for_each_chunk_with((d_input, images * input_len), (scratch, scratch_len), |i, d_input, scratch| {
        let images_here = d_input.len() / input_len;
        let d_output = &d_output[i * images * output_len..][..images_here * output_len];
        let gradient = gradient.first(images_here);
        Ok(gradient.run(d_output, turned, d_input, &mut scratch[..gradient.scratch_len()])?)
    })
}
