use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType,
    MAX_INPUTS, Port, Read, Schedule, Signature, Site, Source, Step, TrainingStep, matrix, several_inputs,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::channels;

/// The channels of two inputs or more, up to [`MAX_INPUTS`](crate::MAX_INPUTS), beside each other: `[…, C1]`, `[…, C2]`,
/// … to `[…, C1 + C2 + …]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concatenate;

impl Layer for Concatenate {
    const NAME: &'static str = "Concatenate";
    const BASE: &'static str = "concatenate";
    const TYPE: LayerType = LayerType::of::<Concatenate>().arranges(in_place);
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
        let (mut channels, mut width) = ([0; MAX_INPUTS], 0);
        for (channels, input) in channels.iter_mut().zip(site.inputs) {
            *channels = matrix(input).1;
            width += *channels;
        }
        Ok(ConcatenateStep { channels, widths: channels, output_width: width, width })
    }
}

impl Differentiable for Concatenate {
    type TrainingStep = ConcatenateStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<ConcatenateStep, Error> {
        self.lower(site)
    }
}

/// Has the inputs computed where the output has them, as far as the steps that write and read them can. An input that is
/// computed long before would have the whole output's place from then on: that may take as much memory as is not copied,
/// and none where code is scalar.
fn in_place(schedule: &mut Schedule, at: usize) -> Result<(), Error> {
    let needed = schedule.needed()?;
    slice_inputs(schedule, at, None)?;
    if schedule.needed()? > needed {
        schedule.unslice_inputs(at);
        slice_inputs(schedule, at, Some(needed))?;
    }
    Ok(())
}

/// Has inputs computed in place, or each only if little more than that is needed at a time then.
fn slice_inputs(schedule: &mut Schedule, at: usize, needed: Option<usize>) -> Result<(), Error> {
    let mut first = 0;
    for read in schedule.steps[at].reads.clone() {
        let Read { source, map: [pixels, channels], .. } = schedule.reads[read];
        if let Source::Operation(from) = source
            && schedule.slice(from, at, first)
            && let Some(needed) = needed
            && schedule.needed()? > needed.saturating_add(schedule.worth(schedule.batch * pixels * channels))
        {
            schedule.unslice(from);
        }
        first += channels;
    }
    Ok(())
}

/// [`Concatenate`], ready to run.
pub struct ConcatenateStep {
    /// Of each input, and of the map that it is a slice of.
    channels: [usize; MAX_INPUTS],
    widths: [usize; MAX_INPUTS],
    /// Of the output, and of the map that it is a slice of.
    width: usize,
    output_width: usize,
}

impl Step for ConcatenateStep {
    fn slice(&mut self, port: Port, width: usize) -> bool {
        match port {
            Port::Input(input) => self.widths[input] = width,
            Port::Output => self.output_width = width,
        }
        true
    }

    /// An input without numbers is in its place already.
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let stride = self.output_width;
        let pixels = run.output.len().div_ceil(stride);
        let mut first = 0;
        for (i, x) in run.inputs.iter().enumerate() {
            let channels = self.channels[i];
            if !x.is_empty() {
                let y = &mut run.output[first..][..pixels * stride - (stride - channels)];
                channels::copy(pixels, channels, x, self.widths[i], y, stride)?;
            }
            first += channels;
        }
        Ok(())
    }
}

impl TrainingStep for ConcatenateStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let (stride, pixels) = (self.width, run.d_output.len() / self.width);
        let (first, channels) = (self.channels[..run.input].iter().sum(), self.channels[run.input]);
        let d_y = &run.d_output[first..][..pixels * stride - (stride - channels)];
        Ok(channels::copy(pixels, channels, d_y, stride, d_input, channels)?)
    }
}
