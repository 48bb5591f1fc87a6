use super::recurrent::{Cell, CellBackward, CellForward, Options, Recurrent, RecurrentTraining};
use super::{Attributes, AttributesMut, Differentiable, Initial, Layer, Signature, Site};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::recurrent;

/// A long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997, with the forget gate of Gers et al.,
/// Neural Computation 12, 2000): `[steps, C]` to `[units]`, the state behind the last step, or to `[steps, units]` if all are
/// [returned](Self::return_sequences).
///
/// The weights are `kernel`, `[C, 4 units]`, `recurrent_kernel`, `[units, 4 units]`, and `bias`, `[4 units]`; the gates are in
/// Keras's order, input, forget, cell and output. State and cell begin as zeros. The recurrent kernel is drawn with orthonormal
/// rows, and the forget gate's bias begins as ones.
///
/// ```
/// use bantam::{Lstm, Sequential};
/// let series = Sequential::new([20, 3]).lstm_with(8, Lstm::new().return_sequences()).lstm(16);
/// assert_eq!(series.build(1)?.output_shape().dims(), [16]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lstm(
    /// Units, and how it goes through time.
    pub Options,
);

impl Lstm {
    /// With a bias, forward in time, and the last state alone as its output. Units are told where it is used.
    #[expect(clippy::new_without_default, reason = "a layer without units is none")]
    pub const fn new() -> Lstm {
        Lstm(Options::new())
    }

    /// With so many units.
    pub const fn units(self, units: usize) -> Lstm {
        Lstm(Options { units, ..self.0 })
    }

    /// Without a bias.
    pub const fn no_bias(self) -> Lstm {
        Lstm(Options { bias: false, ..self.0 })
    }

    /// With the states behind all steps as its output.
    pub const fn return_sequences(self) -> Lstm {
        Lstm(Options { sequences: true, ..self.0 })
    }

    /// From the last step to the first; sequences are in the order in which they are computed, as in Keras.
    pub const fn go_backwards(self) -> Lstm {
        Lstm(Options { backwards: true, ..self.0 })
    }
}

impl Layer for Lstm {
    const NAME: &'static str = "LSTM";
    const BASE: &'static str = "lstm";
    type Step = Recurrent<LstmCell>;

    fn read(attributes: &mut Attributes<'_>) -> Lstm {
        Lstm(Options::read(attributes))
    }

    fn write(&self, attributes: &mut AttributesMut) {
        self.0.write(attributes);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        self.0.signature::<LstmCell>(inputs, Initial::Ones { part: 1, of: LstmCell::GATES })
    }

    fn lower(&self, site: &Site<'_>) -> Result<Self::Step, Error> {
        Recurrent::new(&self.0, site)
    }
}

impl Differentiable for Lstm {
    type TrainingStep = RecurrentTraining<LstmCell>;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<Self::TrainingStep, Error> {
        RecurrentTraining::new(&self.0, site)
    }
}

/// What is remembered beside the state is the cell.
pub struct LstmCell;

impl Cell for LstmCell {
    const GATES: usize = 4;
    const APART: bool = false;

    fn forward(step: CellForward<'_>) -> Result<(), Error> {
        let CellForward { isa, samples, units, products, gates, memory, state } = step;
        Ok(recurrent::lstm(isa, samples, units, products, gates, memory, state)?)
    }

    fn backward(step: CellBackward<'_>) -> Result<(), Error> {
        let CellBackward { isa, samples, units, gates, memory, d_state, d_memory, d_sums, .. } = step;
        let [before, behind] = memory;
        recurrent::lstm_grad(isa, samples, units, gates, before, behind, d_state, d_memory, d_sums)?;
        // All of it goes through the products.
        d_state.fill(0.0);
        Ok(())
    }
}
