//! Operations on two tensors, element by element, with NumPy's rules of broadcasting.

use super::walk::{Axes, sizes, strides, sums, walk};
use crate::error::Error;
use crate::layers::{AddStep, Backward, Forward, MultiplyStep, Step, TrainingStep};
use crate::memory::heap::boxed;
use crate::parallel::Threads;
use crate::shape::Shape;
use crate::tape::{Tape, Var};
use bantam_kernels::conv2d::Activation;

impl Tape<'_> {
    /// The sum of two tensors. Their shapes are broadcast as NumPy does it: counted from the last, dimensions are equal, or
    /// one of them is 1 or missing.
    ///
    /// ```
    /// use bantam::{Isa, Shape, Tape};
    /// let mut tape = Tape::new(Isa::detect());
    /// let x = tape.parameter(Shape::new(&[2, 3])?, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// let bias = tape.parameter(Shape::new(&[3])?, &[10.0, 20.0, 30.0])?;
    /// let y = tape.add(x, bias)?;
    /// assert_eq!(tape.value(y)?, [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
    /// let loss = tape.sum(y)?;
    /// assert_eq!(tape.backward(loss)?.get(bias)?, [2.0; 3]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn add(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        if self.shape(a)? == self.shape(b)? {
            let step = AddStep { isa: self.isa(), activation: Activation::None, threads: Threads::ONE };
            return self.record(boxed(step)?, self.shape(a)?, &[a, b], &[], 0);
        }
        self.binary(Binary { value: |a, b| a + b, slopes: |_, _| [1.0, 1.0] }, a, b)
    }

    /// The difference of two tensors, broadcast as by [`add`](Tape::add).
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn sub(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.binary(Binary { value: |a, b| a - b, slopes: |_, _| [1.0, -1.0] }, a, b)
    }

    /// The product of two tensors, element by element, broadcast as by [`add`](Tape::add).
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn mul(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        let shape = self.shape(a)?;
        if shape == self.shape(b)? {
            let step = MultiplyStep::new(self.isa(), [shape.elements(); 2]);
            return self.record(boxed(step)?, shape, &[a, b], &[], 0);
        }
        self.binary(Binary { value: |a, b| a * b, slopes: |a, b| [b, a] }, a, b)
    }

    /// The quotient of two tensors, element by element, broadcast as by [`add`](Tape::add).
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn div(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.binary(Binary { value: |a, b| a / b, slopes: |a, b| [1.0 / b, -a / (b * b)] }, a, b)
    }

    /// The larger of two tensors' elements, broadcast as by [`add`](Tape::add); NaN if either is. Of equal ones the
    /// gradient goes to `a`.
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn maximum(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        let value = |a: f32, b: f32| if a >= b || a.is_nan() { a } else { b };
        let slopes = |a, b| if a >= b { [1.0, 0.0] } else { [0.0, 1.0] };
        self.binary(Binary { value, slopes }, a, b)
    }

    /// The smaller of two tensors' elements, broadcast as by [`add`](Tape::add); NaN if either is. Of equal ones the
    /// gradient goes to `a`.
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn minimum(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        let value = |a: f32, b: f32| if a <= b || a.is_nan() { a } else { b };
        let slopes = |a, b| if a <= b { [1.0, 0.0] } else { [0.0, 1.0] };
        self.binary(Binary { value, slopes }, a, b)
    }

    fn binary(&mut self, how: Binary, a: Var, b: Var) -> Result<Var, Error> {
        let shapes = [self.shape(a)?, self.shape(b)?];
        let shape = broadcast(shapes)?;
        let step = BinaryStep { how, sizes: sizes(shape), strides: shapes.map(strides) };
        self.record(boxed(step)?, shape, &[a, b], &[], 0)
    }
}

/// A function of two numbers, and its derivatives.
struct Binary {
    value: fn(f32, f32) -> f32,
    slopes: fn(f32, f32) -> [f32; 2],
}

struct BinaryStep {
    how: Binary,
    /// Of the output.
    sizes: Axes,
    strides: [Axes; 2],
}

impl Step for BinaryStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let ([a, b], mut next) = ([run.inputs[0], run.inputs[1]], 0);
        walk(self.sizes, self.strides, |at| {
            run.output[next] = (self.how.value)(a[at[0]], b[at[1]]);
            next += 1;
        });
        Ok(())
    }
}

impl TrainingStep for BinaryStep {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let [a, b] = [run.inputs[0], run.inputs[1]];
        let own = self.strides[run.input];
        let along = |own_axis: bool| {
            core::array::from_fn(|axis| if (own[axis] > 0) == own_axis { self.sizes[axis] } else { 1 })
        };
        let output = dense(self.sizes);
        sums(
            [along(true), along(false)],
            [self.strides[0], self.strides[1], output],
            |at| {
                let slope = (self.how.slopes)(a[at[0]], b[at[1]])[run.input];
                f64::from(slope) * f64::from(run.d_output[at[2]])
            },
            |i, sum| d_input[i] = sum as f32,
        );
        Ok(())
    }
}

/// The strides of an array of such sizes.
fn dense(sizes: Axes) -> Axes {
    let (mut strides, mut next) = ([0; Shape::MAX_RANK], 1);
    for axis in (0..Shape::MAX_RANK).rev() {
        strides[axis] = next;
        next *= sizes[axis];
    }
    strides
}

/// The shape that two are broadcast to.
fn broadcast([a, b]: [Shape; 2]) -> Result<Shape, Error> {
    let rank = a.rank().max(b.rank());
    let mut dims = [1; Shape::MAX_RANK];
    for (dim, (&m, &n)) in dims.iter_mut().zip(sizes(a).iter().zip(&sizes(b))) {
        *dim = match (m, n) {
            (m, 1) => m,
            (1, n) => n,
            (m, n) if m == n => m,
            _ => return Err(Error::shape("second operand", a, b)),
        };
    }
    Ok(Shape::new(&dims[Shape::MAX_RANK - rank..])?)
}
