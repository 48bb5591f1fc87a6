//! Maximum over windows of an image `[N, H, W, C]`, channel by channel.
//!
//! Padded places are never the maximum. A window that holds a NaN gives NaN, and its gradient goes
//! to the first one. Of equal maxima the first in row-major order wins.

use crate::conv2d::Padding;
use crate::conv2d::geometry::Axis;
use crate::error::{check, elements};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

/// The checked shape of a max-pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    batch: usize,
    channels: usize,
    pub(crate) axes: [Axis; 2],
}

impl Geometry {
    /// `input` is `[N, H, W, C]`; `window` and `stride` are `[vertical, horizontal]`.
    ///
    /// # Errors
    /// A size is zero, the window exceeds the padded input or has more than 256 cells (their
    /// index is kept in a byte), padding is as wide as the window (a window could then see
    /// nothing), or an array would not fit memory.
    ///
    /// ```
    /// use bantam_kernels::{conv2d::Padding, max_pool2d::Geometry};
    /// let g = Geometry::new([1, 5, 5, 64], [2, 2], [2, 2], Padding::Valid)?;
    /// assert_eq!(g.output(), [1, 2, 2, 64]);
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn new(
        input: [usize; 4],
        window: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> Result<Geometry, Error> {
        let [batch, height, width, channels] = input;
        for (what, size) in [("batch", batch), ("channels", channels)] {
            if size == 0 {
                return Err(Error::ZeroSize { what });
            }
        }
        let axes = Axis::pair([height, width], window, stride, padding)?;
        let cells = window[0].saturating_mul(window[1]);
        if cells > 256 {
            return Err(Error::OutOfRange { what: "window cells", max: 256, got: cells });
        }
        if let Padding::Explicit { top, bottom, left, right } = padding {
            for (pad, window) in [(top.max(bottom), window[0]), (left.max(right), window[1])] {
                if pad >= window {
                    return Err(Error::OutOfRange { what: "padding", max: window - 1, got: pad });
                }
            }
        }
        let geometry = Geometry { batch, channels, axes };
        elements("input", &geometry.input())?;
        elements("output", &geometry.output())?;
        Ok(geometry)
    }

    /// The same pool over another number of images, for work in parts.
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn with_batch(mut self, batch: usize) -> Result<Geometry, Error> {
        if batch == 0 {
            return Err(Error::ZeroSize { what: "batch" });
        }
        self.batch = batch;
        elements("input", &self.input())?;
        elements("output", &self.output())?;
        Ok(self)
    }

    /// `[N, H, W, C]`.
    pub fn input(&self) -> [usize; 4] {
        [self.batch, self.axes[0].input, self.axes[1].input, self.channels]
    }

    /// `[N, OH, OW, C]`.
    pub fn output(&self) -> [usize; 4] {
        [self.batch, self.axes[0].output, self.axes[1].output, self.channels]
    }
}

/// The maximum of each window: `[N, H, W, C]` to `[N, OH, OW, C]`.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn forward(isa: Isa, geometry: &Geometry, input: &[f32], output: &mut [f32]) -> Result<(), Error> {
    check("input", input, geometry.input().iter().product())?;
    check("output", output, geometry.output().iter().product())?;
    isa.run(Sweep { geometry, visitor: Maximum { input, output } });
    Ok(())
}

/// As [`forward`], and for each output the index in its window, row by row, of the cell that it
/// came from.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn forward_argmax(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    output: &mut [f32],
    argmax: &mut [u8],
) -> Result<(), Error> {
    check("input", input, geometry.input().iter().product())?;
    check("output", output, geometry.output().iter().product())?;
    check("argmax", argmax, geometry.output().iter().product())?;
    isa.run(Sweep { geometry, visitor: MaximumAndIndex { input, output, argmax } });
    Ok(())
}

/// Gradient of the pool to its input: each output's gradient goes to the cell that `argmax` names.
/// `d_input` is overwritten. An index outside its window, which [`forward_argmax`] never writes,
/// adds to nothing.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn grad_input(
    isa: Isa,
    geometry: &Geometry,
    d_output: &[f32],
    argmax: &[u8],
    d_input: &mut [f32],
) -> Result<(), Error> {
    check("output gradient", d_output, geometry.output().iter().product())?;
    check("argmax", argmax, geometry.output().iter().product())?;
    check("input gradient", d_input, geometry.input().iter().product())?;
    let axes = &geometry.axes;
    let disjoint = axes.iter().all(|axis| axis.stride >= axis.window);
    let gapless = axes
        .iter()
        .all(|axis| axis.stride <= axis.window && axis.output * axis.stride >= axis.before + axis.input);
    if !(disjoint && gapless) {
        d_input.fill(0.0);
    }
    if disjoint {
        isa.run(Sweep { geometry, visitor: Distribute::<false> { d_output, argmax, d_input } });
    } else {
        isa.run(Sweep { geometry, visitor: Distribute::<true> { d_output, argmax, d_input } });
    }
    Ok(())
}

/// The part of one window along one axis that lies inside the input.
#[derive(Clone, Copy)]
struct Span {
    /// The first cell that is inside, and where it reads.
    first: usize,
    input: usize,
    len: usize,
}

impl Axis {
    fn span(&self, position: usize) -> Span {
        let start = position * self.stride;
        let first = self.before.saturating_sub(start);
        let input = start + first - self.before;
        Span { first, input, len: (self.window - first).min(self.input - input) }
    }
}

/// The part of one window that lies inside the input, and a vector of its channels.
#[derive(Clone, Copy)]
struct Window {
    /// The first cell's first channel, in the input, and where the output's is.
    input: usize,
    output: usize,
    /// The first cell's index in the window.
    first: usize,
    /// Rows and columns.
    len: [usize; 2],
    /// From one row to the next, in indices and in the input; from one column to the next there.
    width: usize,
    pitch: usize,
    channels: usize,
}

impl Window {
    #[inline(always)]
    fn index<S: Simd>(&self, simd: S, row: usize, column: usize) -> S::Vector {
        simd.splat(f32::from((self.first + row * self.width + column) as u8))
    }

    #[inline(always)]
    fn cell(&self, row: usize, column: usize) -> usize {
        self.input + row * self.pitch + column * self.channels
    }
}

/// What is done with `n` channels of each window.
trait Visitor {
    /// # Safety
    /// `n` elements, at most a vector, from the window's output on exist, and in the input from
    /// each of its cells on.
    unsafe fn visit<S: Simd>(&mut self, simd: S, window: Window, n: usize);
}

/// Visits every window, in the order of the output.
struct Sweep<'a, V> {
    geometry: &'a Geometry,
    visitor: V,
}

impl<V: Visitor> Operation for Sweep<'_, V> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Geometry { batch, channels, axes: [vertical, horizontal] } = *self.geometry;
        let (width, pitch) = (horizontal.window, horizontal.input * channels);
        let mut output = 0;
        for image in 0..batch {
            for y in 0..vertical.output {
                let rows = vertical.span(y);
                for x in 0..horizontal.output {
                    let columns = horizontal.span(x);
                    let row = image * vertical.input + rows.input;
                    let input = row * pitch + columns.input * channels;
                    let first = rows.first * width + columns.first;
                    let len = [rows.len, columns.len];
                    let window = Window { input, output, first, len, width, pitch, channels };
                    // SAFETY: the spans lie inside the input, outputs follow each other, and the
                    // lengths were checked.
                    unsafe {
                        // Twice the same, so that the usual window is unrolled.
                        if len == [2, 2] {
                            self.vectors(simd, Window { len: [2, 2], ..window });
                        } else {
                            self.vectors(simd, window);
                        }
                    }
                    output += channels;
                }
            }
        }
    }
}

impl<V: Visitor> Sweep<'_, V> {
    /// # Safety
    /// All channels of the window's output exist, and of each of its cells.
    #[inline(always)]
    unsafe fn vectors<S: Simd>(&mut self, simd: S, window: Window) {
        let whole = window.channels - window.channels % S::LANES;
        let from =
            |channel| Window { input: window.input + channel, output: window.output + channel, ..window };
        // SAFETY: the caller's promise.
        unsafe {
            for channel in (0..whole).step_by(S::LANES) {
                self.visitor.visit(simd, from(channel), S::LANES);
            }
            if whole < window.channels {
                self.visitor.visit(simd, from(whole), window.channels - whole);
            }
        }
    }
}

struct Maximum<'a> {
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Visitor for Maximum<'_> {
    #[inline(always)]
    unsafe fn visit<S: Simd>(&mut self, simd: S, window: Window, n: usize) {
        let mut best = simd.splat(f32::NEG_INFINITY);
        for row in 0..window.len[0] {
            for column in 0..window.len[1] {
                // SAFETY: the caller's promise.
                let x = unsafe { simd.load_n(self.input.as_ptr().add(window.cell(row, column)), n) };
                // `max` keeps a NaN of its second argument only.
                best = simd.select(simd.eq(best, best), simd.max(best, x), best);
            }
        }
        // SAFETY: the caller's promise.
        unsafe { simd.store_n(self.output.as_mut_ptr().add(window.output), best, n) };
    }
}

struct MaximumAndIndex<'a> {
    input: &'a [f32],
    output: &'a mut [f32],
    argmax: &'a mut [u8],
}

impl Visitor for MaximumAndIndex<'_> {
    #[inline(always)]
    unsafe fn visit<S: Simd>(&mut self, simd: S, window: Window, n: usize) {
        let mut best = simd.splat(f32::NEG_INFINITY);
        let mut index = window.index(simd, 0, 0);
        for row in 0..window.len[0] {
            for column in 0..window.len[1] {
                // SAFETY: the caller's promise.
                let x = unsafe { simd.load_n(self.input.as_ptr().add(window.cell(row, column)), n) };
                // A larger number or the first NaN takes over; from a NaN nothing does.
                let takes = simd.not_le(x, best);
                let number = simd.eq(best, best);
                let here = window.index(simd, row, column);
                index = simd.select(number, simd.select(takes, here, index), index);
                best = simd.select(number, simd.select(takes, x, best), best);
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            simd.store_n(self.output.as_mut_ptr().add(window.output), best, n);
            simd.store_u8(self.argmax.as_mut_ptr().add(window.output), index, n);
        }
    }
}

/// `ADD`: windows overlap, so that a cell may get more than one output's gradient.
struct Distribute<'a, const ADD: bool> {
    d_output: &'a [f32],
    argmax: &'a [u8],
    d_input: &'a mut [f32],
}

impl<const ADD: bool> Visitor for Distribute<'_, ADD> {
    #[inline(always)]
    unsafe fn visit<S: Simd>(&mut self, simd: S, window: Window, n: usize) {
        // SAFETY: the caller's promise.
        let (d, index) = unsafe {
            let d = simd.load_n(self.d_output.as_ptr().add(window.output), n);
            (d, simd.load_u8(self.argmax.as_ptr().add(window.output), n))
        };
        for row in 0..window.len[0] {
            for column in 0..window.len[1] {
                let mut sum = simd.splat(0.0);
                // SAFETY: the caller's promise.
                unsafe {
                    let slot = self.d_input.as_mut_ptr().add(window.cell(row, column));
                    if ADD {
                        sum = simd.load_n(slot, n);
                    }
                    let chosen = simd.eq(index, window.index(simd, row, column));
                    simd.store_n(slot, simd.add(sum, simd.select(chosen, d, simd.splat(0.0))), n);
                }
            }
        }
    }
}
