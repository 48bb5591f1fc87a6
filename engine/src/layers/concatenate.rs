use super::{
    Attributes, AttributesMut, Backward, Differentiable, Forward, Layer, Signature, Site, Step, TrainingStep,
    matrix, several_inputs,
};
use crate::{Error, Shape};
use bantam_kernels::channels;

/// The channels of two inputs or more, up to [`MAX_INPUTS`](crate::MAX_INPUTS), beside each other: `[…, C1]`, `[…, C2]`,
/// … to `[…, C1 + C2 + …]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concatenate;

impl Layer for Concatenate {
    const NAME: &'static str = "Concatenate";
    const BASE: &'static str = "concatenate";
    type Step = ConcatenateStep;

    fn read(_: &mut Attributes<'_>) -> Concatenate {
        Concatenate
    }

    fn write(&self, _: &mut AttributesMut) {}

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let (first, _) = several_inputs(inputs)?;
        let rank = first.rank();
        let Some(last) = rank.checked_sub(1) else { return Err(Error::rank("input", 1, first)) };
        let (mut dims, mut channels) = ([1; Shape::MAX_RANK], 0usize);
        dims[..rank].copy_from_slice(first.dims());
        for input in inputs {
            // All but the channels are to be those of the first.
            dims[last] = input.dims().last().copied().unwrap_or(1);
            Shape::new(&dims[..rank])?.require("input", *input)?;
            let sum = channels.checked_add(dims[last]);
            channels = sum.ok_or(bantam_kernels::Error::TooLarge { what: "channels" })?;
        }
        dims[last] = channels;
        Ok(Signature::of(&dims[..rank]))
    }

    fn lower(&self, site: &Site<'_>) -> Result<ConcatenateStep, Error> {
        Ok(ConcatenateStep { channels: site.inputs.iter().map(|input| matrix(input).1).sum() })
    }
}

impl Differentiable for Concatenate {
    type TrainingStep = ConcatenateStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<ConcatenateStep, Error> {
        self.lower(site)
    }
}

/// [`Concatenate`], ready to run.
pub struct ConcatenateStep {
    /// Of the output.
    channels: usize,
}

impl Step for ConcatenateStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (stride, pixels) = (self.channels, run.output.len() / self.channels);
        let mut first = 0;
        for x in run.inputs {
            let channels = x.len() / pixels;
            let y = &mut run.output[first..][..pixels * stride - (stride - channels)];
            channels::copy(pixels, channels, x, channels, y, stride)?;
            first += channels;
        }
        Ok(())
    }
}

impl TrainingStep for ConcatenateStep {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let (stride, pixels) = (self.channels, run.d_output.len() / self.channels);
        let first: usize = run.inputs[..run.input].iter().map(|x| x.len() / pixels).sum();
        let channels = d_input.len() / pixels;
        let d_y = &run.d_output[first..][..pixels * stride - (stride - channels)];
        Ok(channels::copy(pixels, channels, d_y, stride, d_input, channels)?)
    }
}
