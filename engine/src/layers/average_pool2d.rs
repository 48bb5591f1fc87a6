use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, elements_of_one, one_input,
};
use crate::error::Error;
use crate::parallel::{Threads, for_each_images};
use crate::shape::Shape;
use bantam_kernels::Isa;
use bantam_kernels::avg_pool2d::{self, Geometry};
use bantam_kernels::conv2d::Padding;

/// The mean over windows of each channel, `[H, W, C]` to `[OH, OW, C]`. Padded places are left out of the mean, as in
/// Keras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePool2d {
    window: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
}

impl AveragePool2d {
    /// A square window that moves by its own size, without padding.
    pub const fn new(window: usize) -> AveragePool2d {
        AveragePool2d { window: [window, window], stride: [window, window], padding: Padding::Valid }
    }

    /// With that stride in both directions.
    pub const fn stride(self, stride: usize) -> AveragePool2d {
        AveragePool2d { stride: [stride, stride], ..self }
    }

    /// With that padding.
    pub const fn padding(self, padding: Padding) -> AveragePool2d {
        AveragePool2d { padding, ..self }
    }

    /// For a batch `[N, H, W, C]`.
    fn geometry(&self, input: [usize; 4]) -> Result<Geometry, Error> {
        Ok(Geometry::new(input, self.window, self.stride, self.padding)?)
    }
}

impl Layer for AveragePool2d {
    const NAME: &'static str = "AveragePooling2D";
    const BASE: &'static str = "average_pooling2d";
    type Step = AveragePool2dStep;

    fn read(attributes: &mut Attributes<'_>) -> AveragePool2d {
        let [h, w, vertical, horizontal] = attributes.sizes("average-pool");
        let padding = attributes.padding();
        AveragePool2d { window: [h, w], stride: [vertical, horizontal], padding }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.sizes(&[self.window[0], self.window[1], self.stride[0], self.stride[1]]);
        attributes.padding(self.padding);
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
        let (len, input) = (elements_of_one(self.geometry.input()), run.inputs[0]);
        for_each_images(run.samples, self.threads.part_of(run.samples), run.output, |images, output| {
            let input = &input[images.start * len..images.end * len];
            Ok(avg_pool2d::forward(self.isa, &self.geometry.first(images.len()), input, output)?)
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
