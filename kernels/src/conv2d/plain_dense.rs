//! A dense layer on weights `[In, Out]` as they lie, for weights that are used once, as a training step's: to pack all of
//! them would write them to memory, and read them again, before the first is used. Here some are packed at a time.

use super::direct::{Channels, Correlate, Weights};
use super::gemv::Gemv;
use super::window::{Sweep, split};
use super::{Activation, Geometry, pack, packed_len};
use crate::error::check;
use crate::{Error, Isa};

/// Weights that are packed, and used for all samples, before the next: they stay in the second-level cache.
const TOGETHER: usize = 64 * 1024;
/// With fewer inputs at a time the sums would pass through memory too often.
const FEWEST_INPUTS: usize = 32;

/// The forward pass of a dense layer on weights as they are, in place of a [`Convolution`](super::Convolution).
///
/// ```
/// use bantam_kernels::Isa;
/// use bantam_kernels::conv2d::{Activation, Geometry, PlainDense};
/// let geometry = Geometry::dense(1, 2, 3)?;
/// if let Some(dense) = PlainDense::new(Isa::detect(), &geometry) {
///     let (mut output, mut scratch) = ([0.0; 3], vec![0.0; dense.scratch_len()]);
///     let weights = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
///     dense.forward(&[1.0, 10.0], &weights, None, Activation::None, &mut output, &mut scratch)?;
///     assert_eq!(output, [41.0, 52.0, 63.0]);
/// }
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainDense {
    isa: Isa,
    geometry: Geometry,
}

impl PlainDense {
    /// If the shape is a dense layer's, whose weights a [`Convolution`](super::Convolution) would pack.
    pub fn new(isa: Isa, geometry: &Geometry) -> Option<PlainDense> {
        let fits = isa != Isa::SCALAR && geometry.is_dense() && Gemv::new(isa, geometry).is_none();
        fits.then_some(PlainDense { isa, geometry: *geometry })
    }

    /// The shape.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The same over the first `samples`, as [`Geometry::first`].
    pub fn first(self, samples: usize) -> PlainDense {
        PlainDense { geometry: self.geometry.first(samples), ..self }
    }

    /// Inputs whose weights are packed at a time.
    fn together(&self) -> usize {
        let Geometry { channels_in, channels_out, .. } = self.geometry;
        (TOGETHER / channels_out).max(FEWEST_INPUTS).min(channels_in)
    }

    /// Elements of scratch that [`forward`](Self::forward) takes: those of the weights that are packed at a time.
    pub fn scratch_len(&self) -> usize {
        let some = Geometry::dense(1, self.together(), self.geometry.channels_out);
        some.map_or(0, |some| packed_len(self.isa, &some))
    }

    /// `[N, In]` to `[N, Out]`, with weights of `[In, Out]` and a bias of `[Out]`. The bits are those of the
    /// [direct](super::Algorithm::Direct) convolution. What `scratch` holds does not matter.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn forward(
        &self,
        input: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let PlainDense { isa, ref geometry } = *self;
        let Geometry { batch, channels_in, channels_out, .. } = *geometry;
        check("input", input, batch * channels_in)?;
        check("weights", weights, channels_in * channels_out)?;
        check("output", output, batch * channels_out)?;
        check("scratch", scratch, self.scratch_len())?;
        if let Some(bias) = bias {
            check("bias", bias, channels_out)?;
        }
        for part in split(channels_in, self.together()) {
            let some = Geometry::dense(1, part.len(), channels_out)?;
            let packed = &mut scratch[..packed_len(isa, &some)];
            pack(isa, &some, &weights[part.start * channels_out..part.end * channels_out], packed)?;
            Correlate {
                batch,
                sweeps: Sweep::forward(&geometry.axes),
                channels: Channels { all: channels_in, first: part.start, count: part.len() },
                features: Channels::all(channels_out),
                input,
                weights: Weights::Panels(packed),
                bias,
                resume: part.start > 0,
                finish: if part.end == channels_in { activation } else { Activation::None }.into(),
                output: output.as_mut_ptr(),
            }
            .run_on(isa);
        }
        Ok(())
    }
}
