use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, elements_of_one, one_input_of,
};
use crate::error::Error;
use crate::parallel::{Threads, for_each_images};
use crate::shape::Shape;
use bantam_kernels::avg_pool2d::{self, Geometry, Windows};
use bantam_kernels::{self as kernels, Isa, upsample2d};

/// A map enlarged by whole factors, `[H, W, C]` to `[H · down, W · across, C]`: each pixel so many times, or
/// [bilinear](UpSampling2d::bilinear).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpSampling2d {
    /// The factors, `[down, across]`.
    pub size: [usize; 2],
    /// Whether pixels between are bilinear, rather than the nearest.
    pub bilinear: bool,
}

impl UpSampling2d {
    /// By these factors, `[down, across]`.
    pub const fn new(size: [usize; 2]) -> UpSampling2d {
        UpSampling2d { size, bilinear: false }
    }

    /// Between the four nearest pixels, by the distance from their centres; beyond the outermost centres the map goes on as
    /// it is there. A row of 0 and 1 becomes 0, 0.25, 0.75, 1.
    pub const fn bilinear(self) -> UpSampling2d {
        UpSampling2d { bilinear: true, ..self }
    }

    /// A batch `[N, H, W, C]`, enlarged.
    fn enlarged(&self, [n, h, w, c]: [usize; 4]) -> Result<[usize; 4], Error> {
        let [down, across] = self.size;
        if down == 0 || across == 0 {
            return Err(kernels::Error::ZeroSize { what: "size" }.into());
        }
        let sizes = (h.checked_mul(down), w.checked_mul(across));
        let (Some(h), Some(w)) = sizes else {
            return Err(kernels::Error::TooLarge { what: "output" }.into());
        };
        Ok([n, h, w, c])
    }
}

impl Default for UpSampling2d {
    /// Twice as high and as wide, as in Keras.
    fn default() -> UpSampling2d {
        UpSampling2d::new([2, 2])
    }
}

impl Layer for UpSampling2d {
    const NAME: &'static str = "UpSampling2D";
    const BASE: &'static str = "up_sampling2d";
    type Step = UpSampling2dStep;

    fn read(attributes: &mut Attributes<'_>) -> UpSampling2d {
        UpSampling2d { size: attributes.sizes("size"), bilinear: attributes.flag("bilinear flag") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.sizes(&self.size);
        attributes.flag(self.bilinear);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [h, w, c] = one_input_of(inputs)?;
        let [_, output @ ..] = self.enlarged([1, h, w, c])?;
        Ok(Signature::of(&output))
    }

    fn lower(&self, site: &Site<'_>) -> Result<UpSampling2dStep, Error> {
        let input = one_input_of(site.inputs)?;
        let pool = Geometry::of(self.enlarged(input)?, &Windows::new(self.size))?.summing();
        let UpSampling2d { size, bilinear } = *self;
        Ok(UpSampling2dStep { isa: site.isa, threads: site.threads, input, size, bilinear, pool })
    }
}

impl Differentiable for UpSampling2d {
    type TrainingStep = UpSampling2dStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<UpSampling2dStep, Error> {
        self.lower(site)
    }
}

/// [`UpSampling2d`], ready to run. Threads share the images.
pub struct UpSampling2dStep {
    isa: Isa,
    threads: Threads,
    input: [usize; 4],
    size: [usize; 2],
    bilinear: bool,
    /// The pool whose gradient it is by nearest neighbours.
    pool: Geometry,
}

impl UpSampling2dStep {
    /// The shape of so many images.
    fn images(&self, images: usize) -> [usize; 4] {
        let [_, h, w, c] = self.input;
        [images, h, w, c]
    }
}

impl Step for UpSampling2dStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (len, x) = (elements_of_one(self.input), run.inputs[0]);
        for_each_images(run.samples, self.threads.part_of(run.samples), run.output, |images, y| {
            let x = &x[images.start * len..images.end * len];
            Ok(if self.bilinear {
                upsample2d::bilinear(self.isa, self.images(images.len()), self.size, x, y)
            } else {
                avg_pool2d::grad_input(self.isa, &self.pool.first(images.len()), x, y)
            }?)
        })
    }
}

impl TrainingStep for UpSampling2dStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_x) = run.d_input else { return Ok(()) };
        let ([batch, ..], len) = (self.input, elements_of_one(self.pool.input()));
        let d_y = &*run.d_output;
        for_each_images(batch, self.threads.part_of(batch), d_x, |images, d_x| {
            let d_y = &d_y[images.start * len..images.end * len];
            Ok(if self.bilinear {
                upsample2d::grad_bilinear(self.isa, self.images(images.len()), self.size, d_y, d_x)
            } else {
                avg_pool2d::forward(self.isa, &self.pool.first(images.len()), d_y, d_x)
            }?)
        })
    }
}
