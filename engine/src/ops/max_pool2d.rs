use super::{Backward, Differentiable, Forward, Operation};
use crate::parallel::{for_each_chunk, for_each_chunk2, part_of};
use crate::{Error, Shape};
use bantam_kernels::conv2d::{Activation, Padding};
use bantam_kernels::max_pool2d::{self, Geometry};
use bantam_kernels::{Isa, elementwise};

/// How a max-pool slides over its input `[N, H, W, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d {
    pub(crate) window: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: Padding,
    pub(crate) activation: Activation,
}

impl MaxPool2d {
    /// A square window that moves by its own size, without padding.
    pub const fn new(window: usize) -> MaxPool2d {
        MaxPool2d {
            window: [window, window],
            stride: [window, window],
            padding: Padding::Valid,
            activation: Activation::None,
        }
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> MaxPool2d {
        MaxPool2d { stride: [stride, stride], ..self }
    }

    /// With that padding; padded places are never the maximum.
    pub const fn padding(self, padding: Padding) -> MaxPool2d {
        MaxPool2d { padding, ..self }
    }

    /// With a ReLU after the maximum, in the same pass. It is the same as one before, for less work.
    pub const fn relu(self) -> MaxPool2d {
        MaxPool2d { activation: Activation::Relu, ..self }
    }

    pub(super) fn geometry(&self, inputs: &[Shape]) -> Result<Geometry, Error> {
        Ok(Geometry::new(inputs[0].array("input")?, self.window, self.stride, self.padding)?)
    }
}

impl Operation for MaxPool2d {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        Shape::new(&self.geometry(inputs)?.output())
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let Forward { isa, shapes, inputs, output, kept, .. } = run;
        let geometry = self.geometry(shapes)?;
        let batch = geometry.input()[0];
        let (input_len, output_len) = (inputs[0].len() / batch, output.len() / batch);
        let images = part_of(batch);
        let part = |i: usize, output: &[f32]| -> Result<(Geometry, &[f32]), Error> {
            let batch = output.len() / output_len;
            let first = i * images * input_len;
            Ok((geometry.with_batch(batch)?, &inputs[0][first..first + batch * input_len]))
        };
        let chunk = images * output_len;
        match kept {
            None => for_each_chunk(output, chunk, |i, output| {
                let (geometry, input) = part(i, output)?;
                Ok(max_pool2d::forward(isa, &geometry, self.activation, input, output)?)
            }),
            Some(argmax) => for_each_chunk2((output, chunk), (argmax, chunk), |i, output, argmax| {
                let (geometry, input) = part(i, output)?;
                Ok(max_pool2d::forward_argmax(isa, &geometry, self.activation, input, output, argmax)?)
            }),
        }
    }
}

impl Differentiable for MaxPool2d {
    /// The index of each maximum in its window.
    fn kept_len(&self, inputs: &[Shape]) -> Result<usize, Error> {
        Ok(max_pool2d::argmax_len(&self.geometry(inputs)?)?)
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Backward { isa, shapes, kept: argmax, output, d_output, d_inputs: [d_input, ..], .. } = run;
        let Some(d_input) = d_input else { return Ok(()) };
        backward(isa, &self.geometry(shapes)?, self.activation, argmax, output, d_output, d_input)
    }
}

/// The gradient of a max-pool, and of the activation after it, to the input.
pub(super) fn backward(
    isa: Isa,
    geometry: &Geometry,
    activation: Activation,
    argmax: &[u8],
    output: &[f32],
    d_output: &mut [f32],
    d_input: &mut [f32],
) -> Result<(), Error> {
    if activation == Activation::Relu {
        elementwise::relu_grad(isa, output, d_output)?;
    }
    let d_output = &*d_output;
    let batch = geometry.input()[0];
    let (input_len, output_len) = (d_input.len() / batch, d_output.len() / batch);
    let images = part_of(batch);
    for_each_chunk(d_input, images * input_len, |i, d_input| {
        let batch = d_input.len() / input_len;
        let outputs = i * images * output_len..(i * images + batch) * output_len;
        let (d_output, argmax) = (&d_output[outputs.clone()], &argmax[outputs]);
        Ok(max_pool2d::grad_input(isa, &geometry.with_batch(batch)?, d_output, argmax, d_input)?)
    })
}
