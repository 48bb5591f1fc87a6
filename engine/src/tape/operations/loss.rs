//! Losses of outputs and targets. Targets and weights are data: their gradient is zero by definition.

use crate::error::Error;
use crate::layers::{Backward, Forward, Step, TrainingStep};
use crate::loss::{Criterion, Examples, Loss, check_weights};
use crate::shape::Shape;

/// A loss of a batch of outputs, with targets and perhaps a weight for each sample.
pub(in crate::tape) struct LossOf {
    criterion: Criterion<'static>,
    samples: usize,
    wanted_len: usize,
}

impl LossOf {
    /// `[N, …]` outputs, targets of them, and weights `[N]`.
    pub fn new(loss: Loss, outputs: Shape, targets: Shape, weights: Option<Shape>) -> Result<LossOf, Error> {
        // A row by itself is one sample.
        let batched = match outputs.rank() {
            0 | 1 => outputs.with_batch(1)?,
            _ => outputs,
        };
        let Some((samples, output)) = batched.split_batch() else {
            return Err(Error::rank("outputs", 2, outputs));
        };
        if !targets.elements().is_multiple_of(samples) || targets.elements() > outputs.elements() {
            return Err(Error::shape("targets", outputs, targets));
        }
        let criterion = Criterion::new(loss, output, targets.elements() / samples)?;
        if let Some(weights) = weights {
            Shape::new(&[samples])?.require("weights", weights)?;
        }
        Ok(LossOf { criterion, samples, wanted_len: samples.saturating_mul(criterion.wanted_len()) })
    }
}

impl Step for LossOf {
    fn scratch_len(&self) -> usize {
        self.wanted_len
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let batch = examples(run.inputs);
        let samples = batch.targets.chunks_exact(batch.targets.len() / self.samples);
        samples.enumerate().try_for_each(|(sample, targets)| self.criterion.check(sample, targets))?;
        check_weights(batch.weights, self.samples)?;
        self.criterion.check_outputs(batch.outputs)?;
        run.output[0] = self.criterion.value(&batch, self.criterion.wanted(batch.targets, run.scratch))?;
        Ok(())
    }
}

impl TrainingStep for LossOf {
    fn backward_scratch_len(&self, _: bool) -> usize {
        self.wanted_len
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        if run.input != 0 {
            d_input.fill(0.0);
            return Ok(());
        }
        let batch = examples(run.inputs);
        let wanted = self.criterion.wanted(batch.targets, run.scratch);
        self.criterion.gradient(&batch, wanted, run.d_output[0], d_input)
    }
}

fn examples<'a>(inputs: &[&'a [f32]]) -> Examples<'a> {
    let weights = inputs.get(2).copied().unwrap_or_default();
    Examples { outputs: inputs[0], targets: inputs[1], weights }
}
