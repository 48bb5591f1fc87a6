use super::{Backward, Forward, Operation};
use crate::parallel::{for_each_chunk, for_each_chunk_with, most_parts, part_of, threads};
use crate::{Error, Shape};
use bantam_kernels::Isa;
use bantam_kernels::conv2d::winograd::{Tile, Winograd};
use bantam_kernels::conv2d::{self, Activation, Algorithm, Geometry, Padding};
use bantam_kernels::{elementwise, reduce};

/// How a convolution slides over its input `[N, H, W, Cin]`.
///
/// ```
/// use bantam::Conv2d;
/// let halving = Conv2d::same().stride(2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    pub(crate) stride: [usize; 2],
    pub(crate) padding: Padding,
    pub(crate) activation: Activation,
}

impl Conv2d {
    /// Stride 1 and that padding.
    pub const fn padded(padding: Padding) -> Conv2d {
        Conv2d { stride: [1, 1], padding, activation: Activation::None }
    }

    /// Stride 1, no padding.
    pub const fn valid() -> Conv2d {
        Conv2d::padded(Padding::Valid)
    }

    /// Stride 1, and as much padding as keeps height and width.
    pub const fn same() -> Conv2d {
        Conv2d::padded(Padding::Same)
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> Conv2d {
        Conv2d { stride: [stride, stride], ..self }
    }

    /// With a ReLU after the bias, in the same pass.
    pub const fn relu(self) -> Conv2d {
        Conv2d { activation: Activation::Relu, ..self }
    }

    pub(super) fn geometry(&self, inputs: &[Shape]) -> Result<Geometry, Error> {
        let input = inputs[0].array::<4>("input")?;
        let weights = inputs[1].array::<4>("weights")?;
        let [kh, kw, _, cout] = weights;
        Shape::new(&[kh, kw, input[3], cout])?.require("weights", inputs[1])?;
        if let Some(&bias) = inputs.get(2) {
            Shape::new(&[cout])?.require("bias", bias)?;
        }
        Ok(Geometry::new(input, [kh, kw], cout, self.stride, self.padding)?)
    }
}

impl Operation for Conv2d {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        Shape::new(&self.geometry(inputs)?.output())
    }

    fn prepared_len(&self, isa: Isa, inputs: &[Shape]) -> Result<usize, Error> {
        prepared_len(isa, &self.geometry(inputs)?)
    }

    fn prepare(
        &self,
        isa: Isa,
        shapes: &[Shape],
        inputs: &[&[f32]],
        prepared: &mut [f32],
    ) -> Result<(), Error> {
        prepare(isa, &self.geometry(shapes)?, inputs[1], prepared)
    }

    fn forward_scratch_len(&self, isa: Isa, inputs: &[Shape]) -> Result<usize, Error> {
        forward_scratch_len(isa, &self.geometry(inputs)?)
    }

    fn backward_scratch_len(&self, isa: Isa, inputs: &[Shape]) -> Result<usize, Error> {
        backward_scratch_len(isa, &self.geometry(inputs)?)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let prepared_for = self.geometry(run.prepared_for)?;
        forward(&prepared_for, self.activation, run)
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let geometry = self.geometry(run.shapes)?;
        backward(&geometry, self.activation, run)
    }
}

/// Winograd's algorithm, if that is what was chosen.
fn winograd(isa: Isa, geometry: &Geometry, algorithm: Algorithm) -> Result<Option<Winograd>, Error> {
    match algorithm {
        Algorithm::Direct => Ok(None),
        Algorithm::Winograd(tile) => Ok(Some(Winograd::new(isa, geometry, tile)?)),
    }
}

fn forward_winograd(isa: Isa, geometry: &Geometry) -> Result<Option<Winograd>, Error> {
    winograd(isa, geometry, Algorithm::choose(isa, geometry))
}

fn grad_input_winograd(isa: Isa, geometry: &Geometry) -> Result<Option<Winograd>, Error> {
    winograd(isa, geometry, Algorithm::choose_grad_input(isa, geometry))
}

fn grad_weights_winograd(isa: Isa, geometry: &Geometry) -> Result<Option<Winograd>, Error> {
    winograd(isa, geometry, Algorithm::choose_grad_weights(isa, geometry))
}

pub(super) fn prepared_len(isa: Isa, geometry: &Geometry) -> Result<usize, Error> {
    Ok(match forward_winograd(isa, geometry)? {
        Some(winograd) => winograd.packed_len(),
        None if conv2d::takes_plain_weights(isa) => 0,
        None => conv2d::packed_len(isa, geometry),
    })
}

pub(super) fn prepare(
    isa: Isa,
    geometry: &Geometry,
    weights: &[f32],
    prepared: &mut [f32],
) -> Result<(), Error> {
    match forward_winograd(isa, geometry)? {
        Some(winograd) => winograd.pack(weights, prepared)?,
        None if conv2d::takes_plain_weights(isa) => {}
        None => conv2d::pack(isa, geometry, weights, prepared)?,
    }
    Ok(())
}

/// What a forward pass multiplies by, prepared for Winograd's algorithm if there is a tile.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub prepared: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub tile: Option<Tile>,
}

impl<'a> Weights<'a> {
    /// Of an operation's inputs. Where there was nothing to prepare the weights themselves serve.
    pub fn new(inputs: &[&'a [f32]], prepared: &'a [f32], tile: Option<Tile>) -> Weights<'a> {
        let prepared = if prepared.is_empty() { inputs[1] } else { prepared };
        Weights { prepared, bias: inputs.get(2).copied(), tile }
    }
}

/// The tile of Winograd's algorithm, if that is what was chosen.
pub(super) fn forward_tile(isa: Isa, geometry: &Geometry) -> Result<Option<Tile>, Error> {
    Ok(forward_winograd(isa, geometry)?.map(|winograd| winograd.tile()))
}

/// Elements of scratch that [`convolve`] needs.
pub(super) fn convolve_scratch_len(
    isa: Isa,
    geometry: &Geometry,
    tile: Option<Tile>,
) -> Result<usize, Error> {
    match tile {
        Some(tile) => Ok(Winograd::new(isa, geometry, tile)?.forward_scratch_len()),
        None => Ok(0),
    }
}

/// A convolution on one thread.
pub(super) fn convolve(
    isa: Isa,
    geometry: &Geometry,
    Weights { prepared, bias, tile }: Weights<'_>,
    activation: Activation,
    input: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    let Some(tile) = tile else {
        return Ok(conv2d::forward(isa, geometry, input, prepared, bias, activation, output)?);
    };
    let winograd = Winograd::new(isa, geometry, tile)?;
    let scratch = &mut scratch[..winograd.forward_scratch_len()];
    Ok(winograd.forward(input, prepared, bias, activation, output, scratch)?)
}

/// From so many multiply-adds on, an image alone is worth the threads' time.
pub(super) const WORTH_PARTING: u64 = 4_000_000;

/// How a forward pass is parted.
#[derive(Clone, Copy)]
struct Parts {
    /// Of one image, or of one pixel if the window is a single one: then pixels are parted.
    one: Geometry,
    winograd: Option<Tile>,
    /// Rows of a part, if the images are too few for the threads.
    rows: Option<usize>,
}

impl Parts {
    /// For `batch` images; `prepared_for` says what the weights are prepared for.
    fn new(isa: Isa, prepared_for: &Geometry, batch: usize) -> Result<Parts, Error> {
        let winograd = forward_tile(isa, prepared_for)?;
        let one = prepared_for.with_batch(1)?;
        let ([_, h, w, cin], [kh, kw, _, cout], [_, oh, ow, _]) = (one.input(), one.weights(), one.output());
        if batch >= threads() || one.multiply_adds() < WORTH_PARTING {
            return Ok(Parts { one, winograd, rows: None });
        }
        if [kh, kw, oh, ow] == [1, 1, h, w] {
            return Ok(Parts { one: Geometry::dense(1, cin, cout)?, winograd, rows: None });
        }
        // Tiles stay whole, so that the bits stay the same.
        let rows = part_of(oh).next_multiple_of(winograd.map_or(1, Tile::side)).min(oh);
        let seeing = (0..oh).step_by(rows).all(|row| one.rows(row..oh.min(row + rows)).is_some());
        Ok(Parts { one, winograd, rows: seeing.then_some(rows) })
    }

    /// Elements of an input and of an output.
    fn lens(&self) -> [usize; 2] {
        [self.one.input(), self.one.output()].map(|shape| shape.iter().product())
    }

    /// Elements of scratch of one part, the largest, and of all parts.
    fn scratch_lens(&self, isa: Isa, count: usize) -> Result<[usize; 2], Error> {
        let (largest, parts) = match self.rows {
            None => (Some(self.one.with_batch(part_of(count))?), most_parts(count)),
            Some(rows) => {
                let height = self.one.output()[1];
                (self.one.rows(0..rows).map(|(part, _)| part), height.div_ceil(rows))
            }
        };
        let Some(largest) = largest else { return Ok([0, 0]) };
        let len = convolve_scratch_len(isa, &largest, self.winograd)?;
        Ok([len, len * parts])
    }
}

/// Room for all parts, also when there are fewer images than stated.
pub(super) fn forward_scratch_len(isa: Isa, geometry: &Geometry) -> Result<usize, Error> {
    let batch = geometry.input()[0];
    let mut most = 0;
    for batch in [1, batch] {
        let parts = Parts::new(isa, geometry, batch)?;
        let count = geometry.with_batch(batch)?.output().iter().product::<usize>() / parts.lens()[1];
        most = most.max(parts.scratch_lens(isa, count)?[1]);
    }
    Ok(most)
}

/// A convolution or dense layer, parted by images, rows or pixels. There may be fewer images than it
/// was prepared for.
pub(super) fn forward(
    prepared_for: &Geometry,
    activation: Activation,
    run: Forward<'_>,
) -> Result<(), Error> {
    let Forward { isa, inputs, prepared, output, scratch, .. } = run;
    let batch = output.len() / prepared_for.with_batch(1)?.output().iter().product::<usize>();
    let parts = Parts::new(isa, prepared_for, batch)?;
    let Parts { one, winograd: tile, rows } = parts;
    let weights = Weights::new(inputs, prepared, tile);
    let [input_len, output_len] = parts.lens();
    let count = output.len() / output_len;
    let [scratch_len, _] = parts.scratch_lens(isa, count)?;
    let Some(rows) = rows else {
        let images = part_of(count);
        let chunks = (output, images * output_len);
        return for_each_chunk_with(chunks, (scratch, scratch_len), |i, output, scratch| {
            let images_here = output.len() / output_len;
            let input = &inputs[0][i * images * input_len..][..images_here * input_len];
            convolve(isa, &one.with_batch(images_here)?, weights, activation, input, output, scratch)
        });
    };
    let ([_, height, ..], [_, output_height, ..]) = (one.input(), one.output());
    let (input_row, output_row) = (input_len / height, output_len / output_height);
    let images = inputs[0].chunks_exact(input_len).zip(output.chunks_exact_mut(output_len));
    for (input, output) in images {
        let chunks = (output, rows * output_row);
        for_each_chunk_with(chunks, (&mut *scratch, scratch_len), |i, output, scratch| {
            let rows = i * rows..i * rows + output.len() / output_row;
            let Some((part, seen)) = one.rows(rows) else { return Ok(()) };
            let input = &input[seen.start * input_row..seen.end * input_row];
            convolve(isa, &part, weights, activation, input, output, scratch)
        })?;
    }
    Ok(())
}

/// A bias's gradient is the sum of so many partial sums, which threads can share.
const BIAS_PARTS: usize = 16;

/// Room for the passes, which follow each other: partial sums of the bias; the weight gradient's
/// parts; the turned weights and the input gradient's parts.
pub(super) fn backward_scratch_len(isa: Isa, geometry: &Geometry) -> Result<usize, Error> {
    let [batch, ..] = geometry.input();
    let [_, _, cin, cout] = geometry.weights();
    let bias = BIAS_PARTS * cout;
    let weights = match grad_weights_winograd(isa, geometry)? {
        Some(winograd) => {
            let channels = part_of(cin);
            cin.div_ceil(channels) * (9 * channels * cout + winograd.grad_weights_scratch_len(channels))
        }
        None => 0,
    };
    let input = match grad_input_winograd(isa, geometry)? {
        Some(winograd) => {
            let images = part_of(batch);
            let parts = batch.div_ceil(images) * winograd.with_batch(images)?.grad_input_scratch_len();
            winograd.packed_transposed_len() + parts
        }
        None => conv2d::packed_transposed_len(isa, geometry),
    };
    Ok(bias.max(weights).max(input))
}

/// The gradients of a convolution or dense layer.
pub(super) fn backward(geometry: &Geometry, activation: Activation, run: Backward<'_>) -> Result<(), Error> {
    let Backward { isa, inputs, output, d_output, d_inputs: [d_input, d_weights, d_bias], scratch, .. } = run;
    let [batch, ..] = geometry.input();
    let output_len = d_output.len() / batch;
    let images = part_of(batch);
    if activation != Activation::None {
        for_each_chunk(d_output, images * output_len, |i, d| {
            let first = i * images * output_len;
            let output = &output[first..first + d.len()];
            match activation {
                Activation::None => {}
                Activation::Relu => elementwise::relu_grad(isa, output, d)?,
                Activation::Relu6 => elementwise::relu6_grad(isa, output, d)?,
            }
            Ok(())
        })?;
    }
    let d_output = &*d_output;
    if let Some(d_bias) = d_bias {
        grad_bias(isa, d_output, d_bias, scratch)?;
    }
    if let Some(d_weights) = d_weights {
        grad_weights(isa, geometry, inputs[0], d_output, d_weights, scratch)?;
    }
    if let Some(d_input) = d_input {
        grad_input(isa, geometry, inputs[1], d_output, d_input, scratch)?;
    }
    Ok(())
}

fn grad_bias(isa: Isa, d_output: &[f32], d_bias: &mut [f32], scratch: &mut [f32]) -> Result<(), Error> {
    let cout = d_bias.len();
    let rows = d_output.len() / cout;
    let part = rows.div_ceil(BIAS_PARTS);
    let parts = rows.div_ceil(part);
    let sums = &mut scratch[..parts * cout];
    let together = part_of(parts);
    for_each_chunk(sums, together * cout, |i, sums| {
        for (j, sum) in sums.chunks_exact_mut(cout).enumerate() {
            let first = (i * together + j) * part;
            let rows = first..rows.min(first + part);
            let d_output = &d_output[rows.start * cout..rows.end * cout];
            reduce::sum_rows(isa, rows.len(), cout, d_output, sum)?;
        }
        Ok(())
    })?;
    Ok(reduce::sum_rows(isa, parts, cout, sums, d_bias)?)
}

fn grad_weights(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    d_output: &[f32],
    d_weights: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    let [_, _, cin, cout] = geometry.weights();
    let Some(winograd) = grad_weights_winograd(isa, geometry)? else {
        let rows = part_of(d_weights.len() / cout);
        return for_each_chunk(d_weights, rows * cout, |i, d_weights| {
            let rows = i * rows..i * rows + d_weights.len() / cout;
            Ok(conv2d::grad_weights(isa, geometry, input, d_output, rows, d_weights)?)
        });
    };
    // The channels of a part do not lie beside each other in the weights: each part has its own.
    let channels = part_of(cin);
    let part_len = 9 * channels * cout + winograd.grad_weights_scratch_len(channels);
    let scratch = &mut scratch[..cin.div_ceil(channels) * part_len];
    let range = |i: usize| i * channels..cin.min((i + 1) * channels);
    for_each_chunk(scratch, part_len, |i, scratch| {
        let range = range(i);
        let (part, scratch) = scratch.split_at_mut(9 * range.len() * cout);
        let scratch = &mut scratch[..winograd.grad_weights_scratch_len(range.len())];
        Ok(winograd.grad_weights(input, d_output, range, part, scratch)?)
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
    let images = part_of(batch);
    let part = |i: usize, d_input: &[f32]| {
        let first = i * images * output_len;
        let batch = d_input.len() / input_len;
        (batch, &d_output[first..first + batch * output_len])
    };
    let Some(winograd) = grad_input_winograd(isa, geometry)? else {
        let packed = &mut scratch[..conv2d::packed_transposed_len(isa, geometry)];
        conv2d::pack_transposed(isa, geometry, weights, packed)?;
        let packed = &*packed;
        return for_each_chunk(d_input, images * input_len, |i, d_input| {
            let (batch, d_output) = part(i, d_input);
            Ok(conv2d::grad_input(isa, &geometry.with_batch(batch)?, d_output, packed, d_input)?)
        });
    };
    let (packed, scratch) = scratch.split_at_mut(winograd.packed_transposed_len());
    winograd.pack_transposed(weights, packed)?;
    let packed = &*packed;
    let scratch_len = winograd.with_batch(images)?.grad_input_scratch_len();
    for_each_chunk_with((d_input, images * input_len), (scratch, scratch_len), |i, d_input, scratch| {
        let (batch, d_output) = part(i, d_input);
        let winograd = winograd.with_batch(batch)?;
        let scratch = &mut scratch[..winograd.grad_input_scratch_len()];
        Ok(winograd.grad_input(d_output, packed, d_input, scratch)?)
    })
}
