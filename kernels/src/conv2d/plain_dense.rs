//! A dense layer on weights `[In, Out]` as they lie, for weights that are used once, as a training step's: to pack all of
//! them would write them to memory, and read them again, before the first is used. Here some are packed at a time.

use super::direct::{Channels, Correlate, Weights};
use super::window::{Sweep, split};
use super::{Activation, Geometry, pack, packed_len};
use crate::error::check;
use crate::{Error, Isa};

/// Weights that are packed, and used for all samples, before the next: they stay in the second-level cache.
const TOGETHER: usize = 64 * 1024;
/// With fewer inputs at a time the sums would pass through memory too often.
const FEWEST_INPUTS: usize = 32;

/// Whether the shape is a dense layer's. Scalar code reads weights where they lie anyway.
pub(super) fn fits(isa: Isa, geometry: &Geometry) -> bool {
    isa != Isa::SCALAR && geometry.is_dense()
}

/// Inputs whose weights are packed at a time.
fn together(geometry: &Geometry) -> usize {
    (TOGETHER / geometry.channels_out).max(FEWEST_INPUTS).min(geometry.channels_in)
}

/// Of packed weights.
pub(super) fn scratch_len(isa: Isa, geometry: &Geometry) -> usize {
    let some = Geometry::dense(1, together(geometry), geometry.channels_out);
    some.map_or(0, |some| packed_len(isa, &some))
}

/// `[N, In]` to `[N, Out]`. The bits are those of the direct convolution.
///
/// # Errors
/// A slice's length differs from the shape's.
#[allow(clippy::too_many_arguments, reason = "those of a convolution that takes scratch")]
pub(super) fn forward(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    output: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), Error> {
    let Geometry { batch, channels_in, channels_out, .. } = *geometry;
    check("input", input, batch * channels_in)?;
    check("weights", weights, channels_in * channels_out)?;
    check("output", output, batch * channels_out)?;
    check("scratch", scratch, scratch_len(isa, geometry))?;
    if let Some(bias) = bias {
        check("bias", bias, channels_out)?;
    }
    for part in split(channels_in, together(geometry)) {
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
            activation: if part.end == channels_in { activation } else { Activation::None },
            output: &mut *output,
        }
        .run_on(isa);
    }
    Ok(())
}
