use super::pool_parts::for_each_part;
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, elements_of_one, one_input,
};
use crate::error::Error;
use crate::parallel::{Threads, for_each_images};
use crate::shape::Shape;
use bantam_kernels::Isa;
use bantam_kernels::avg_pool2d::{self, Geometry, Windows};
use bantam_kernels::conv2d::Padding;

/// The mean over windows of each channel, `[H, W, C]` to `[OH, OW, C]`. Padded places are left out of the mean, as in
/// Keras, unless they are to [count](AveragePool2d::count_padding).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AveragePool2d {
    /// The windows.
    pub windows: Windows,
}

impl AveragePool2d {
    /// A square window that moves by its own size, without padding.
    pub const fn new(window: usize) -> AveragePool2d {
        AveragePool2d::rectangular([window, window])
    }

    /// A window of that height and width that moves by its own size, without padding.
    pub const fn rectangular(window: [usize; 2]) -> AveragePool2d {
        AveragePool2d { windows: Windows::new(window) }
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> AveragePool2d {
        self.strides([stride, stride])
    }

    /// With that stride downwards and to the right.
    pub const fn strides(self, stride: [usize; 2]) -> AveragePool2d {
        AveragePool2d { windows: Windows { stride, ..self.windows } }
    }

    /// With so many pixels from one cell of the window to the next, in both directions.
    pub const fn dilation(self, dilation: usize) -> AveragePool2d {
        self.dilations([dilation, dilation])
    }

    /// With so many pixels from one cell of the window to the next, downwards and to the right.
    pub const fn dilations(self, dilation: [usize; 2]) -> AveragePool2d {
        AveragePool2d { windows: Windows { dilation, ..self.windows } }
    }

    /// With that padding.
    pub const fn padding(self, padding: Padding) -> AveragePool2d {
        AveragePool2d { windows: Windows { padding, ..self.windows } }
    }

    /// With padded places in the mean, as zeros, as PyTorch has it unless told otherwise.
    pub const fn count_padding(self) -> AveragePool2d {
        AveragePool2d { windows: Windows { count_padding: true, ..self.windows } }
    }

    /// With a last row and column of windows that reach past the edge, where the stride leaves some of the input over. A
    /// window that would begin in the padding behind the input is dropped, and places past the padding never count, as in
    /// PyTorch and ONNX.
    pub const fn ceil_mode(self) -> AveragePool2d {
        AveragePool2d { windows: Windows { ceil: true, ..self.windows } }
    }

    /// For a batch `[N, H, W, C]`.
    fn geometry(&self, input: [usize; 4]) -> Result<Geometry, Error> {
        Ok(Geometry::of(input, &self.windows)?)
    }
}

impl Layer for AveragePool2d {
    const NAME: &'static str = "AveragePooling2D";
    const BASE: &'static str = "average_pooling2d";
    type Step = AveragePool2dStep;

    fn read(attributes: &mut Attributes<'_>) -> AveragePool2d {
        AveragePool2d { windows: attributes.windows() }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.windows(&self.windows);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [h, w, c] = one_input(inputs)?.array("input")?;
        let [_, output @ ..] = self.geometry([1, h, w, c])?.output();
        Ok(Signature::of(&output))
    }

    fn lower(&self, site: &Site<'_>) -> Result<AveragePool2dStep, Error> {
        let geometry = self.geometry(one_input(site.inputs)?.array("input")?)?;
        Ok(AveragePool2dStep::new(geometry, site))
    }
}

impl Differentiable for AveragePool2d {
    type TrainingStep = AveragePool2dStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<AveragePool2dStep, Error> {
        self.lower(site)
    }
}

/// An average-pool, ready to run. Threads share the images.
pub struct AveragePool2dStep {
    isa: Isa,
    threads: Threads,
    geometry: Geometry,
}

impl AveragePool2dStep {
    pub(super) fn new(geometry: Geometry, site: &Site<'_>) -> AveragePool2dStep {
        AveragePool2dStep { isa: site.isa, threads: site.threads, geometry }
    }
}

impl Step for AveragePool2dStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let whole = self.geometry.first(run.samples);
        for_each_part(self.threads, &whole, run.inputs[0], run.output, |part, input, output| {
            Ok(avg_pool2d::forward(self.isa, part, input, output)?)
        })
    }
}

impl TrainingStep for AveragePool2dStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let ([batch, ..], len) = (self.geometry.input(), elements_of_one(self.geometry.output()));
        let d_output = &*run.d_output;
        for_each_images(batch, self.threads.part_of(batch), d_input, |images, d_input| {
            let d_output = &d_output[images.start * len..images.end * len];
            Ok(avg_pool2d::grad_input(self.isa, &self.geometry.first(images.len()), d_output, d_input)?)
        })
    }
}
