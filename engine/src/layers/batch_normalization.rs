use super::conv2d::grad_activation;
use super::{
    Attributes, AttributesMut, Backward, Differentiable, Forward, Initial, Layer, LayerType, Port, Signature,
    Site, Step, TrainingStep, gradients, matrix, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::{Isa, channels, reduce};

/// Batch normalisation by the moving statistics (Ioffe and Szegedy, arXiv 1502.03167), of any shape whose last
/// dimension is the channels:
///
/// `y = gamma * (x - moving_mean) / sqrt(moving_variance + epsilon) + beta`
///
/// Training changes `gamma` and `beta`; the statistics stay as they are, as in Keras where a layer is not trainable. It
/// is the usual way to fine-tune a net on batches too small to have statistics of their own. The statistics of a batch are
/// never used.
///
/// For inference [`Model::fold`](crate::Model::fold) makes it a part of the convolution before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalization {
    epsilon: f32,
}

impl BatchNormalization {
    /// With Keras's epsilon, 0.001.
    pub const fn new() -> BatchNormalization {
        BatchNormalization { epsilon: 1e-3 }
    }

    /// With that number added to each variance; it is positive.
    pub const fn epsilon(self, epsilon: f32) -> BatchNormalization {
        BatchNormalization { epsilon }
    }

    /// What a channel is multiplied by, `gamma / sqrt(variance + epsilon)`.
    ///
    /// # Errors
    /// The variance is negative or no finite number.
    pub(crate) fn scale(&self, gamma: f32, variance: f32) -> Result<f32, Error> {
        if !(variance >= 0.0 && variance.is_finite()) {
            let expected = "finite numbers of at least 0";
            return Err(Error::OutOfRange { what: "moving_variance", expected, got: variance });
        }
        Ok(gamma / libm::sqrtf(variance + self.epsilon))
    }
}

impl Default for BatchNormalization {
    fn default() -> BatchNormalization {
        BatchNormalization::new()
    }
}

impl Layer for BatchNormalization {
    const NAME: &'static str = "BatchNormalization";
    const BASE: &'static str = "batch_normalization";
    const TYPE: LayerType = LayerType::of::<BatchNormalization>().takes_activation();
    type Step = BatchNormalizationStep;

    fn read(attributes: &mut Attributes<'_>) -> BatchNormalization {
        BatchNormalization { epsilon: attributes.number("epsilon") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.epsilon);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let (input, got) = (one_input(inputs)?, self.epsilon);
        if !(got > 0.0 && got.is_finite()) {
            return Err(Error::OutOfRange { what: "epsilon", expected: "a finite number above 0", got });
        }
        let &[.., channels] = input.dims() else { return Err(Error::rank("input", 1, input)) };
        let channels = [channels];
        Ok(Signature::new(input)
            .weight("gamma", &channels, Initial::Constant(1.0))
            .weight("beta", &channels, Initial::Constant(0.0))
            .constant("moving_mean", &channels, Initial::Constant(0.0))
            .constant("moving_variance", &channels, Initial::Constant(1.0)))
    }

    fn lower(&self, site: &Site<'_>) -> Result<BatchNormalizationStep, Error> {
        let (rows, channels) = matrix(&one_input(site.inputs)?);
        let Site { isa, activation, .. } = *site;
        Ok(BatchNormalizationStep { isa, activation, layer: *self, rows, channels, input_width: channels })
    }
}

impl Differentiable for BatchNormalization {
    type TrainingStep = BatchNormalizationStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<BatchNormalizationStep, Error> {
        self.lower(site)
    }
}

/// [`BatchNormalization`], ready to run.
pub struct BatchNormalizationStep {
    isa: Isa,
    activation: Activation,
    layer: BatchNormalization,
    /// Of a full batch.
    rows: usize,
    channels: usize,
    /// Channels of the map that the input is a slice of.
    input_width: usize,
}

impl Step for BatchNormalizationStep {
    /// A scale and a shift for each channel.
    fn prepared_len(&self) -> usize {
        2 * self.channels
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        let (scales, shifts) = prepared.split_at_mut(self.channels);
        for (c, (scale, shift)) in scales.iter_mut().zip(shifts).enumerate() {
            let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|i| weights[i][c]);
            *scale = self.layer.scale(gamma, variance)?;
            // By the scale as it is rounded, whose error is then none near the mean.
            *shift = beta - mean * *scale;
        }
        Ok(())
    }

    fn overwrites(&self, _: usize) -> bool {
        true
    }

    fn slice(&mut self, port: Port, width: usize) -> bool {
        match port {
            Port::Input(_) => {
                self.input_width = width;
                true
            }
            Port::Output => width == self.channels,
        }
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let BatchNormalizationStep { isa, activation, channels, input_width, .. } = *self;
        let (scale, shift) = run.prepared.split_at(channels);
        let (rows, y) = (run.output.len() / channels, run.output);
        Ok(match run.overwritten {
            Some(_) => channels::scale_shift_in_place(isa, activation, rows, channels, scale, shift, y),
            None => {
                let x = run.inputs[0];
                channels::scale_shift(isa, activation, rows, channels, x, input_width, scale, shift, y)
            }
        }?)
    }
}

impl TrainingStep for BatchNormalizationStep {
    /// Two numbers for each channel, and the input less its means, which has a place in the input's gradient if there
    /// is one.
    fn backward_scratch_len(&self, d_input: bool) -> usize {
        2 * self.channels + if d_input { 0 } else { self.rows * self.channels }
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let BatchNormalizationStep { isa, activation, layer, rows, channels, .. } = *self;
        let Backward { inputs, weights, output, d_output, d_input, d_weights, scratch, .. } = run;
        let [gamma, mean, variance] = [weights[0], weights[2], weights[3]];
        let [d_gamma, d_beta, d_mean, d_variance] = gradients(d_weights);
        grad_activation(isa, activation, output, d_output)?;
        if let Some(d_beta) = d_beta {
            reduce::sum_rows(isa, rows, channels, d_output, d_beta)?;
        }
        let (scale, scratch) = scratch.split_at_mut(channels);
        let (shift, scratch) = scratch.split_at_mut(channels);
        let (d_input, centred) = match d_input {
            Some(d_input) => (true, d_input),
            None => (false, scratch),
        };
        if let Some(d_gamma) = d_gamma {
            // The mean goes first: the difference of two sums would have the rounding errors of a large mean.
            scale.fill(1.0);
            shift.iter_mut().zip(mean).for_each(|(shift, mean)| *shift = -mean);
            let x = inputs[0];
            let none = Activation::None;
            channels::scale_shift(isa, none, rows, channels, x, channels, scale, shift, centred)?;
            channels::grad_scale(isa, 1, rows, channels, d_output, centred, channels, d_gamma)?;
            for (d_gamma, &variance) in d_gamma.iter_mut().zip(variance) {
                *d_gamma *= layer.scale(1.0, variance)?;
            }
        }
        if d_input {
            for (scale, (&gamma, &variance)) in scale.iter_mut().zip(gamma.iter().zip(variance)) {
                *scale = layer.scale(gamma, variance)?;
            }
            channels::mul(isa, 1, rows, channels, d_output, scale, centred)?;
        }
        // Constants have none.
        [d_mean, d_variance].into_iter().flatten().for_each(|gradient| gradient.fill(0.0));
        Ok(())
    }
}
