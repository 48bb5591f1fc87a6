mod backward;

pub(super) use backward::{backward, backward_rows, backward_scratch_len, weight_rows};

use super::{Backward, BackwardRows, Differentiable, Forward, Operation, elements_of_one, room_of_parts};
use crate::parallel::{WORTH_SHARING, fewer_than_threads, for_each_chunk_with, part_of, part_of_work};
use crate::{Error, Shape};
use bantam_kernels::Isa;
use bantam_kernels::conv2d::{Activation, Convolution, Geometry, Padding};

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
    pub(crate) direct_only: bool,
}

impl Conv2d {
    /// Stride 1 and that padding.
    pub const fn padded(padding: Padding) -> Conv2d {
        Conv2d { stride: [1, 1], padding, activation: Activation::None, direct_only: false }
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

    /// Without Winograd's algorithm, forward and backward: slower, at the rounding errors of a plain sum.
    ///
    /// For images with numbers of very different size beside each other: one pixel of 10⁶ costs those around it
    /// of 10⁻³ their digits in Winograd's tiles. And for numbers whose sums overflow there,
    /// [`NotFinite`](bantam_kernels::Error::NotFinite), from 2¹⁰⁰ on; in scalar code from 2⁵⁰ on.
    pub const fn direct_only(self) -> Conv2d {
        Conv2d { direct_only: true, ..self }
    }

    pub(super) fn geometry(&self, inputs: &[Shape]) -> Result<Geometry, Error> {
        let input = inputs[0].array::<4>("input")?;
        let [kh, kw, _, cout] = inputs[1].array("weights")?;
        require_weights(inputs, &[kh, kw, input[3], cout])?;
        let mut geometry = Geometry::new(input, [kh, kw], cout, self.stride, self.padding)?;
        if self.direct_only {
            geometry = geometry.direct_only();
        }
        Ok(geometry)
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

    fn multiply_adds(&self, inputs: &[Shape]) -> u64 {
        self.geometry(inputs).map_or(0, |geometry| geometry.multiply_adds())
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let prepared_for = self.geometry(run.prepared_for)?;
        forward(&prepared_for, self.activation, run)
    }
}

impl Differentiable for Conv2d {
    fn backward_scratch_len(&self, isa: Isa, inputs: &[Shape], d_input: bool) -> Result<usize, Error> {
        backward_scratch_len(isa, &self.geometry(inputs)?, None, d_input)
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let geometry = self.geometry(run.shapes)?;
        backward(&geometry, self.activation, None, run)
    }

    fn weight_rows(&self, isa: Isa, inputs: &[Shape]) -> Result<Option<usize>, Error> {
        weight_rows(isa, &self.geometry(inputs)?)
    }

    fn backward_rows(&self, run: BackwardRows<'_>) -> Result<(), Error> {
        backward_rows(&self.geometry(run.shapes)?, run)
    }
}

/// Checks that the weights have these dimensions, and the bias, if there is one, the last of them.
pub(super) fn require_weights(inputs: &[Shape], dims: &[usize]) -> Result<(), Error> {
    Shape::new(dims)?.require("weights", inputs[1])?;
    match inputs.get(2) {
        Some(&bias) => Shape::new(&dims[dims.len() - 1..])?.require("bias", bias),
        None => Ok(()),
    }
}

pub(super) fn prepared_len(isa: Isa, geometry: &Geometry) -> Result<usize, Error> {
    Ok(Convolution::new(isa, geometry).packed_len())
}

pub(super) fn prepare(
    isa: Isa,
    geometry: &Geometry,
    weights: &[f32],
    prepared: &mut [f32],
) -> Result<(), Error> {
    Ok(Convolution::new(isa, geometry).pack(weights, prepared)?)
}

/// What a forward pass multiplies by and adds.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    prepared: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl<'a> Weights<'a> {
    /// Of an operation's inputs. Where there was nothing to prepare the weights themselves serve.
    pub fn new(inputs: &[&'a [f32]], prepared: &'a [f32]) -> Weights<'a> {
        let prepared = if prepared.is_empty() { inputs[1] } else { prepared };
        Weights { prepared, bias: inputs.get(2).copied() }
    }

    /// A convolution on one thread, with scratch at the front of what there is.
    pub fn convolve(
        self,
        convolution: &Convolution,
        activation: Activation,
        input: &[f32],
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let scratch = &mut scratch[..convolution.scratch_len()];
        Ok(convolution.forward(input, self.prepared, self.bias, activation, output, scratch)?)
    }
}

/// How a forward pass is parted.
#[derive(Clone, Copy)]
struct Parts {
    /// Of all images, or of as many pixels if the window is a single one: then pixels are parted.
    whole: Convolution,
    /// Rows of a part, if the images are too few for the threads.
    rows: Option<usize>,
}

impl Parts {
    /// For `batch` images; `prepared_for` says what the weights are prepared for.
    fn new(isa: Isa, prepared_for: &Geometry, batch: usize) -> Parts {
        let whole = Convolution::new(isa, prepared_for).first(batch);
        let geometry = whole.geometry();
        if !fewer_than_threads(batch) || geometry.first(1).multiply_adds() < WORTH_SHARING {
            return Parts { whole, rows: None };
        }
        let ([n, h, w, cin], [kh, kw, _, cout], [_, oh, ow, _]) =
            (geometry.input(), geometry.weights(), geometry.output());
        if [kh, kw, oh, ow] == [1, 1, h, w]
            && let Ok(pixels) = Geometry::dense(n * h * w, cin, cout)
        {
            return Parts { whole: Convolution::new(isa, &pixels), rows: None };
        }
        // Tiles stay whole, so that the bits stay the same.
        let rows = part_of(oh).next_multiple_of(whole.algorithm().rows()).min(oh);
        let seeing = (0..oh).step_by(rows).all(|row| geometry.rows(row..oh.min(row + rows)).is_some());
        Parts { whole, rows: seeing.then_some(rows) }
    }

    fn geometry(&self) -> &Geometry {
        self.whole.geometry()
    }

    /// How many images or pixels there are, and how many are in a part.
    fn counts(&self) -> [usize; 2] {
        let [count, ..] = self.geometry().input();
        [count, part_of_work(count, self.geometry().multiply_adds())]
    }

    /// Elements of an input and of an output.
    fn lens(&self) -> [usize; 2] {
        [self.geometry().input(), self.geometry().output()].map(elements_of_one)
    }

    /// Elements of scratch of one part, the largest, and of all parts.
    fn scratch_lens(&self) -> Result<[usize; 2], Error> {
        let (largest, parts) = match self.rows {
            None => {
                let [count, part] = self.counts();
                (Some(self.whole.first(part)), count.div_ceil(part))
            }
            Some(rows) => {
                let height = self.geometry().output()[1];
                (self.whole.rows(0..rows).map(|(part, _)| part), height.div_ceil(rows))
            }
        };
        let len = largest.map_or(0, |largest| largest.scratch_len());
        Ok([len, room_of_parts(parts, len)?])
    }
}

/// Room for all parts, also when there are fewer images than stated.
pub(super) fn forward_scratch_len(isa: Isa, geometry: &Geometry) -> Result<usize, Error> {
    let [batch, ..] = geometry.input();
    let of = |batch: usize| Ok(Parts::new(isa, geometry, batch).scratch_lens()?[1]);
    let whole: Result<usize, Error> = of(batch);
    if !fewer_than_threads(1) {
        return whole;
    }
    // One image may be parted by rows; a few are not parted, where more are.
    let one = geometry.first(1).multiply_adds().max(1);
    let few = ((WORTH_SHARING - 1) / one).clamp(1, batch as u64) as usize;
    Ok(whole?.max(of(1)?).max(of(few)?))
}

/// A convolution or dense layer, parted by images, rows or pixels. There may be fewer images than it
/// was prepared for.
pub(super) fn forward(
    prepared_for: &Geometry,
    activation: Activation,
    run: Forward<'_>,
) -> Result<(), Error> {
    let Forward { isa, inputs, prepared, output, scratch, .. } = run;
    let batch = output.len() / elements_of_one(prepared_for.output());
    let parts = Parts::new(isa, prepared_for, batch);
    let Parts { whole, rows } = parts;
    let weights = Weights::new(inputs, prepared);
    let [input_len, output_len] = parts.lens();
    let [scratch_len, _] = parts.scratch_lens()?;
    let Some(rows) = rows else {
        let [_, part] = parts.counts();
        let chunks = (output, part * output_len);
        return for_each_chunk_with(chunks, (scratch, scratch_len), |i, output, scratch| {
            let here = output.len() / output_len;
            let input = &inputs[0][i * part * input_len..][..here * input_len];
            weights.convolve(&whole.first(here), activation, input, output, scratch)
        });
    };
    let ([_, height, ..], [_, output_height, ..]) = (whole.geometry().input(), whole.geometry().output());
    let (input_row, output_row) = (input_len / height, output_len / output_height);
    let images = inputs[0].chunks_exact(input_len).zip(output.chunks_exact_mut(output_len));
    for (input, output) in images {
        let chunks = (output, rows * output_row);
        for_each_chunk_with(chunks, (&mut *scratch, scratch_len), |i, output, scratch| {
            let rows = i * rows..i * rows + output.len() / output_row;
            let Some((part, seen)) = whole.rows(rows) else { return Ok(()) };
            let input = &input[seen.start * input_row..seen.end * input_row];
            weights.convolve(&part, activation, input, output, scratch)
        })?;
    }
    Ok(())
}
