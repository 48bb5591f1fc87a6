//! Training by the statistics of the batch.

use super::BatchNormalizationStep;
use crate::error::Error;
use crate::layers::{Backward, BackwardReads, BatchStatistics, Forward, Port, Step, TrainingStep};
use bantam_kernels::batch_normalization::{self, Normalized};
use bantam_kernels::channels;
use bantam_kernels::conv2d::Activation;

/// [`BatchNormalization`](super::BatchNormalization) with a backward pass.
pub struct BatchNormalizationTraining {
    step: BatchNormalizationStep,
    /// Whether it goes by the statistics of the batch.
    of_batch: bool,
}

impl BatchNormalizationTraining {
    pub fn new(step: BatchNormalizationStep, of_batch: bool) -> BatchNormalizationTraining {
        BatchNormalizationTraining { step, of_batch }
    }

    /// What each channel is multiplied by, and what is added: `scale` of two numbers a channel.
    fn scale<'a>(
        &self,
        weights: &[&[f32]],
        statistics: &[f32],
        scale: &'a mut [f32],
    ) -> Result<[&'a [f32]; 2], Error> {
        let (mean, variance) = statistics.split_at(self.step.channels);
        let scale = &mut scale[..2 * self.step.channels];
        let learnt = self.step.layer.learnt();
        let mut of_batch = [mean, variance, &[], &[]];
        of_batch.rotate_right(learnt);
        of_batch[..learnt].copy_from_slice(&weights[..learnt]);
        self.step.prepare(&of_batch, scale)?;
        let (scale, shift) = scale.split_at(self.step.channels);
        Ok([scale, shift])
    }
}

impl Step for BatchNormalizationTraining {
    fn prepared_len(&self) -> usize {
        self.step.prepared_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.step.prepare(weights, prepared)
    }

    fn scratch_len(&self) -> usize {
        if self.of_batch { 2 * self.step.channels } else { 0 }
    }

    fn overwrites(&self, input: usize) -> bool {
        self.step.overwrites(input)
    }

    fn slice(&mut self, port: Port, width: usize) -> bool {
        self.step.slice(port, width)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.step.forward(run)
    }
}

impl TrainingStep for BatchNormalizationTraining {
    fn backward_reads(&self) -> BackwardReads {
        if self.of_batch { BackwardReads::INPUTS } else { self.step.backward_reads() }
    }

    fn changes_gradient(&self) -> bool {
        !self.of_batch && self.step.activation != Activation::None
    }

    fn batch_statistics(&self) -> Option<&dyn BatchStatistics> {
        if self.of_batch { Some(self) } else { None }
    }

    fn forward_saving(&self, run: Forward<'_>, _: &mut [u8]) -> Result<(), Error> {
        if !self.of_batch {
            return self.step.forward(run);
        }
        let BatchNormalizationStep { isa, activation, channels, .. } = self.step;
        let [scale, shift] = self.scale(run.weights, run.statistics, run.scratch)?;
        let (x, rows) = (run.inputs[0], run.output.len() / channels);
        Ok(channels::scale_shift(isa, activation, rows, channels, x, channels, scale, shift, run.output)?)
    }

    fn backward_scratch_len(&self, d_input: bool) -> usize {
        if self.of_batch { 3 * self.step.channels } else { self.step.backward_scratch_len(d_input) }
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        if !self.of_batch {
            return self.step.backward(run);
        }
        let BatchNormalizationStep { isa, activation, layer, channels, .. } = self.step;
        let Backward { inputs, weights, d_output, d_input, d_weights, scratch, statistics, .. } = run;
        let (d_mean, d_dot) = run.gradient_means.split_at(channels);
        let (mean, variance) = statistics.split_at(channels);
        let rows = d_output.len() / channels;
        let [d_gamma, d_beta, d_moving_mean, d_moving_variance] = layer.gradients(d_weights);
        if let Some(d_beta) = d_beta {
            d_beta.iter_mut().zip(d_mean).for_each(|(d_beta, mean)| *d_beta = mean * rows as f32);
        }
        if let Some(d_gamma) = d_gamma {
            for ((d_gamma, dot), &variance) in d_gamma.iter_mut().zip(d_dot).zip(variance) {
                *d_gamma = dot * rows as f32 * layer.scale(1.0, variance)?;
            }
        }
        // How far they go down, where they are moved by a gradient.
        let learnt = layer.learnt();
        for (i, down) in [(learnt, d_moving_mean), (learnt + 1, d_moving_variance)] {
            let Some(down) = down else { continue };
            down.copy_from_slice(weights[i]);
            self.update(statistics, i, down);
            down.iter_mut().zip(weights[i]).for_each(|(down, before)| *down = before - *down);
        }
        let Some(d_input) = d_input else { return Ok(()) };
        let (slope, scratch) = scratch.split_at_mut(channels);
        for ((slope, dot), &variance) in slope.iter_mut().zip(d_dot).zip(variance) {
            let scale = layer.scale(1.0, variance)?;
            *slope = dot * scale * scale;
        }
        let [scale, shift] = self.scale(weights, statistics, scratch)?;
        let normalized = Normalized { activation, x: inputs[0], mean, scale, shift };
        let d_y = &*d_output;
        Ok(batch_normalization::grad_input(isa, rows, channels, normalized, d_mean, slope, d_y, d_input)?)
    }
}

/// Mean and variance of each channel; backward, the means of the gradient and of its products with `x - mean`.
impl BatchStatistics for BatchNormalizationTraining {
    fn statistics_len(&self) -> usize {
        2 * self.step.channels
    }

    fn check_batch(&self) -> Result<(), Error> {
        if self.step.rows == 1 { Err(Error::NoVariance) } else { Ok(()) }
    }

    fn gather(&self, inputs: &[&[f32]], statistics: &mut [f32]) -> Result<(), Error> {
        let BatchNormalizationStep { isa, channels, .. } = self.step;
        let (mean, variance) = statistics.split_at_mut(channels);
        let rows = inputs[0].len() / channels;
        Ok(batch_normalization::moments(isa, rows, channels, inputs[0], mean, variance)?)
    }

    fn merge(&self, statistics: &mut [f32], other: &[f32], share: f32) -> Result<(), Error> {
        let channels = self.step.channels;
        let ((mean, variance), (other_mean, other_variance)) =
            (statistics.split_at_mut(channels), other.split_at(channels));
        Ok(batch_normalization::merge_moments(share, mean, variance, other_mean, other_variance)?)
    }

    fn means_len(&self) -> usize {
        2 * self.step.channels
    }

    fn gather_gradient(&self, run: &mut Backward<'_>, means: &mut [f32]) -> Result<(), Error> {
        let BatchNormalizationStep { isa, activation, channels, .. } = self.step;
        let [scale, shift] = self.scale(run.weights, run.statistics, run.scratch)?;
        let mean = &run.statistics[..channels];
        let normalized = Normalized { activation, x: run.inputs[0], mean, scale, shift };
        let (d_mean, d_dot) = means.split_at_mut(channels);
        let rows = run.d_output.len() / channels;
        batch_normalization::grad_sums(isa, rows, channels, normalized, run.d_output, d_mean, d_dot)?;
        means.iter_mut().for_each(|mean| *mean /= rows as f32);
        Ok(())
    }

    fn update(&self, statistics: &[f32], index: usize, weights: &mut [f32]) {
        let momentum = self.step.layer.momentum;
        let batch = &statistics[(index - self.step.layer.learnt()) * self.step.channels..];
        for (moving, batch) in weights.iter_mut().zip(batch) {
            *moving = *moving * momentum + batch * (1.0 - momentum);
        }
    }
}
