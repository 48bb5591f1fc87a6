//! The gradients where the layer goes by the moving statistics.

use super::BatchNormalizationStep;
use crate::error::Error;
use crate::layers::conv2d::grad_activation;
use crate::layers::{Backward, BackwardReads, TrainingStep};
use bantam_kernels::conv2d::Activation;
use bantam_kernels::{channels, reduce};

impl TrainingStep for BatchNormalizationStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::output_of(self.activation).and_inputs()
    }

    /// Two numbers for each channel, and the input less its means, which has a place in the input's gradient if there
    /// is one.
    fn backward_scratch_len(&self, d_input: bool) -> usize {
        2 * self.channels + if d_input { 0 } else { self.rows * self.channels }
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let BatchNormalizationStep { isa, activation, layer, rows, channels, .. } = *self;
        let Backward { inputs, weights, output, d_output, d_input, d_weights, scratch, .. } = run;
        let (mean, variance) = (weights[layer.learnt()], weights[layer.learnt() + 1]);
        let [d_gamma, d_beta, d_mean, d_variance] = layer.gradients(d_weights);
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
            for (c, scale) in scale.iter_mut().enumerate() {
                let [gamma, _, _, variance] = layer.of_channel(|i| weights[i][c]);
                *scale = layer.scale(gamma, variance)?;
            }
            channels::mul(isa, 1, rows, channels, d_output, scale, centred)?;
        }
        // Constants have none.
        [d_mean, d_variance].into_iter().flatten().for_each(|gradient| gradient.fill(0.0));
        Ok(())
    }
}
