//! A dense layer of one sample, a vector times a matrix: each weight is used once, so that it is read where it lies.
//! To pack it would read and write all of them before the first is used.

use super::{Activation, Geometry};
use crate::error::check;
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};
use core::ops::Range;

/// Rows of weights that a sweep over the outputs adds: as many streams as a core fetches ahead at a time, and the sums
/// in the first-level cache are read and written once for each.
const ROWS: usize = 8;

/// Fewer outputs are in registers from the first product to the last, on packed weights; fewer weights stay in the
/// second-level cache, where packed ones are faster to read.
const FEWEST_FEATURES: usize = 256;
const FEWEST_WEIGHTS: usize = 1 << 20;

/// A dense layer of one sample on weights `[In, Out]` as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gemv {
    pub isa: Isa,
    pub geometry: Geometry,
}

impl Gemv {
    /// If the shape is one, and large. Scalar code reads weights where they lie anyway.
    pub fn new(isa: Isa, geometry: &Geometry) -> Option<Gemv> {
        let [channels, features] = [geometry.channels_in, geometry.channels_out];
        let is_dense = geometry.is_dense() && geometry.batch == 1;
        let is_large = features >= FEWEST_FEATURES && channels * features >= FEWEST_WEIGHTS;
        (is_dense && is_large && isa != Isa::SCALAR).then_some(Gemv { isa, geometry: *geometry })
    }

    /// Some of the outputs, from all weights and biases.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or there are no such outputs.
    pub fn forward(
        &self,
        features: Range<usize>,
        input: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
    ) -> Result<(), Error> {
        let (channels, pitch) = (self.geometry.channels_in, self.geometry.channels_out);
        check("input", input, channels)?;
        check("weights", weights, channels * pitch)?;
        if features.start > features.end || features.end > pitch {
            return Err(Error::OutOfRange {
                what: "features",
                max: pitch,
                got: features.start.max(features.end),
            });
        }
        check("output", output, features.len())?;
        match bias {
            Some(bias) => {
                check("bias", bias, pitch)?;
                output.copy_from_slice(&bias[features.clone()]);
            }
            None => output.fill(0.0),
        }
        self.isa.run(Sweeps { input, weights, pitch, first: features.start, activation, output });
        Ok(())
    }
}

struct Sweeps<'a> {
    input: &'a [f32],
    /// A row of `pitch` for each input.
    weights: &'a [f32],
    pitch: usize,
    /// The output's first feature.
    first: usize,
    activation: Activation,
    /// What the sums begin with.
    output: &'a mut [f32],
}

impl Operation for Sweeps<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (blocks, rest) = self.input.as_chunks::<ROWS>();
        for (block, x) in blocks.iter().enumerate() {
            self.sweep(simd, block * ROWS, x);
        }
        for (k, x) in rest.iter().enumerate() {
            self.sweep(simd, blocks.len() * ROWS + k, &[*x]);
        }
        for sums in self.output.chunks_mut(S::LANES) {
            // SAFETY: `sums` has so many elements, up to a vector.
            unsafe {
                let mut sum = [simd.load_n(sums.as_ptr(), sums.len())];
                self.activation.apply(simd, &mut sum);
                simd.store_n(sums.as_mut_ptr(), sum[0], sums.len());
            }
        }
    }
}

impl Sweeps<'_> {
    /// Adds the products of `R` inputs, from `row` on, to all sums.
    #[inline(always)]
    fn sweep<S: Simd, const R: usize>(&mut self, simd: S, row: usize, x: &[f32; R]) {
        let start = row * self.pitch + self.first;
        let rows = &self.weights[start..start + (R - 1) * self.pitch + self.output.len()];
        let mut splats = [simd.splat(0.0); R];
        for (splat, &x) in splats.iter_mut().zip(x) {
            *splat = simd.splat(x);
        }
        let whole = self.output.len() / S::LANES * S::LANES;
        let sums = self.output.as_mut_ptr();
        for at in (0..whole).step_by(S::LANES) {
            // SAFETY: `at` and a vector from there are inside the output, and `R` rows of it, `pitch` apart, inside
            // `rows`.
            unsafe {
                let mut sum = simd.load(sums.add(at));
                for (r, &x) in splats.iter().enumerate() {
                    sum = simd.mul_add(x, simd.load(rows.as_ptr().add(r * self.pitch + at)), sum);
                }
                simd.store(sums.add(at), sum);
            }
        }
        let left = self.output.len() - whole;
        if left > 0 {
            // SAFETY: the same, of so many elements.
            unsafe {
                let mut sum = simd.load_n(sums.add(whole), left);
                for (r, &x) in splats.iter().enumerate() {
                    sum = simd.mul_add(x, simd.load_n(rows.as_ptr().add(r * self.pitch + whole), left), sum);
                }
                simd.store_n(sums.add(whole), sum, left);
            }
        }
    }
}
