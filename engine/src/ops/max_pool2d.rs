use super::{Backward, Differentiable, Forward, Operation, elements_of_one};
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
        let Forward { isa, shapes, inputs, output, .. } = run;
        let parts = Parts::new(self.geometry(shapes)?, inputs[0]);
        for_each_chunk(output, parts.chunk, |i, output| {
            let (geometry, input) = parts.part(i, output);
            Ok(max_pool2d::forward(isa, &geometry, self.activation, input, output)?)
        })
    }
}

/// Images of a batch, shared among threads.
struct Parts<'a> {
    geometry: Geometry,
    input: &'a [f32],
    /// Outputs of a part.
    chunk: usize,
}

impl<'a> Parts<'a> {
    fn new(geometry: Geometry, input: &'a [f32]) -> Parts<'a> {
        let [batch, ..] = geometry.output();
        Parts { geometry, input, chunk: part_of(batch) * elements_of_one(geometry.output()) }
    }

    /// Geometry and input of the outputs that are part `i`.
    fn part(&self, i: usize, output: &[f32]) -> (Geometry, &'a [f32]) {
        let [input_len, output_len] = [self.geometry.input(), self.geometry.output()].map(elements_of_one);
        let (first, batch) = (i * self.chunk / output_len, output.len() / output_len);
        (self.geometry.first(batch), &self.input[first * input_len..][..batch * input_len])
    }
}

impl Differentiable for MaxPool2d {
    /// The index of each maximum in its window.
    fn kept_len(&self, inputs: &[Shape]) -> Result<usize, Error> {
        Ok(max_pool2d::argmax_len(&self.geometry(inputs)?)?)
    }

    fn forward_keeping(&self, run: Forward<'_>, argmax: &mut [u8]) -> Result<(), Error> {
        let Forward { isa, shapes, inputs, output, .. } = run;
        let parts = Parts::new(self.geometry(shapes)?, inputs[0]);
        for_each_chunk2((output, parts.chunk), (argmax, parts.chunk), |i, output, argmax| {
            let (geometry, input) = parts.part(i, output);
            Ok(max_pool2d::forward_argmax(isa, &geometry, self.activation, input, output, argmax)?)
        })
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
        Ok(max_pool2d::grad_input(isa, &geometry.first(batch), d_output, argmax, d_input)?)
    })
}
