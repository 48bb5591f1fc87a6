//! Functions of each element.

use crate::error::Error;
use crate::layers::{Backward, Forward, MapStep, Step, TrainingStep};
use crate::memory::heap::boxed;
use crate::tape::{Tape, Var};
use bantam_kernels::elementwise::{Sigmoid, Tanh};

impl Tape<'_> {
    /// A function of each element of one's own, and its derivative, which is given the element and the function's value.
    ///
    /// ```
    /// use bantam::{Isa, Shape, Tape};
    /// let mut tape = Tape::new(Isa::detect());
    /// let x = tape.parameter(Shape::new(&[2])?, &[0.5, 2.0])?;
    /// let y = tape.map(x, |x| x * x * x, |x, _| 3.0 * x * x)?;
    /// let loss = tape.sum(y)?;
    /// assert_eq!(tape.backward(loss)?.get(x)?, [0.75, 12.0]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// A stale variable.
    pub fn map(
        &mut self,
        x: Var,
        value: impl Fn(f32) -> f32 + Send + Sync + 'static,
        slope: impl Fn(f32, f32) -> f32 + Send + Sync + 'static,
    ) -> Result<Var, Error> {
        let shape = self.shape(x)?;
        self.record(boxed(Unary { value, slope })?, shape, &[x], &[], 0)
    }

    /// `x` times a number.
    ///
    /// # Errors
    /// A stale variable.
    pub fn scale(&mut self, x: Var, by: f32) -> Result<Var, Error> {
        self.map(x, move |x| by * x, move |_, _| by)
    }

    /// `exp(x)`.
    ///
    /// # Errors
    /// A stale variable.
    pub fn exp(&mut self, x: Var) -> Result<Var, Error> {
        self.map(x, libm::expf, |_, y| y)
    }

    /// The natural logarithm.
    ///
    /// # Errors
    /// A stale variable.
    pub fn log(&mut self, x: Var) -> Result<Var, Error> {
        self.map(x, libm::logf, |x, _| 1.0 / x)
    }

    /// The square root.
    ///
    /// # Errors
    /// A stale variable.
    pub fn sqrt(&mut self, x: Var) -> Result<Var, Error> {
        self.map(x, libm::sqrtf, |_, y| 0.5 / y)
    }

    /// `|x|`. Its derivative at 0 counts as 0.
    ///
    /// # Errors
    /// A stale variable.
    pub fn abs(&mut self, x: Var) -> Result<Var, Error> {
        self.map(x, libm::fabsf, |x, _| if x == 0.0 { 0.0 } else { x.signum() })
    }

    /// The hyperbolic tangent.
    ///
    /// # Errors
    /// A stale variable.
    pub fn tanh(&mut self, x: Var) -> Result<Var, Error> {
        let step = boxed(MapStep::new(self.isa(), Tanh))?;
        self.record(step, self.shape(x)?, &[x], &[], 0)
    }

    /// `1 / (1 + exp(-x))`.
    ///
    /// # Errors
    /// A stale variable.
    pub fn sigmoid(&mut self, x: Var) -> Result<Var, Error> {
        let step = boxed(MapStep::new(self.isa(), Sigmoid))?;
        self.record(step, self.shape(x)?, &[x], &[], 0)
    }
}

struct Unary<F, G> {
    value: F,
    slope: G,
}

impl<F: Fn(f32) -> f32 + Send + Sync, G: Send + Sync> Step for Unary<F, G> {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        run.output.iter_mut().zip(run.inputs[0]).for_each(|(y, &x)| *y = (self.value)(x));
        Ok(())
    }
}

impl<F, G> TrainingStep for Unary<F, G>
where
    F: Fn(f32) -> f32 + Send + Sync,
    G: Fn(f32, f32) -> f32 + Send + Sync,
{
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let at = run.inputs[0].iter().zip(run.output);
        for ((d_x, d_y), (&x, &y)) in d_input.iter_mut().zip(run.d_output).zip(at) {
            *d_x = (self.slope)(x, y) * *d_y;
        }
        Ok(())
    }
}
