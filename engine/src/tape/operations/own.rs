//! Operations of a program's own.

use crate::error::Error;
use crate::layers::{Backward, Forward, Step, TrainingStep};
use crate::memory::heap::boxed;
use crate::shape::Shape;
use crate::tape::{Tape, Var};

/// An operation of a program's own on up to eight tensors, with its gradient. [`Tape::check`] holds it against central
/// differences. A function of each element is easier [mapped](Tape::map).
///
/// ```
/// use bantam::{Error, Isa, Operation, Shape, Tape};
///
/// /// The sum of the squares.
/// struct Energy;
///
/// impl Operation for Energy {
///     fn shape(&self, _: &[Shape]) -> Result<Shape, Error> {
///         Ok(Shape::SCALAR)
///     }
///     fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) -> Result<(), Error> {
///         output[0] = inputs[0].iter().map(|x| x * x).sum();
///         Ok(())
///     }
///     fn backward(
///         &self,
///         inputs: &[&[f32]],
///         _output: &[f32],
///         d_output: &[f32],
///         input: usize,
///         d_input: &mut [f32],
///     ) -> Result<(), Error> {
///         for (d, x) in d_input.iter_mut().zip(inputs[input]) {
///             *d = 2.0 * x * d_output[0];
///         }
///         Ok(())
///     }
/// }
///
/// let x = (Shape::new(&[3])?, &[0.5, -1.0, 2.0][..]);
/// let difference = Tape::check(Isa::detect(), &[x], |tape, vars| tape.operation(Energy, vars))?;
/// assert!(difference < 1e-3);
/// # Ok::<(), bantam::Error>(())
/// ```
pub trait Operation: Send + Sync + 'static {
    /// The output's shape.
    ///
    /// # Errors
    /// The inputs do not fit.
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Error>;

    /// Fills the output.
    ///
    /// # Errors
    /// The inputs are none that it can be computed of.
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) -> Result<(), Error>;

    /// Fills the gradient to input number `input`, from that to the output.
    ///
    /// # Errors
    /// As [`forward`](Operation::forward).
    fn backward(
        &self,
        inputs: &[&[f32]],
        output: &[f32],
        d_output: &[f32],
        input: usize,
        d_input: &mut [f32],
    ) -> Result<(), Error>;
}

impl Tape<'_> {
    /// An operation of a program's own.
    ///
    /// # Errors
    /// There are too many inputs, or what the operation says.
    pub fn operation(&mut self, operation: impl Operation, inputs: &[Var]) -> Result<Var, Error> {
        let (shapes, count) = self.shapes_of("inputs of an operation", inputs)?;
        let shape = operation.shape(&shapes[..count])?;
        self.record(boxed(OwnStep(operation))?, shape, inputs, &[], 0)
    }
}

struct OwnStep<O>(O);

impl<O: Operation> Step for OwnStep<O> {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.0.forward(run.inputs, run.output)
    }
}

impl<O: Operation> TrainingStep for OwnStep<O> {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        self.0.backward(run.inputs, run.output, run.d_output, run.input, d_input)
    }
}
