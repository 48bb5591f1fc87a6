use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::channels;

/// Zeros around a map, `[H, W, C]` to `[top + H + bottom, left + W + right, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroPadding2d {
    padding: [[usize; 2]; 2],
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
        let [h, w, c] = one_input(inputs)?.array("input")?;
        let padded = |size: usize, [before, after]: [usize; 2]| {
            let padded = size.checked_add(before).and_then(|size| size.checked_add(after));
            padded.ok_or(bantam_kernels::Error::TooLarge { what: "padded input" })
        };
        let [vertical, horizontal] = self.padding;
        Ok(Signature::of(&[padded(h, vertical)?, padded(w, horizontal)?, c]))
    }

    fn lower(&self, site: &Site<'_>) -> Result<ZeroPadding2dStep, Error> {
        let [_, h, w, c] = one_input(site.inputs)?.array("input")?;
        let [[top, bottom], [left, right]] = self.padding;
        let padded_row = (left + w + right) * c;
        Ok(ZeroPadding2dStep {
            rows: h,
            row: w * c,
            padded_row,
            first: top * padded_row + left * c,
            padded: (top + h + bottom) * padded_row,
        })
    }
}

impl Differentiable for ZeroPadding2d {
    type TrainingStep = ZeroPadding2dStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<ZeroPadding2dStep, Error> {
        self.lower(site)
    }
}

/// [`ZeroPadding2d`], ready to run. Sizes are elements.
pub struct ZeroPadding2dStep {
    rows: usize,
    row: usize,
    padded_row: usize,
    /// Where an image begins in a padded one.
    first: usize,
    padded: usize,
}

impl ZeroPadding2dStep {
    /// Elements of an image, and from its first to its last in a padded one.
    fn lens(&self) -> [usize; 2] {
        [self.rows * self.row, (self.rows - 1) * self.padded_row + self.row]
    }
}

impl Step for ZeroPadding2dStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let ZeroPadding2dStep { rows, row, padded_row, first, padded } = *self;
        let [image, inside] = self.lens();
        run.output.fill(0.0);
        for (x, y) in run.inputs[0].chunks_exact(image).zip(run.output.chunks_exact_mut(padded)) {
            channels::copy(rows, row, x, row, &mut y[first..][..inside], padded_row)?;
        }
        Ok(())
    }
}

impl TrainingStep for ZeroPadding2dStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let ZeroPadding2dStep { rows, row, padded_row, first, padded } = *self;
        let [image, inside] = self.lens();
        for (d_x, d_y) in d_input.chunks_exact_mut(image).zip(run.d_output.chunks_exact(padded)) {
            channels::copy(rows, row, &d_y[first..][..inside], padded_row, d_x, row)?;
        }
        Ok(())
    }
}
