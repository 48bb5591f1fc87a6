//! Sums, means and maxima over axes.

use super::walk::{Axes, axis_of, sizes, strides, sums, walk};
use crate::error::Error;
use crate::layers::{Backward, Forward, Step, TrainingStep};
use crate::memory::heap::boxed;
use crate::shape::Shape;
use crate::tape::{Tape, Var};

impl Tape<'_> {
    /// The sum over axes, which are 1 in its shape; [`reshape`](Tape::reshape) takes them away.
    ///
    /// ```
    /// use bantam::{Isa, Shape, Tape};
    /// let mut tape = Tape::new(Isa::detect());
    /// let x = tape.parameter(Shape::new(&[2, 3])?, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// let of_rows = tape.sum_axes(x, &[1])?;
    /// assert_eq!((tape.shape(of_rows)?.dims(), tape.value(of_rows)?), (&[2, 1][..], &[6.0, 15.0][..]));
    /// let shares = tape.div(x, of_rows)?;
    /// assert_eq!(tape.value(shares)?[3..], [4.0 / 15.0, 5.0 / 15.0, 6.0 / 15.0]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such axis.
    pub fn sum_axes(&mut self, x: Var, axes: &[usize]) -> Result<Var, Error> {
        self.over(Over::Sum, x, axes)
    }

    /// The mean over axes, which are 1 in its shape.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn mean_axes(&mut self, x: Var, axes: &[usize]) -> Result<Var, Error> {
        self.over(Over::Mean, x, axes)
    }

    /// The largest element over axes, which are 1 in its shape; NaN if there is one. Equal ones share the gradient.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn max_axes(&mut self, x: Var, axes: &[usize]) -> Result<Var, Error> {
        self.over(Over::Max, x, axes)
    }

    /// The mean of all elements.
    ///
    /// # Errors
    /// A stale variable.
    pub fn mean(&mut self, x: Var) -> Result<Var, Error> {
        let count = self.shape(x)?.elements();
        let sum = self.sum(x)?;
        self.scale(sum, 1.0 / count as f32)
    }

    fn over(&mut self, over: Over, x: Var, axes: &[usize]) -> Result<Var, Error> {
        let shape = self.shape(x)?;
        let mut dims = [1; Shape::MAX_RANK];
        let dims = &mut dims[..shape.rank()];
        dims.copy_from_slice(shape.dims());
        let all = sizes(shape);
        let (mut kept, mut reduced) = (all, [1; Shape::MAX_RANK]);
        for &axis in axes {
            if axis >= shape.rank() {
                let (what, max) = ("axis", shape.rank().saturating_sub(1));
                return Err(bantam_kernels::Error::OutOfRange { what, max, got: axis }.into());
            }
            let at = axis_of(shape, axis);
            (dims[axis], kept[at], reduced[at]) = (1, 1, all[at]);
        }
        let step = AxesStep { over, kept, reduced, strides: strides(shape) };
        self.record(boxed(step)?, Shape::new(dims)?, &[x], &[], 0)
    }
}

#[derive(Clone, Copy)]
enum Over {
    Sum,
    Mean,
    Max,
}

struct AxesStep {
    over: Over,
    kept: Axes,
    reduced: Axes,
    /// Of the input.
    strides: Axes,
}

impl AxesStep {
    /// Where each element of the input lies, by the element of the output that it goes into.
    fn each(&self, mut visit: impl FnMut(usize, usize)) {
        let mut output = 0;
        walk(self.kept, [self.strides], |[start]| {
            walk(self.reduced, [self.strides], |[at]| visit(output, start + at));
            output += 1;
        });
    }

    fn count(&self) -> f64 {
        self.reduced.iter().product::<usize>() as f64
    }
}

impl Step for AxesStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (x, y) = (run.inputs[0], run.output);
        let by = match self.over {
            Over::Sum => 1.0,
            Over::Mean => self.count(),
            Over::Max => {
                y.fill(f32::NEG_INFINITY);
                self.each(|output, at| {
                    if x[at] > y[output] || x[at].is_nan() {
                        y[output] = x[at];
                    }
                });
                return Ok(());
            }
        };
        let kept_and_reduced = [self.kept, self.reduced];
        sums(kept_and_reduced, [self.strides], |[at]| f64::from(x[at]), |i, sum| y[i] = (sum / by) as f32);
        Ok(())
    }
}

impl TrainingStep for AxesStep {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let (x, y, d) = (run.inputs[0], run.output, &*run.d_output);
        match self.over {
            Over::Sum => self.each(|output, at| d_input[at] = d[output]),
            Over::Mean => {
                let share = 1.0 / self.count() as f32;
                self.each(|output, at| d_input[at] = d[output] * share);
            }
            Over::Max => self.share(d_input, d, |output, at| x[at] == y[output]),
        }
        Ok(())
    }
}

impl AxesStep {
    /// Gives each element of the output's gradient, in equal parts, to the elements of the input that it is from.
    fn share(&self, d_input: &mut [f32], d_output: &[f32], is_from: impl Fn(usize, usize) -> bool) {
        let mut output = 0;
        walk(self.kept, [self.strides], |[start]| {
            let mut count = 0;
            walk(self.reduced, [self.strides], |[at]| count += u32::from(is_from(output, start + at)));
            let share = d_output[output] / count.max(1) as f32;
            walk(self.reduced, [self.strides], |[at]| {
                d_input[start + at] = if is_from(output, start + at) { share } else { 0.0 };
            });
            output += 1;
        });
    }
}
