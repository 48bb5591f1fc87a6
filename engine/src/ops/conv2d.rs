use super::{Backward, Forward, Operation};
use crate::parallel::{for_each_chunk, part_of};
use crate::{Error, Shape};
use bantam_kernels::Isa;
use bantam_kernels::conv2d::{self, Activation, Geometry, Padding};
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

    fn geometry(&self, inputs: &[Shape]) -> Result<Geometry, Error> {
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
        Ok(conv2d::packed_len(isa, &self.geometry(inputs)?))
    }

    fn prepare(
        &self,
        isa: Isa,
        shapes: &[Shape],
        inputs: &[&[f32]],
        prepared: &mut [f32],
    ) -> Result<(), Error> {
        Ok(conv2d::pack(isa, &self.geometry(shapes)?, inputs[1], prepared)?)
    }

    fn scratch_len(&self, isa: Isa, inputs: &[Shape]) -> Result<usize, Error> {
        Ok(scratch_len(isa, &self.geometry(inputs)?))
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let geometry = self.geometry(run.shapes)?;
        forward(&geometry, self.activation, run)
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let geometry = self.geometry(run.shapes)?;
        backward(&geometry, self.activation, run)
    }
}

/// A convolution or dense layer, parted by images.
pub(super) fn forward(geometry: &Geometry, activation: Activation, run: Forward<'_>) -> Result<(), Error> {
    let Forward { isa, inputs, prepared, output, .. } = run;
    let [batch, h, w, cin] = geometry.input();
    let (input_len, output_len) = (h * w * cin, output.len() / batch);
    let images = part_of(batch);
    let bias = inputs.get(2).copied();
    for_each_chunk(output, images * output_len, |i, output| {
        let geometry = geometry.with_batch(output.len() / output_len)?;
        let first = i * images * input_len;
        let input = &inputs[0][first..first + geometry.input()[0] * input_len];
        Ok(conv2d::forward(isa, &geometry, input, prepared, bias, activation, output)?)
    })
}

/// A bias's gradient is the sum of so many partial sums, which threads can share.
const BIAS_PARTS: usize = 16;

/// Room for the turned weights, or before them for the partial sums of the bias.
pub(super) fn scratch_len(isa: Isa, geometry: &Geometry) -> usize {
    conv2d::packed_transposed_len(isa, geometry).max(BIAS_PARTS * geometry.output()[3])
}

/// The gradients of a convolution or dense layer.
pub(super) fn backward(geometry: &Geometry, activation: Activation, run: Backward<'_>) -> Result<(), Error> {
    let Backward { isa, inputs, output, d_output, d_inputs: [d_input, d_weights, d_bias], scratch, .. } = run;
    let [batch, h, w, cin] = geometry.input();
    let cout = geometry.output()[3];
    let (input_len, output_len) = (h * w * cin, d_output.len() / batch);
    let images = part_of(batch);
    if activation == Activation::Relu {
        for_each_chunk(d_output, images * output_len, |i, d| {
            let first = i * images * output_len;
            Ok(elementwise::relu_grad(isa, &output[first..first + d.len()], d)?)
        })?;
    }
    let d_output = &*d_output;
    if let Some(d_bias) = d_bias {
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
        reduce::sum_rows(isa, parts, cout, sums, d_bias)?;
    }
    if let Some(d_weights) = d_weights {
        let rows = part_of(d_weights.len() / cout);
        for_each_chunk(d_weights, rows * cout, |i, d_weights| {
            let rows = i * rows..i * rows + d_weights.len() / cout;
            Ok(conv2d::grad_weights(isa, geometry, inputs[0], d_output, rows, d_weights)?)
        })?;
    }
    if let Some(d_input) = d_input {
        let packed = &mut scratch[..conv2d::packed_transposed_len(isa, geometry)];
        conv2d::pack_transposed(isa, geometry, inputs[1], packed)?;
        let packed = &*packed;
        for_each_chunk(d_input, images * input_len, |i, d_input| {
            let geometry = geometry.with_batch(d_input.len() / input_len)?;
            let first = i * images * output_len;
            let d_output = &d_output[first..first + geometry.output()[0] * output_len];
            Ok(conv2d::grad_input(isa, &geometry, d_output, packed, d_input)?)
        })?;
    }
    Ok(())
}
