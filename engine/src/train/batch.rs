use super::data::Dataset;
use crate::error::Error;
use crate::loss::{Criterion, check_weights};
use crate::memory::heap;
use crate::run::session::check_finite;
use alloc::vec::Vec;
use core::ops::Range;

/// Memory for a batch of samples.
pub(super) struct Batch {
    inputs: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
    input_len: usize,
    target_len: usize,
}

impl Batch {
    pub fn new(samples: usize, data: &dyn Dataset) -> Result<Batch, Error> {
        let (input_len, target_len) = (data.input_shape().elements(), data.target_len());
        Ok(Batch {
            inputs: heap::zeros(samples.saturating_mul(input_len))?,
            targets: heap::zeros(samples.saturating_mul(target_len))?,
            weights: heap::zeros(samples)?,
            input_len,
            target_len,
        })
    }

    /// Reads and checks samples, and their targets by the criterion, if there is one.
    pub fn read(
        &mut self,
        data: &dyn Dataset,
        criterion: Option<&Criterion<'_>>,
        indices: impl Iterator<Item = usize>,
    ) -> Result<(), Error> {
        let shape = data.input_shape();
        let inputs = self.inputs.chunks_exact_mut(self.input_len);
        let targets = self.targets.chunks_exact_mut(self.target_len);
        for (((input, target), weight), index) in inputs.zip(targets).zip(&mut self.weights).zip(indices) {
            data.read(index, input, target)?;
            check_finite("input", shape.elements(), input).map_err(|error| error.after(index))?;
            criterion.map_or(Ok(()), |criterion| criterion.check(index, target))?;
            *weight = data.weight(index);
            check_weights(&[*weight], 1).map_err(|error| error.after(index))?;
        }
        Ok(())
    }

    /// Bytes of all samples.
    pub fn bytes(&self) -> usize {
        [&self.inputs, &self.targets, &self.weights].iter().map(|numbers| size_of_val(&numbers[..])).sum()
    }

    pub fn inputs(&self, samples: usize) -> &[f32] {
        &self.inputs[..samples * self.input_len]
    }

    pub fn targets(&self, samples: usize) -> &[f32] {
        &self.targets[..samples * self.target_len]
    }

    pub fn weights(&self, samples: usize) -> &[f32] {
        &self.weights[..samples]
    }

    /// Inputs, targets and weights of some samples.
    pub fn part(&self, samples: Range<usize>) -> [&[f32]; 3] {
        let of = |len: usize| samples.start * len..samples.end * len;
        [&self.inputs[of(self.input_len)], &self.targets[of(self.target_len)], &self.weights[of(1)]]
    }
}
