use super::recurrent::{Cell, CellBackward, CellForward, Options, Recurrent, RecurrentTraining};
use super::{Attributes, AttributesMut, Differentiable, Initial, Layer, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::recurrent;

/// A gated recurrent unit (Cho et al., arXiv 1406.1078): `[steps, C]` to `[units]`, the state behind the last step, or to
/// `[steps, units]` if all are [returned](Self::return_sequences). The reset gate comes after the product of the state, which
/// has a bias of its own: Keras's default, `reset_after=True`; there is no other form.
///
/// The weights are `kernel`, `[C, 3 units]`, `recurrent_kernel`, `[units, 3 units]`, and `bias`, `[2, 3 units]`, that of the
/// input and that of the state; the gates are in Keras's order, update, reset and candidate. The state begins as zeros. The
/// recurrent kernel is drawn with orthonormal rows.
///
/// ```
/// use bantam::{Gru, Sequential};
/// let series = Sequential::new([20, 3]).gru_with(8, Gru::new().return_sequences()).gru(16);
/// assert_eq!(series.build(1)?.output_shape().dims(), [16]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gru(
    /// Units, and how it goes through time.
    pub Options,
);

impl Gru {
    /// With a bias, forward in time, and the last state alone as its output. Units are told where it is used.
    #[expect(clippy::new_without_default, reason = "a layer without units is none")]
    pub const fn new() -> Gru {
        Gru(Options::new())
    }

    /// With so many units.
    pub const fn units(self, units: usize) -> Gru {
        Gru(Options { units, ..self.0 })
    }

    /// Without a bias.
    pub const fn no_bias(self) -> Gru {
        Gru(Options { bias: false, ..self.0 })
    }

    /// With the states behind all steps as its output.
    pub const fn return_sequences(self) -> Gru {
        Gru(Options { sequences: true, ..self.0 })
    }

    /// From the last step to the first; sequences are in the order in which they are computed, as in Keras.
    pub const fn go_backwards(self) -> Gru {
        Gru(Options { backwards: true, ..self.0 })
    }
}

impl Layer for Gru {
    const NAME: &'static str = "GRU";
    const BASE: &'static str = "gru";
    type Step = Recurrent<GruCell>;

    fn read(attributes: &mut Attributes<'_>) -> Gru {
        Gru(Options::read(attributes))
    }

    fn write(&self, attributes: &mut AttributesMut) {
        self.0.write(attributes);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        self.0.signature::<GruCell>(inputs, Initial::Constant(0.0))
    }

    fn lower(&self, site: &Site<'_>) -> Result<Self::Step, Error> {
        Recurrent::new(&self.0, site)
    }
}

impl Differentiable for Gru {
    type TrainingStep = RecurrentTraining<GruCell>;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<Self::TrainingStep, Error> {
        RecurrentTraining::new(&self.0, site)
    }
}

/// What is kept beside the state is the candidate's product of it, which the backward pass reads.
pub struct GruCell;

impl Cell for GruCell {
    const GATES: usize = 3;
    const APART: bool = true;

    fn forward(step: CellForward<'_>) -> Result<(), Error> {
        let CellForward { isa, samples, units, products, gates, memory, state } = step;
        Ok(recurrent::gru(isa, samples, units, products, gates, memory, state)?)
    }

    fn backward(step: CellBackward<'_>) -> Result<(), Error> {
        let CellBackward { isa, samples, units, gates, memory: [_, inner], .. } = step;
        let CellBackward { state_before, d_state, d_sums, d_products, .. } = step;
        recurrent::gru_grad(isa, samples, units, gates, inner, state_before, d_state, d_sums, d_products)?;
        Ok(())
    }
}
