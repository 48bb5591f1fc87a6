//! Parts of tensors, tensors of parts, and axes in another order.

use super::walk::{Axes, axis_of, sizes, strides, walk};
use crate::error::Error;
use crate::layers::{Backward, Forward, MAX_INPUTS, Step, TrainingStep};
use crate::memory::heap::boxed;
use crate::shape::Shape;
use crate::tape::{Tape, Var};
use core::ops::Range;

impl Tape<'_> {
    /// A part of a tensor: a range of each axis; axes without one are whole.
    ///
    /// ```
    /// use bantam::{Isa, Shape, Tape};
    /// let mut tape = Tape::new(Isa::detect());
    /// let x = tape.parameter(Shape::new(&[2, 3])?, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// let last = tape.slice(x, &[0..2, 2..3])?;
    /// assert_eq!(tape.value(last)?, [3.0, 6.0]);
    /// let both = tape.concat(&[x, last], 1)?;
    /// assert_eq!(tape.value(both)?, [1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0, 6.0]);
    /// let turned = tape.transpose(x, &[1, 0])?;
    /// assert_eq!(tape.value(turned)?, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// A range is empty or reaches beyond its axis, or there are more than axes.
    pub fn slice(&mut self, x: Var, ranges: &[Range<usize>]) -> Result<Var, Error> {
        let shape = self.shape(x)?;
        let (max, got) = (shape.rank(), ranges.len());
        if got > max {
            return Err(bantam_kernels::Error::OutOfRange { what: "ranges of a slice", max, got }.into());
        }
        let mut dims = [1; Shape::MAX_RANK];
        let dims = &mut dims[..shape.rank()];
        dims.copy_from_slice(shape.dims());
        for (axis, range) in ranges.iter().enumerate() {
            let max = shape.dims()[axis];
            if range.end > max {
                let (what, got) = ("end of a slice", range.end);
                return Err(bantam_kernels::Error::OutOfRange { what, max, got }.into());
            }
            dims[axis] = range.len();
        }
        let (part, strides) = (Shape::new(dims)?, strides(shape));
        // No range is empty now, and so each begins within its axis.
        let starts =
            ranges.iter().enumerate().map(|(axis, range)| range.start * strides[axis_of(shape, axis)]);
        let start = starts.sum();
        self.record(boxed(ViewStep { sizes: sizes(part), strides, start })?, part, &[x], &[], 0)
    }

    /// A tensor with its axes in another order: axis `i` of the result is axis `axes[i]` of `x`.
    ///
    /// # Errors
    /// `axes` are not all axes of `x`, each once.
    pub fn transpose(&mut self, x: Var, axes: &[usize]) -> Result<Var, Error> {
        let shape = self.shape(x)?;
        let rank = shape.rank();
        if axes.len() != rank || !(0..rank).all(|axis| axes.contains(&axis)) {
            return Err(Error::Axes { rank });
        }
        let mut dims = [1; Shape::MAX_RANK];
        let (of_x, mut strides_of_y) = (strides(shape), [0; Shape::MAX_RANK]);
        for (i, &axis) in axes.iter().enumerate() {
            dims[i] = shape.dims()[axis];
            strides_of_y[axis_of(shape, i)] = of_x[axis_of(shape, axis)];
        }
        let turned = Shape::new(&dims[..rank])?;
        let step = ViewStep { sizes: sizes(turned), strides: strides_of_y, start: 0 };
        self.record(boxed(step)?, turned, &[x], &[], 0)
    }

    /// Up to eight tensors one after the other along an axis.
    ///
    /// # Errors
    /// There are none or too many, or they differ in another axis.
    pub fn concat(&mut self, parts: &[Var], axis: usize) -> Result<Var, Error> {
        let (shapes, count) = self.shapes_of("parts", parts)?;
        let Some((first, others)) = shapes[..count].split_first() else {
            return Err(Error::Empty { what: "parts" });
        };
        if axis >= first.rank() {
            let (what, max) = ("axis", first.rank().saturating_sub(1));
            return Err(bantam_kernels::Error::OutOfRange { what, max, got: axis }.into());
        }
        let mut dims = [1; Shape::MAX_RANK];
        let dims = &mut dims[..first.rank()];
        dims.copy_from_slice(first.dims());
        for other in others {
            let same = |at: usize| at == axis || other.dims()[at] == first.dims()[at];
            if other.rank() != first.rank() || !(0..first.rank()).all(same) {
                return Err(Error::shape("part", *first, *other));
            }
            dims[axis] = dims[axis].saturating_add(other.dims()[axis]);
        }
        let whole = Shape::new(dims)?;
        let inner: usize = whole.dims()[axis + 1..].iter().product();
        let mut widths = [0; MAX_INPUTS];
        for (width, shape) in widths.iter_mut().zip(&shapes[..count]) {
            *width = shape.dims()[axis] * inner;
        }
        self.record(boxed(ConcatStep { widths })?, whole, parts, &[], 0)
    }
}

/// Some elements of the input, in any order, each once.
struct ViewStep {
    /// Of the output.
    sizes: Axes,
    /// In the input.
    strides: Axes,
    start: usize,
}

impl Step for ViewStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let mut next = 0;
        walk(self.sizes, [self.strides], |[at]| {
            run.output[next] = run.inputs[0][self.start + at];
            next += 1;
        });
        Ok(())
    }
}

impl TrainingStep for ViewStep {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        d_input.fill(0.0);
        let mut next = 0;
        walk(self.sizes, [self.strides], |[at]| {
            d_input[self.start + at] = run.d_output[next];
            next += 1;
        });
        Ok(())
    }
}

struct ConcatStep {
    /// Elements of each part that lie side by side.
    widths: [usize; MAX_INPUTS],
}

impl ConcatStep {
    fn whole(&self) -> usize {
        self.widths.iter().sum()
    }
}

impl Step for ConcatStep {
    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        for (row, output) in run.output.chunks_exact_mut(self.whole()).enumerate() {
            let mut start = 0;
            for (&width, part) in self.widths.iter().zip(run.inputs) {
                output[start..start + width].copy_from_slice(&part[row * width..][..width]);
                start += width;
            }
        }
        Ok(())
    }
}

impl TrainingStep for ConcatStep {
    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let (start, width) = (self.widths[..run.input].iter().sum::<usize>(), self.widths[run.input]);
        for (d_part, d_output) in d_input.chunks_exact_mut(width).zip(run.d_output.chunks_exact(self.whole()))
        {
            d_part.copy_from_slice(&d_output[start..start + width]);
        }
        Ok(())
    }
}
