use super::conv2d::{Conv2d, Conv2dPool, Conv2dPoolTraining};
use super::layer_type::Joined;
use super::pool_parts::for_each_part;
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType, Signature,
    Site, Step, TrainingStep, elements_of_one, kept, one_input_of,
};
use crate::error::Error;
use crate::layers::conv2d::grad_activation;
use crate::memory::heap::boxed;
use crate::parallel::{Threads, for_each_chunk, for_each_chunk2};
use crate::shape::Shape;
use alloc::boxed::Box;
use bantam_kernels::conv2d::{Activation, Padding};
use bantam_kernels::max_pool2d::{self, Geometry, Windows};
use bantam_kernels::{self as kernels, Isa};

/// The maximum over windows of each channel, `[H, W, C]` to `[OH, OW, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaxPool2d {
    /// The windows.
    pub windows: Windows,
    pub(crate) activation: Activation,
}

impl MaxPool2d {
    /// A square window that moves by its own size, without padding.
    pub const fn new(window: usize) -> MaxPool2d {
        MaxPool2d::rectangular([window, window])
    }

    /// A window of that height and width that moves by its own size, without padding.
    pub const fn rectangular(window: [usize; 2]) -> MaxPool2d {
        MaxPool2d { windows: Windows::new(window), activation: Activation::None }
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> MaxPool2d {
        self.strides([stride, stride])
    }

    /// With that stride downwards and to the right.
    pub const fn strides(self, stride: [usize; 2]) -> MaxPool2d {
        MaxPool2d { windows: Windows { stride, ..self.windows }, ..self }
    }

    /// With so many pixels from one cell of the window to the next, in both directions.
    pub const fn dilation(self, dilation: usize) -> MaxPool2d {
        self.dilations([dilation, dilation])
    }

    /// With so many pixels from one cell of the window to the next, downwards and to the right.
    pub const fn dilations(self, dilation: [usize; 2]) -> MaxPool2d {
        MaxPool2d { windows: Windows { dilation, ..self.windows }, ..self }
    }

    /// With that padding; padded places are never the maximum.
    pub const fn padding(self, padding: Padding) -> MaxPool2d {
        MaxPool2d { windows: Windows { padding, ..self.windows }, ..self }
    }

    /// With a last row and column of windows that reach past the edge, where the stride leaves some of the input over. A
    /// window that would begin in the padding behind the input is dropped, as in PyTorch and ONNX.
    pub const fn ceil_mode(self) -> MaxPool2d {
        MaxPool2d { windows: Windows { ceil: true, ..self.windows }, ..self }
    }

    /// With a ReLU after the maximum, in the same pass. It is the same as one before, for less work. In a model it is a
    /// layer of its own.
    pub const fn relu(self) -> MaxPool2d {
        MaxPool2d { activation: Activation::Relu, ..self }
    }

    /// For a batch `[N, H, W, C]`.
    pub(super) fn geometry(&self, input: [usize; 4]) -> Result<Geometry, kernels::Error> {
        Geometry::of(input, &self.windows)
    }

    /// Whether all cells of all windows are inside the input, side by side.
    pub(super) fn has_whole_windows(&self) -> bool {
        let Windows { padding, dilation, ceil, .. } = self.windows;
        padding == Padding::Valid && dilation == [1, 1] && !ceil
    }
}

impl Layer for MaxPool2d {
    const NAME: &'static str = "MaxPooling2D";
    const BASE: &'static str = "max_pooling2d";
    const TYPE: LayerType = LayerType::of::<MaxPool2d>().takes_activation().monotone().joined(&AFTER_CONV2D);
    type Step = MaxPool2dStep;

    fn read(attributes: &mut Attributes<'_>) -> MaxPool2d {
        MaxPool2d { windows: attributes.windows(), activation: Activation::None }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.windows(&self.windows);
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [h, w, c] = one_input_of(inputs)?;
        let [_, output @ ..] = kept(&self.geometry([1, h, w, c]))?.output();
        Ok(Signature::of(&output))
    }

    fn lower(&self, site: &Site<'_>) -> Result<MaxPool2dStep, Error> {
        let geometry = self.geometry(one_input_of(site.inputs)?)?;
        Ok(MaxPool2dStep { isa: site.isa, threads: site.threads, activation: site.activation, geometry })
    }
}

impl Differentiable for MaxPool2d {
    const TRAINABLE: LayerType = Self::TYPE.trainable::<Self>().joined(&TRAINABLE_AFTER_CONV2D);
    type TrainingStep = MaxPool2dTraining;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<MaxPool2dTraining, Error> {
        let step = self.lower(site)?;
        let saved_len = max_pool2d::argmax_len(&step.geometry)?;
        Ok(MaxPool2dTraining { step, saved_len })
    }
}

/// A convolution and the pool behind it are one step.
const AFTER_CONV2D: Joined = Joined {
    before: Conv2d::NAME,
    fits: |pool| MaxPool2d::read(pool).has_whole_windows(),
    lower: |[conv, pool], site| {
        let step = Conv2dPool::new(&Conv2d::read(conv), &MaxPool2d::read(pool), site)?;
        Ok(boxed(step)? as Box<dyn Step>)
    },
    lower_for_training: None,
};

const TRAINABLE_AFTER_CONV2D: Joined = Joined {
    lower_for_training: Some(|[conv, pool], site| {
        let step = Conv2dPoolTraining::new(&Conv2d::read(conv), &MaxPool2d::read(pool), site)?;
        Ok(boxed(step)? as Box<dyn TrainingStep>)
    }),
    ..AFTER_CONV2D
};

/// [`MaxPool2d`], ready to run.
pub struct MaxPool2dStep {
    isa: Isa,
    threads: Threads,
    activation: Activation,
    geometry: Geometry,
}

impl MaxPool2dStep {
    /// Elements of an input and of an output.
    fn lens(&self) -> [usize; 2] {
        [self.geometry.input(), self.geometry.output()].map(elements_of_one)
    }

    /// The geometry and the input of an output of so many elements, from this image on.
    fn part<'a>(&self, input: &'a [f32], first: usize, len: usize) -> (Geometry, &'a [f32]) {
        let [input_len, output_len] = self.lens();
        let images = len / output_len;
        (self.geometry.first(images), &input[first * input_len..][..images * input_len])
    }
}

impl Step for MaxPool2dStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let whole = self.geometry.first(run.samples);
        for_each_part(self.threads, &whole, run.inputs[0], run.output, |part, input, output| {
            Ok(max_pool2d::forward(self.isa, part, self.activation, input, output)?)
        })
    }
}

/// [`MaxPool2d`] with its backward pass.
pub struct MaxPool2dTraining {
    step: MaxPool2dStep,
    saved_len: usize,
}

impl Step for MaxPool2dTraining {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.step.forward(run)
    }
}

impl TrainingStep for MaxPool2dTraining {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::output_of(self.step.activation)
    }

    /// The index of each maximum in its window.
    fn saved_len(&self) -> usize {
        self.saved_len
    }

    fn forward_saving(&self, run: Forward<'_>, argmax: &mut [u8]) -> Result<(), Error> {
        let step = &self.step;
        let images = step.threads.part_of(run.samples);
        let chunk = images * step.lens()[1];
        for_each_chunk2((run.output, chunk), (argmax, chunk), |i, output, argmax| {
            let (geometry, input) = step.part(run.inputs[0], i * images, output.len());
            Ok(max_pool2d::forward_argmax(step.isa, &geometry, step.activation, input, output, argmax)?)
        })
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let MaxPool2dStep { isa, threads, activation, geometry } = &self.step;
        grad_activation(*isa, *activation, run.output, run.d_output)?;
        let d_output = &*run.d_output;
        let ([batch, ..], [input_len, output_len]) = (geometry.input(), self.step.lens());
        let images = threads.part_of(batch);
        for_each_chunk(d_input, images * input_len, |i, d_input| {
            let batch = d_input.len() / input_len;
            let outputs = i * images * output_len..(i * images + batch) * output_len;
            let (d_output, argmax) = (&d_output[outputs.clone()], &run.saved[outputs]);
            Ok(max_pool2d::grad_input(*isa, &geometry.first(batch), d_output, argmax, d_input)?)
        })
    }
}
