use super::ConvolutionStep;
use super::backward::{InputPass, WeightPass, grad_activation};
use crate::error::Error;
use crate::layers::{Backward, BackwardReads, Forward, Site, Step, TrainingStep, gradients};
use crate::memory::buffer::{split_lines, whole_lines};
use bantam_kernels::conv2d::{Activation, Geometry};
use bantam_kernels::elementwise::{self, Relu, Relu6};
use bantam_kernels::{Isa, channels, reduce};

/// The transpose of a convolution: what that convolution's gradient to its input is. Threads share the images.
pub struct TransposedStep {
    isa: Isa,
    activation: Activation,
    geometry: Geometry,
    pass: InputPass,
}

impl TransposedStep {
    /// Of that convolution, from its output to its input.
    pub(crate) fn new(geometry: &Geometry, site: &Site<'_>) -> TransposedStep {
        let Site { isa, threads, activation, .. } = *site;
        TransposedStep { isa, activation, geometry: *geometry, pass: InputPass::new(isa, threads, geometry) }
    }
}

impl Step for TransposedStep {
    fn prepared_len(&self) -> usize {
        self.pass.gradient.packed_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        Ok(self.pass.gradient.pack(weights[0], prepared)?)
    }

    /// Not the kernel, if it is packed.
    fn reads_weights(&self, index: usize) -> bool {
        index > 0 || self.prepared_len() == 0
    }

    fn scratch_len(&self) -> usize {
        self.pass.scratch_len()
    }

    fn multiply_adds(&self) -> u64 {
        self.geometry.multiply_adds()
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let Forward { samples, inputs, weights, prepared, output, scratch, .. } = run;
        self.pass.run(samples, inputs[0], prepared, output, scratch)?;
        let (isa, activation) = (self.isa, self.activation);
        match (weights.get(1), activation) {
            (Some(bias), _) => {
                let pixels = output.len() / bias.len();
                channels::shift_in_place(isa, activation, pixels, bias.len(), bias, output)?;
            }
            (None, Activation::None) => {}
            (None, Activation::Relu) => elementwise::map_in_place(isa, Relu, output),
            (None, Activation::Relu6) => elementwise::map_in_place(isa, Relu6, output),
        }
        Ok(())
    }
}

/// The same with its backward pass: the gradient to its input is the convolution of that to its output, and the gradient to
/// the weights that of the convolution, with the two exchanged.
pub struct TransposedTraining {
    step: TransposedStep,
    convolution: ConvolutionStep,
    weights: WeightPass,
}

impl TransposedTraining {
    pub(crate) fn new(geometry: &Geometry, site: &Site<'_>) -> TransposedTraining {
        let step = TransposedStep::new(geometry, site);
        let convolution = ConvolutionStep::new(geometry, &Site { activation: Activation::None, ..*site });
        let weights = WeightPass::new(site.isa, site.threads, geometry);
        TransposedTraining { step, convolution, weights }
    }
}

impl Step for TransposedTraining {
    fn prepared_len(&self) -> usize {
        self.step.prepared_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.step.prepare(weights, prepared)
    }

    fn scratch_len(&self) -> usize {
        self.step.scratch_len()
    }

    fn multiply_adds(&self) -> u64 {
        self.step.multiply_adds()
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.step.forward(run)
    }
}

impl TrainingStep for TransposedTraining {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::output_of(self.step.activation).and_inputs()
    }

    fn backward_scratch_len(&self, d_input: bool) -> usize {
        let weights = self.weights.scratch_len();
        let packed = whole_lines(self.convolution.prepared_len());
        let convolution = packed.saturating_add(self.convolution.scratch_len());
        if d_input { weights.max(convolution) } else { weights }
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Backward { inputs, weights, output, d_output, d_input, d_weights, scratch, .. } = run;
        let [d_kernel, d_bias] = gradients(d_weights);
        grad_activation(self.step.isa, self.step.activation, output, d_output)?;
        let d_output = &*d_output;
        if let Some(d_bias) = d_bias {
            reduce::sum_rows(self.step.isa, d_output.len() / d_bias.len(), d_bias.len(), d_output, d_bias)?;
        }
        if let Some(d_kernel) = d_kernel {
            self.weights.run(d_output, inputs[0], d_kernel, scratch)?;
        }
        let Some(d_input) = d_input else { return Ok(()) };
        let (packed, scratch) = split_lines(scratch, self.convolution.prepared_len());
        self.convolution.prepare(&weights[..1], packed)?;
        let [samples, ..] = self.step.geometry.input();
        self.convolution.forward(Forward {
            samples,
            inputs: &[d_output],
            weights: &weights[..1],
            prepared: packed,
            overwritten: None,
            output: d_input,
            scratch,
            seed: 0,
            statistics: &[],
        })
    }
}
