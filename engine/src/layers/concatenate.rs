use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, LayerType,
    MAX_INPUTS, Port, Read, Schedule, Signature, Site, Source, Step, TrainingStep, matrix, several_inputs,
};
use crate::error::Error;
use crate::parallel::{Threads, for_each_range};
use crate::shape::Shape;
use bantam_kernels::channels;
use bantam_kernels::conv2d::Activation;

/// The channels of two inputs or more, up to [`MAX_INPUTS`](crate::MAX_INPUTS), beside each other: `[…, C1]`, `[…, C2]`,
/// … to `[…, C1 + C2 + …]`; or what they have along another [axis](Concatenate::axis).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Concatenate {
    /// The axis, counted from 1, or from -1 for the last backwards.
    pub axis: i8,
}

impl Concatenate {
    /// Along the channels, the last axis.
    pub const fn new() -> Concatenate {
        Concatenate { axis: -1 }
    }

    /// Along that axis, counted as in Keras: from 1 for the first of a sample, as 0 is the batch, or from -1 for the last
    /// backwards.
    pub const fn axis(self, axis: i8) -> Concatenate {
        Concatenate { axis }
    }

    /// The same axis, from 0 for the first of a sample.
    fn axis_of(&self, sample: Shape) -> Result<usize, Error> {
        let rank = sample.rank();
        let axis = match self.axis {
            1.. => usize::from(self.axis.unsigned_abs()).checked_sub(1),
            _ => rank.checked_sub(self.axis.unsigned_abs().into()),
        };
        axis.filter(|&axis| axis < rank).ok_or_else(|| {
            let (what, expected) = ("axis", "one of a sample, counted from 1 or from -1 backwards");
            Error::OutOfRange { what, expected, got: self.axis.into() }
        })
    }
}

impl Default for Concatenate {
    fn default() -> Concatenate {
        Concatenate::new()
    }
}

impl Layer for Concatenate {
    const NAME: &'static str = "Concatenate";
    const BASE: &'static str = "concatenate";
    const TYPE: LayerType = LayerType::of::<Concatenate>().arranges(in_place);
    type Step = ConcatenateStep;

    fn read(attributes: &mut Attributes<'_>) -> Concatenate {
        let axis = if attributes.more() { attributes.byte("axis").cast_signed() } else { -1 };
        Concatenate { axis }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        if self.axis != -1 {
            attributes.byte(self.axis.cast_unsigned());
        }
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let (first, _) = several_inputs(inputs)?;
        let (rank, axis) = (first.rank(), self.axis_of(first)?);
        let (mut dims, mut size) = ([1; Shape::MAX_RANK], 0usize);
        dims[..rank].copy_from_slice(first.dims());
        for input in inputs {
            // All but that axis are to be those of the first.
            dims[axis] = input.dims().get(axis).copied().unwrap_or(1);
            Shape::new(&dims[..rank])?.require("input", *input)?;
            let sum = size.checked_add(dims[axis]);
            size = sum.ok_or(bantam_kernels::Error::TooLarge { what: "channels" })?;
        }
        dims[axis] = size;
        Ok(Signature::of(&dims[..rank]))
    }

    fn lower(&self, site: &Site<'_>) -> Result<ConcatenateStep, Error> {
        let (first, _) = several_inputs(site.inputs)?;
        let (_, sample) = first.split_batch().ok_or_else(|| Error::rank("input", 1, first))?;
        let behind = self.axis_of(sample)? + 1;
        let (mut channels, mut width) = ([0; MAX_INPUTS], 0);
        for (channels, input) in channels.iter_mut().zip(site.inputs) {
            *channels = input.dims()[behind..].iter().product();
            width += *channels;
        }
        let whole_maps_of = (behind < sample.rank()).then_some(matrix(&first).1);
        Ok(ConcatenateStep {
            threads: site.threads,
            whole_maps_of,
            channels,
            widths: channels,
            output_width: width,
            width,
        })
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
fn in_place(schedule: &mut Schedule, at: usize, _: Activation) -> Result<(), Error> {
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
        // Along another axis than the channels the output has more pixels.
        if let Source::Operation(from) = source
            && pixels == schedule.steps[at].map[0]
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

/// [`Concatenate`], ready to run. What lies beside each other, be it channels or all from the axis on, is a pixel here.
pub struct ConcatenateStep {
    threads: Threads,
    /// The channels of inputs and output if these are not what is concatenated: then none can be a slice.
    whole_maps_of: Option<usize>,
    /// Of each input, and of the map that it is a slice of.
    channels: [usize; MAX_INPUTS],
    widths: [usize; MAX_INPUTS],
    /// Of the output, and of the map that it is a slice of.
    width: usize,
    output_width: usize,
}

impl Step for ConcatenateStep {
    fn slice(&mut self, port: Port, width: usize) -> bool {
        if let Some(channels) = self.whole_maps_of {
            return width == channels;
        }
        match port {
            Port::Input(input) => self.widths[input] = width,
            Port::Output => self.output_width = width,
        }
        true
    }

    /// An input without numbers is in its place already.
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (stride, inputs) = (self.output_width, run.inputs);
        for_each_range(self.threads, run.output, stride, |part, output| {
            let (pixel, pixels) = (part.start / stride, output.len().div_ceil(stride));
            let mut first = 0;
            for (i, x) in inputs.iter().enumerate() {
                let (channels, width) = (self.channels[i], self.widths[i]);
                if !x.is_empty() {
                    let x = &x[pixel * width..][..(pixels - 1) * width + channels];
                    let y = &mut output[first..][..(pixels - 1) * stride + channels];
                    channels::copy(pixels, channels, x, width, y, stride)?;
                }
                first += channels;
            }
            Ok(())
        })
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
