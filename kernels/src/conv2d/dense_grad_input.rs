//! The gradient to the input of a dense layer, on weights `[In, Out]` as they lie: small computers have no room to turn
//! them, and may have them in flash.

use super::{Activation, Geometry, forward, takes_plain_weights};
use crate::error::check;
use crate::{Error, Isa};

/// Samples that share a sweep over the weights: as many as a tile of a scalar FPU has columns.
const SAMPLES: usize = 4;

/// Rows of weights times the gradients of some samples' outputs, turned: a dense layer with the roles of samples and
/// weights exchanged.
#[derive(Clone, Copy)]
pub(super) struct DenseGradInput {
    isa: Isa,
    geometry: Geometry,
}

impl DenseGradInput {
    /// If the shape is a dense layer's, and code is scalar.
    pub fn new(isa: Isa, geometry: &Geometry) -> Option<DenseGradInput> {
        let fits = takes_plain_weights(isa) && geometry.is_dense();
        fits.then_some(DenseGradInput { isa, geometry: *geometry })
    }

    /// Of turned gradients, to outputs and to inputs.
    pub fn scratch_len(&self) -> usize {
        let Geometry { batch, channels_in, channels_out, .. } = self.geometry;
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
        let samples = d_output.chunks(SAMPLES * channels_out).zip(d_input.chunks_mut(SAMPLES * channels_in));
        for (d_output, d_input) in samples {
            let samples = d_output.len() / channels_out;
            let rows = Geometry::dense(channels_in, channels_out, samples)?;
            if samples == 1 {
                forward(self.isa, &rows, weights, d_output, None, Activation::None, d_input)?;
                continue;
            }
            let (turned, rest) = scratch.split_at_mut(d_output.len());
            turn(channels_out, d_output, turned);
            let sums = &mut rest[..d_input.len()];
            forward(self.isa, &rows, weights, turned, None, Activation::None, sums)?;
            turn(samples, sums, d_input);
        }
        Ok(())
    }
}

/// Exchanges rows, of so many elements, and columns.
fn turn(columns: usize, from: &[f32], to: &mut [f32]) {
    let rows = from.len() / columns;
    for (column, to) in to.chunks_exact_mut(rows).enumerate() {
        for (to, row) in to.iter_mut().zip(from.chunks_exact(columns)) {
            *to = row[column];
        }
    }
}
