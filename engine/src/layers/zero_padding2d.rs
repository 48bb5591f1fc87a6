use super::frame::Frame;
use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, one_input_of,
};
use crate::error::Error;
use crate::shape::Shape;

/// Zeros around a map, `[H, W, C]` to `[top + H + bottom, left + W + right, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZeroPadding2d {
    /// `[[top, bottom], [left, right]]`
    pub padding: [[usize; 2]; 2],
}

impl ZeroPadding2d {
    /// `[[top, bottom], [left, right]]`
    pub const fn new(padding: [[usize; 2]; 2]) -> ZeroPadding2d {
        ZeroPadding2d { padding }
    }
}

impl Default for ZeroPadding2d {
    /// One pixel at each edge, as in Keras.
    fn default() -> ZeroPadding2d {
        ZeroPadding2d::new([[1, 1], [1, 1]])
    }
}

impl Layer for ZeroPadding2d {
    const NAME: &'static str = "ZeroPadding2D";
    const BASE: &'static str = "zero_padding2d";
    type Step = ZeroPadding2dStep;

    fn read(attributes: &mut Attributes<'_>) -> ZeroPadding2d {
        let [top, bottom, left, right] = attributes.sizes("padding");
        ZeroPadding2d::new([[top, bottom], [left, right]])
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.sizes(self.padding.as_flattened());
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [h, w, c] = one_input_of(inputs)?;
        let padded = |size: usize, [before, after]: [usize; 2]| {
            let padded = size.checked_add(before).and_then(|size| size.checked_add(after));
            padded.ok_or(bantam_kernels::Error::TooLarge { what: "padded input" })
        };
        let [vertical, horizontal] = self.padding;
        Ok(Signature::of(&[padded(h, vertical)?, padded(w, horizontal)?, c]))
    }

    fn lower(&self, site: &Site<'_>) -> Result<ZeroPadding2dStep, Error> {
        let [_, map @ ..] = one_input_of::<4>(site.inputs)?;
        Ok(ZeroPadding2dStep(Frame::new(self.padding, map)))
    }
}

impl Differentiable for ZeroPadding2d {
    type TrainingStep = ZeroPadding2dStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<ZeroPadding2dStep, Error> {
        self.lower(site)
    }
}

/// [`ZeroPadding2d`], ready to run.
pub struct ZeroPadding2dStep(Frame);

impl Step for ZeroPadding2dStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.0.pad(run.inputs[0], run.output)
    }
}

impl TrainingStep for ZeroPadding2dStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        self.0.crop(run.d_output, d_input)
    }
}
