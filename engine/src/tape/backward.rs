//! The walk backwards over a recording.

use super::{Gradients, Is, Source, Tape, Var};
use crate::error::Error;
use crate::layers::{Backward, CopyStep, MAX_INPUTS, MAX_WEIGHTS, TrainingStep};
use crate::memory::buffer::Buffer;
use crate::memory::heap::boxed;
use crate::shape::Shape;
use alloc::vec::Vec;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise;
use core::mem;

impl Tape<'_> {
    /// Walks the recording backwards from `loss`, a single number, to every parameter that it
    /// depends on.
    ///
    /// # Errors
    /// A stale variable, or one that is not a single finite number.
    pub fn backward(mut self, loss: Var) -> Result<Gradients, Error> {
        let last = self.index(loss)?;
        if self.nodes[last].shape.elements() != 1 {
            return Err(Error::shape("loss", Shape::SCALAR, self.nodes[last].shape));
        }
        let got = self.data(last)[0];
        if !got.is_finite() {
            return Err(Error::OutOfRange { what: "loss", expected: "a finite number", got });
        }
        for buffers in &mut self.memory.buffers {
            buffers.gradient_is = Is::Nothing;
        }
        let root = &mut self.memory.buffers[last];
        root.gradient.resize(1)?;
        root.gradient[0] = 1.0;
        root.gradient_is = Is::Written;
        for index in (0..=last).rev() {
            let node = &mut self.nodes[index];
            if !node.wants_gradient || self.memory.buffers[index].gradient_is == Is::Nothing {
                continue;
            }
            if let Source::Computed { step, reads, inputs } = &mut node.source {
                let (step, reads, inputs) = (mem::replace(step, boxed(CopyStep)?), mem::take(reads), *inputs);
                self.step_back(index, &*step, reads.split_at(inputs))?;
            } else {
                self.memory.buffers[index].gradient_is = Is::Final;
            }
        }
        Ok(Gradients { tape: self.reset_but_epoch() })
    }

    /// Passes the gradient of one node on to what it reads: to the weights with the first input, then to the other inputs.
    fn step_back(
        &mut self,
        index: usize,
        step: &dyn TrainingStep,
        (inputs, weights): (&[usize], &[usize]),
    ) -> Result<(), Error> {
        let mut d_output = mem::take(&mut self.memory.buffers[index].gradient);
        let mut statistics = mem::take(&mut self.memory.buffers[index].statistics);
        let statistics_len = step.batch_statistics().map_or(0, |of_batch| of_batch.statistics_len());
        let mut scratch = mem::take(&mut self.memory.scratch);
        let mut wanted =
            (0..inputs.len()).filter(|&i| self.nodes[inputs[i]].wants_gradient).collect::<Vec<_>>();
        let scratch_len = step.backward_scratch_len(!wanted.is_empty());
        scratch.grow(scratch_len)?;
        if wanted.is_empty() {
            // Only the weights want some.
            wanted.push(usize::MAX);
        }
        let mut result = Ok(());
        for (turn, input) in wanted.into_iter().enumerate() {
            // A gradient goes straight to its value's buffer, or, if there is one already, past it.
            let mut targets: [Buffer; 1 + MAX_WEIGHTS] = Default::default();
            let mut adds = [false; 1 + MAX_WEIGHTS];
            let of = |slot: usize| match slot.checked_sub(1) {
                None => inputs.get(input).copied(),
                Some(i) => weights.get(i).copied().filter(|_| turn == 0),
            };
            for slot in 0..=MAX_WEIGHTS {
                let Some(read) = of(slot).filter(|&read| self.nodes[read].wants_gradient) else { continue };
                let buffers = &mut self.memory.buffers[read];
                adds[slot] = buffers.gradient_is != Is::Nothing;
                let extra = &mut self.memory.extra[slot];
                targets[slot] = mem::take(if adds[slot] { extra } else { &mut buffers.gradient });
                targets[slot].resize(self.nodes[read].shape.elements())?;
                buffers.gradient_is = Is::Written;
            }
            {
                let mut data: [&[f32]; MAX_INPUTS] = [&[]; MAX_INPUTS];
                let mut weight_data: [&[f32]; MAX_WEIGHTS] = [&[]; MAX_WEIGHTS];
                for (data, &read) in data.iter_mut().zip(inputs).chain(weight_data.iter_mut().zip(weights)) {
                    *data = self.data(read);
                }
                let [d_input, d_weights @ ..] = targets.each_mut().map(|target| {
                    let target = &mut **target;
                    if target.is_empty() { None } else { Some(target) }
                });
                let mut d_weights = d_weights;
                let (statistics, means) = statistics.split_at_mut(statistics_len);
                let mut run = Backward {
                    inputs: &data[..inputs.len()],
                    weights: &weight_data[..weights.len()],
                    output: &self.memory.buffers[index].value,
                    saved: &bytemuck::cast_slice(&self.memory.buffers[index].kept)[..step.saved_len()],
                    d_output: &mut d_output,
                    share: 1.0,
                    input: if input == usize::MAX { 0 } else { input },
                    d_input,
                    d_weights: &mut d_weights[..weights.len()],
                    scratch: &mut scratch[..scratch_len],
                    statistics,
                    gradient_means: &[],
                };
                if let Some(of_batch) = step.batch_statistics() {
                    of_batch.gather_gradient(&mut run, means)?;
                    run.gradient_means = means;
                }
                result = result.and_then(|()| step.backward(run));
            }
            for slot in 0..=MAX_WEIGHTS {
                let Some(read) = of(slot).filter(|&read| self.nodes[read].wants_gradient) else { continue };
                let target = mem::take(&mut targets[slot]);
                if adds[slot] {
                    let isa = self.memory.isa;
                    elementwise::add_assign(
                        isa,
                        Activation::None,
                        &mut self.memory.buffers[read].gradient,
                        &target,
                    )?;
                    self.memory.extra[slot] = target;
                } else {
                    self.memory.buffers[read].gradient = target;
                }
            }
        }
        self.memory.buffers[index].gradient = d_output;
        self.memory.buffers[index].statistics = statistics;
        self.memory.scratch = scratch;
        result
    }

    fn reset_but_epoch(self) -> Tape<'static> {
        let recording = self.memory.recording;
        let mut tape = self.reset();
        tape.memory.recording = recording;
        tape
    }
}
