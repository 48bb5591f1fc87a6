use crate::error::Error;
use crate::layers::{Forward, Site, Step};
use crate::parallel::{Threads, for_each_chunk_with};
use bantam_kernels::Isa;
use bantam_kernels::conv2d::{Activation, Geometry, PlainDense};

/// A dense layer on weights that change from run to run. Threads share it by samples.
pub(super) struct PlainDenseStep {
    isa: Isa,
    dense: PlainDense,
    activation: Activation,
    threads: Threads,
}

impl PlainDenseStep {
    pub fn new(geometry: &Geometry, site: &Site<'_>) -> Option<PlainDenseStep> {
        let Site { isa, threads, activation, .. } = *site;
        Some(PlainDenseStep { isa, dense: PlainDense::new(isa, geometry)?, activation, threads })
    }

    /// As it is always. The compiler sees where there are none, and a program has nothing of it in it then.
    pub fn has_vectors(&self) -> bool {
        self.isa != Isa::SCALAR
    }
}

impl Step for PlainDenseStep {
    fn scratch_len(&self) -> usize {
        let parts = self.threads.most_parts(self.dense.geometry().input()[0]);
        parts.saturating_mul(self.dense.scratch_len())
    }

    fn multiply_adds(&self) -> u64 {
        self.dense.geometry().multiply_adds()
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let dense = self.dense.first(run.samples);
        let ([_, _, _, inputs], [_, _, _, outputs]) = (dense.geometry().input(), dense.geometry().output());
        let part = self.threads.part_of_work(run.samples, dense.geometry().multiply_adds());
        let (input, weights, bias) = (run.inputs[0], run.weights[0], run.weights.get(1).copied());
        let (chunks, scratch) = ((run.output, part * outputs), (run.scratch, dense.scratch_len()));
        for_each_chunk_with(chunks, scratch, |i, output, scratch| {
            let dense = dense.first(output.len() / outputs);
            let scratch = &mut scratch[..dense.scratch_len()];
            let input = &input[i * part * inputs..][..dense.geometry().input()[0] * inputs];
            Ok(dense.forward(input, weights, bias, self.activation, output, scratch)?)
        })
    }
}
