//! The gradient to the input of a dense layer, on weights `[In, Out]` as they lie. Small computers have no room to turn
//! them, and may have them in flash; others would take longer to turn them than to multiply by them.

use super::{Activation, Geometry, forward, grad_input, takes_plain_weights};
use super::{pack_transposed, packed_transposed_len};
use crate::error::check;
use crate::{Error, Isa};

/// Samples that share a sweep over the weights: as many as a tile of a scalar FPU has columns, or the widest of vectors.
const SAMPLES: usize = 4;
const SAMPLES_OF_VECTORS: usize = 64;
/// Rows of weights whose sums, for all those samples, stay in the first-level cache until they are turned.
const ROWS: usize = 96;

/// Rows of weights times the gradients of some samples' outputs, turned: a dense layer with the roles of samples and
/// weights exchanged.
#[derive(Clone, Copy)]
pub(super) struct DenseGradInput {
    isa: Isa,
    geometry: Geometry,
}

impl DenseGradInput {
    /// If the shape is a dense layer's.
    pub fn new(isa: Isa, geometry: &Geometry) -> Option<DenseGradInput> {
        geometry.is_dense().then_some(DenseGradInput { isa, geometry: *geometry })
    }

    /// Of turned gradients, to outputs and to inputs.
    pub fn scratch_len(&self) -> usize {
        let Geometry { batch, channels_in, channels_out, .. } = self.geometry;
        if !takes_plain_weights(self.isa) {
            let samples = SAMPLES_OF_VECTORS.min(batch);
            let turned = Geometry::dense(1, samples, channels_out);
            return turned.map_or(0, |turned| packed_transposed_len(self.isa, &turned))
                + samples * ROWS.min(channels_in);
        }
        if batch == 1 { 0 } else { SAMPLES.min(batch) * (channels_in + channels_out) }
    }

    /// `[N, Out]` to `[N, In]`, which is overwritten.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn run(
        &self,
        d_output: &[f32],
        weights: &[f32],
        d_input: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let Geometry { batch, channels_in, channels_out, .. } = self.geometry;
        check("output gradient", d_output, batch * channels_out)?;
        check("weights", weights, channels_in * channels_out)?;
        check("input gradient", d_input, batch * channels_in)?;
        check("scratch", scratch, self.scratch_len())?;
        if !takes_plain_weights(self.isa) {
            return self.run_vectors(d_output, weights, d_input, scratch);
        }
        let samples = d_output.chunks(SAMPLES * channels_out).zip(d_input.chunks_mut(SAMPLES * channels_in));
        for (d_output, d_input) in samples {
            let samples = d_output.len() / channels_out;
            let rows = Geometry::dense(channels_in, channels_out, samples)?;
            if samples == 1 {
                forward(self.isa, &rows, weights, d_output, None, Activation::None, d_input)?;
                continue;
            }
            let (turned, rest) = scratch.split_at_mut(d_output.len());
            turn(channels_out, d_output, turned, samples);
            let sums = &mut rest[..d_input.len()];
            forward(self.isa, &rows, weights, turned, None, Activation::None, sums)?;
            turn(samples, sums, d_input, channels_in);
        }
        Ok(())
    }

    /// The gradient of a layer of as many inputs as there are samples, to these inputs: its samples are the rows of weights.
    fn run_vectors(
        &self,
        d_output: &[f32],
        weights: &[f32],
        d_input: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let (isa, Geometry { channels_in, channels_out, .. }) = (self.isa, self.geometry);
        let samples = d_output.chunks(SAMPLES_OF_VECTORS * channels_out);
        for (d_output, d_input) in samples.zip(d_input.chunks_mut(SAMPLES_OF_VECTORS * channels_in)) {
            let samples = d_output.len() / channels_out;
            let one = Geometry::dense(1, samples, channels_out)?;
            let (turned, rest) = scratch.split_at_mut(packed_transposed_len(isa, &one));
            pack_transposed(isa, &one, d_output, turned)?;
            for (part, weights) in weights.chunks(ROWS * channels_out).enumerate() {
                let rows = weights.len() / channels_out;
                let sums = &mut rest[..rows * samples];
                grad_input(isa, &Geometry::dense(rows, samples, channels_out)?, weights, turned, sums)?;
                turn(samples, sums, &mut d_input[part * ROWS..], channels_in);
            }
        }
        Ok(())
    }
}

/// Exchanges rows, of so many elements, and columns, which become rows so far apart.
fn turn(columns: usize, from: &[f32], to: &mut [f32], pitch: usize) {
    for (column, to) in to.chunks_mut(pitch).enumerate() {
        for (to, row) in to.iter_mut().zip(from.chunks_exact(columns)) {
            *to = row[column];
        }
    }
}
