mod frozen;
mod training;

use super::{
    Attributes, AttributesMut, Differentiable, Forward, Initial, Layer, LayerType, Port, Signature, Site,
    Step, matrix, one_input,
};
use crate::error::Error;
use crate::parallel::{Threads, for_each_range};
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::{Isa, channels};
use training::BatchNormalizationTraining;

/// Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167), of any shape whose last dimension is the channels:
///
/// `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`
///
/// Training takes mean and biased variance of each channel from the batch, the whole of it whatever threads share it, and
/// moves `moving_mean` and `moving_variance` towards them: `moving = momentum * moving + (1 - momentum) * batch`. Inference
/// goes by those. So does training where the layer is [not trainable](crate::Model::set_trainable), as in Keras; then
/// nothing of it changes, which is the usual way to fine-tune a net on batches too small to have statistics of their own.
///
/// A batch that has one number for each channel, as one sample of a dense layer's output does, has no variance: to train on
/// it is an error.
///
/// For inference [`Model::fold`](crate::Model::fold) makes it a part of the convolution before it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatchNormalization {
    /// The share of the moving statistics that is kept in a step.
    pub momentum: f32,
    /// What is added to each variance.
    pub epsilon: f32,
    /// Whether there is a gamma.
    pub scale: bool,
    /// Whether there is a beta.
    pub center: bool,
}

impl BatchNormalization {
    /// Keras's momentum.
    const MOMENTUM: f32 = 0.99;

    /// With Keras's momentum, 0.99, and epsilon, 0.001.
    pub const fn new() -> BatchNormalization {
        BatchNormalization {
            momentum: BatchNormalization::MOMENTUM,
            epsilon: 1e-3,
            scale: true,
            center: true,
        }
    }

    /// With that share of the moving statistics kept in a step, from 0 to less than 1. It is 1 less the momentum that PyTorch
    /// speaks of.
    pub const fn momentum(self, momentum: f32) -> BatchNormalization {
        BatchNormalization { momentum, ..self }
    }

    /// With that number added to each variance; it is positive.
    pub const fn epsilon(self, epsilon: f32) -> BatchNormalization {
        BatchNormalization { epsilon, ..self }
    }

    /// Without `gamma`, as if it were 1: Keras's `scale=False`.
    pub const fn no_scale(self) -> BatchNormalization {
        BatchNormalization { scale: false, ..self }
    }

    /// Without `beta`, as if it were 0: Keras's `center=False`.
    pub const fn no_center(self) -> BatchNormalization {
        BatchNormalization { center: false, ..self }
    }

    /// How many arrays of weights come before the moving statistics.
    fn learnt(&self) -> usize {
        usize::from(self.scale) + usize::from(self.center)
    }

    /// Gamma, beta, mean and variance of a channel, of which `weight` gives what the array of that number has.
    pub(crate) fn of_channel(&self, weight: impl Fn(usize) -> f32) -> [f32; 4] {
        let learnt = self.learnt();
        let gamma = if self.scale { weight(0) } else { 1.0 };
        let beta = if self.center { weight(learnt - 1) } else { 0.0 };
        [gamma, beta, weight(learnt), weight(learnt + 1)]
    }

    /// The places of the gradients to gamma, beta, mean and variance, where they are asked for.
    fn gradients<'b>(&self, d_weights: &'b mut [Option<&mut [f32]>]) -> [Option<&'b mut [f32]>; 4] {
        let mut gradients = d_weights.iter_mut().map(|gradient| gradient.as_deref_mut());
        [self.scale, self.center, true, true].map(|has| if has { gradients.next().flatten() } else { None })
    }

    /// What a channel is multiplied by, `gamma / sqrt(variance + epsilon)`.
    ///
    /// # Errors
    /// The variance is negative or no finite number.
    pub(crate) fn scale(&self, gamma: f32, variance: f32) -> Result<f32, Error> {
        if !(variance >= 0.0 && variance.is_finite()) {
            let expected = "finite numbers of at least 0";
            return Err(Error::OutOfRange { what: "variance", expected, got: variance });
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
        let epsilon = attributes.number("epsilon");
        let momentum =
            if attributes.more() { attributes.number("momentum") } else { BatchNormalization::MOMENTUM };
        let [scale, center] = if attributes.more() {
            ["scale flag", "center flag"].map(|flag| attributes.flag(flag))
        } else {
            [true, true]
        };
        BatchNormalization { momentum, epsilon, scale, center }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.number(self.epsilon);
        let affine = self.scale && self.center;
        if self.momentum != BatchNormalization::MOMENTUM || !affine {
            attributes.number(self.momentum);
        }
        if !affine {
            attributes.flag(self.scale);
            attributes.flag(self.center);
        }
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let (input, got) = (one_input(inputs)?, self.epsilon);
        if !(got > 0.0 && got.is_finite()) {
            return Err(Error::OutOfRange { what: "epsilon", expected: "a finite number above 0", got });
        }
        if !(0.0..1.0).contains(&self.momentum) {
            let expected = "at least 0 and less than 1";
            return Err(Error::OutOfRange { what: "momentum", expected, got: self.momentum });
        }
        let &[.., channels] = input.dims() else { return Err(Error::rank("input", 1, input)) };
        let channels = [channels];
        let mut signature = Signature::new(input);
        if self.scale {
            signature = signature.weight("gamma", &channels, Initial::Constant(1.0));
        }
        if self.center {
            signature = signature.weight("beta", &channels, Initial::Constant(0.0));
        }
        Ok(signature.moving("moving_mean", &channels, Initial::Constant(0.0)).moving(
            "moving_variance",
            &channels,
            Initial::Constant(1.0),
        ))
    }

    fn lower(&self, site: &Site<'_>) -> Result<BatchNormalizationStep, Error> {
        let (rows, channels) = matrix(&one_input(site.inputs)?);
        let Site { isa, activation, threads, .. } = *site;
        Ok(BatchNormalizationStep {
            isa,
            activation,
            threads,
            layer: *self,
            rows,
            channels,
            input_width: channels,
        })
    }
}

impl Differentiable for BatchNormalization {
    type TrainingStep = BatchNormalizationTraining;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<BatchNormalizationTraining, Error> {
        Ok(BatchNormalizationTraining::new(self.lower(site)?, site.learns))
    }
}

/// [`BatchNormalization`], ready to run.
pub struct BatchNormalizationStep {
    isa: Isa,
    activation: Activation,
    threads: Threads,
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
            let [gamma, beta, mean, variance] = self.layer.of_channel(|i| weights[i][c]);
            *scale = self.layer.scale(gamma, variance)?;
            // By the scale as it is rounded, whose error is then none near the mean.
            *shift = beta - mean * *scale;
        }
        Ok(())
    }

    fn reads_weights(&self, _: usize) -> bool {
        false
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
        let BatchNormalizationStep { isa, activation, threads, channels, input_width, .. } = *self;
        let (scale, shift) = run.prepared.split_at(channels);
        let x = run.overwritten.is_none().then_some(run.inputs[0]);
        for_each_range(threads, run.output, channels, |part, y| {
            let rows = y.len() / channels;
            Ok(match x {
                None => channels::scale_shift_in_place(isa, activation, rows, channels, scale, shift, y),
                Some(x) => {
                    // A slice of wider maps ends with its own last channel.
                    let first = part.start / channels * input_width;
                    let x = &x[first..first + (rows - 1) * input_width + channels];
                    channels::scale_shift(isa, activation, rows, channels, x, input_width, scale, shift, y)
                }
            }?)
        })
    }
}
