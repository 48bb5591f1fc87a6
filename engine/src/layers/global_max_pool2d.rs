use super::global_average_pool2d::one_pixel;
use super::{
    Attributes, AttributesMut, Backward, Differentiable, Forward, Layer, Signature, Site, Step, TrainingStep,
    one_input,
};
use crate::error::Error;
use crate::parallel::{Threads, for_each_images};
use crate::shape::Shape;
use bantam_kernels::{Isa, global_max_pool2d};

/// The maximum of each channel over all pixels, `[H, W, C]` to `[C]`. The gradient goes in equal shares to all pixels
/// that have the maximum, as in Keras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GlobalMaxPool2d {
    /// Whether the output is `[1, 1, C]`.
    pub keep_dims: bool,
}

impl GlobalMaxPool2d {
    /// To `[C]`.
    pub const fn new() -> GlobalMaxPool2d {
        GlobalMaxPool2d { keep_dims: false }
    }

    /// To `[1, 1, C]`.
    pub const fn keep_dims(self) -> GlobalMaxPool2d {
        GlobalMaxPool2d { keep_dims: true }
    }
}

impl Layer for GlobalMaxPool2d {
    const NAME: &'static str = "GlobalMaxPooling2D";
    const BASE: &'static str = "global_max_pooling2d";
    type Step = GlobalMaxPool2dStep;

    fn read(attributes: &mut Attributes<'_>) -> GlobalMaxPool2d {
        GlobalMaxPool2d { keep_dims: attributes.flag("keepdims flag") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.flag(self.keep_dims);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        Ok(Signature::new(one_pixel(one_input(inputs)?, self.keep_dims)?))
    }

    fn lower(&self, site: &Site<'_>) -> Result<GlobalMaxPool2dStep, Error> {
        let [batch, h, w, channels] = one_input(site.inputs)?.array("input")?;
        let Site { isa, threads, .. } = *site;
        Ok(GlobalMaxPool2dStep { isa, threads, batch, pixels: h * w, channels })
    }
}

impl Differentiable for GlobalMaxPool2d {
    type TrainingStep = GlobalMaxPool2dStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<GlobalMaxPool2dStep, Error> {
        self.lower(site)
    }
}

/// [`GlobalMaxPool2d`], ready to run. Threads share the images.
pub struct GlobalMaxPool2dStep {
    isa: Isa,
    threads: Threads,
    batch: usize,
    pixels: usize,
    channels: usize,
}

impl Step for GlobalMaxPool2dStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let GlobalMaxPool2dStep { isa, pixels, channels, .. } = *self;
        let (len, x) = (pixels * channels, run.inputs[0]);
        for_each_images(run.samples, self.threads.part_of(run.samples), run.output, |images, y| {
            let x = &x[images.start * len..images.end * len];
            Ok(global_max_pool2d::forward(isa, images.len(), pixels, channels, x, y)?)
        })
    }
}

impl TrainingStep for GlobalMaxPool2dStep {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_x) = run.d_input else { return Ok(()) };
        let GlobalMaxPool2dStep { isa, pixels, channels, .. } = *self;
        let (len, x, y, d_y) = (pixels * channels, run.inputs[0], run.output, &*run.d_output);
        for_each_images(self.batch, self.threads.part_of(self.batch), d_x, |images, d_x| {
            let x = &x[images.start * len..images.end * len];
            let [y, d_y] = [y, d_y].map(|y| &y[images.start * channels..images.end * channels]);
            Ok(global_max_pool2d::grad_input(isa, images.len(), pixels, channels, x, y, d_y, d_x)?)
        })
    }
}
