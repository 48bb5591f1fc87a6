use super::frame::Frame;
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, one_input_of,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels as kernels;

/// A map without its edges, `[H, W, C]` to `[H - top - bottom, W - left - right, C]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cropping2d {
    /// `[[top, bottom], [left, right]]`
    pub cropping: [[usize; 2]; 2],
}

impl Cropping2d {
    /// `[[top, bottom], [left, right]]`. Without any, which is Keras's default, the map stays as it is.
    pub const fn new(cropping: [[usize; 2]; 2]) -> Cropping2d {
        Cropping2d { cropping }
    }

    /// What is left of a map.
    fn cropped(&self, [h, w, c]: [usize; 3]) -> Result<[usize; 3], kernels::Error> {
        let cropped = |size: usize, [before, after]: [usize; 2]| {
            let left = size.checked_sub(before).and_then(|size| size.checked_sub(after));
            left.filter(|&left| left > 0).ok_or(kernels::Error::OutOfRange {
                what: "cropping",
                max: size - 1,
                got: before.saturating_add(after),
            })
        };
        let [vertical, horizontal] = self.cropping;
        Ok([cropped(h, vertical)?, cropped(w, horizontal)?, c])
    }
}

impl Layer for Cropping2d {
    const NAME: &'static str = "Cropping2D";
    const BASE: &'static str = "cropping2d";
    type Step = Cropping2dStep;

    fn read(attributes: &mut Attributes<'_>) -> Cropping2d {
        let [top, bottom, left, right] = attributes.sizes("cropping");
        Cropping2d::new([[top, bottom], [left, right]])
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.sizes(self.cropping.as_flattened());
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        Ok(Signature::of(&self.cropped(one_input_of(inputs)?)?))
    }

    fn lower(&self, site: &Site<'_>) -> Result<Cropping2dStep, Error> {
        let [_, map @ ..] = one_input_of::<4>(site.inputs)?;
        Ok(Cropping2dStep(Frame::new(self.cropping, self.cropped(map)?)))
    }
}

impl Differentiable for Cropping2d {
    type TrainingStep = Cropping2dStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<Cropping2dStep, Error> {
        self.lower(site)
    }
}

/// [`Cropping2d`], ready to run.
pub struct Cropping2dStep(Frame);

impl Step for Cropping2dStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.0.crop(run.inputs[0], run.output)
    }
}

impl TrainingStep for Cropping2dStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        self.0.pad(run.d_output, d_input)
    }
}
