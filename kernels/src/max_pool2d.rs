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
    isa.run(Forward { geometry, input, output, argmax: None });
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
    isa.run(Forward { geometry, input, output, argmax: Some(argmax) });
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
    isa.run(GradInput { geometry, d_output, argmax, d_input });
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

struct Forward<'a> {
    geometry: &'a Geometry,
    input: &'a [f32],
    output: &'a mut [f32],
    argmax: Option<&'a mut [u8]>,
}

impl Operation for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        if self.geometry.channels.is_multiple_of(S::LANES) {
            self.pixels::<S, true>(simd);
        } else {
            self.pixels::<S, false>(simd);
        }
    }
}

impl Forward<'_> {
    /// `WHOLE`: the channels fill whole vectors.
    #[inline(always)]
    fn pixels<S: Simd, const WHOLE: bool>(&mut self, simd: S) {
        let Geometry { batch, channels, axes: [vertical, horizontal] } = *self.geometry;
        let argmax = self.argmax.as_mut().map(|argmax| argmax.as_mut_ptr());
        let mut output = 0;
        for image in 0..batch {
            for y in 0..vertical.output {
                let rows = vertical.span(y);
                for x in 0..horizontal.output {
                    let columns = horizontal.span(x);
                    let pixel = (image * vertical.input + rows.input) * horizontal.input + columns.input;
                    let mut channel = 0;
                    while channel < channels {
                        let n = if WHOLE { S::LANES } else { S::LANES.min(channels - channel) };
                        // SAFETY: the spans lie inside the input and `n` channels from `channel`
                        // on exist; outputs follow each other; the lengths were checked.
                        unsafe {
                            let cell = self.input.as_ptr().add(pixel * channels + channel);
                            let at = output + channel;
                            let slot = self.output.as_mut_ptr().add(at);
                            let window = Window { cell, channels, rows, columns, axis: &horizontal, n };
                            match argmax {
                                None => store::<S, WHOLE>(simd, slot, window.maximum::<S, WHOLE>(simd), n),
                                Some(argmax) => {
                                    let (maximum, index) = window.maximum_and_index::<S, WHOLE>(simd);
                                    store::<S, WHOLE>(simd, slot, maximum, n);
                                    simd.store_u8(argmax.add(at), index, n);
                                }
                            }
                        }
                        channel += S::LANES;
                    }
                    output += channels;
                }
            }
        }
    }
}

/// # Safety
/// `p` is valid for reading `n` elements, a whole vector if `WHOLE`.
#[inline(always)]
unsafe fn load<S: Simd, const WHOLE: bool>(simd: S, p: *const f32, n: usize) -> S::Vector {
    // SAFETY: the caller's promise.
    unsafe { if WHOLE { simd.load(p) } else { simd.load_n(p, n) } }
}

/// # Safety
/// `p` is valid for writing `n` elements, a whole vector if `WHOLE`.
#[inline(always)]
unsafe fn store<S: Simd, const WHOLE: bool>(simd: S, p: *mut f32, v: S::Vector, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { if WHOLE { simd.store(p, v) } else { simd.store_n(p, v, n) } }
}

/// What one output sees: `n` channels of the cells from `cell` on.
struct Window<'a> {
    cell: *const f32,
    channels: usize,
    rows: Span,
    columns: Span,
    axis: &'a Axis,
    n: usize,
}

impl Window<'_> {
    /// # Safety
    /// `row` and `column` lie in the spans, and the window in the input.
    #[inline(always)]
    unsafe fn load<S: Simd, const WHOLE: bool>(&self, simd: S, row: usize, column: usize) -> S::Vector {
        let offset = (row * self.axis.input + column) * self.channels;
        // SAFETY: the caller's promise.
        unsafe { load::<S, WHOLE>(simd, self.cell.add(offset), self.n) }
    }

    /// # Safety
    /// The window lies in the input.
    #[inline(always)]
    unsafe fn maximum<S: Simd, const WHOLE: bool>(&self, simd: S) -> S::Vector {
        // SAFETY: the caller's promise.
        let mut best = unsafe { self.load::<S, WHOLE>(simd, 0, 0) };
        for row in 0..self.rows.len {
            for column in 0..self.columns.len {
                // SAFETY: the caller's promise.
                let x = unsafe { self.load::<S, WHOLE>(simd, row, column) };
                // `max` keeps a NaN of its second argument only.
                best = simd.select(simd.eq(best, best), simd.max(best, x), best);
            }
        }
        best
    }

    /// # Safety
    /// The window lies in the input.
    #[inline(always)]
    unsafe fn maximum_and_index<S: Simd, const WHOLE: bool>(&self, simd: S) -> (S::Vector, S::Vector) {
        // SAFETY: the caller's promise.
        let mut best = unsafe { self.load::<S, WHOLE>(simd, 0, 0) };
        let cell = |row: usize, column: usize| (row * self.axis.window + column) as f32;
        let mut index = simd.splat(cell(self.rows.first, self.columns.first));
        for row in 0..self.rows.len {
            for column in 0..self.columns.len {
                // SAFETY: the caller's promise.
                let x = unsafe { self.load::<S, WHOLE>(simd, row, column) };
                let here = simd.splat(cell(self.rows.first + row, self.columns.first + column));
                // A larger number or the first NaN takes over; from a NaN nothing does.
                let takes = simd.not_le(x, best);
                let number = simd.eq(best, best);
                index = simd.select(number, simd.select(takes, here, index), index);
                best = simd.select(number, simd.select(takes, x, best), best);
            }
        }
        (best, index)
    }
}

struct GradInput<'a> {
    geometry: &'a Geometry,
    d_output: &'a [f32],
    argmax: &'a [u8],
    d_input: &'a mut [f32],
}

impl Operation for GradInput<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Geometry { channels, axes, .. } = *self.geometry;
        // Where windows part the input without rest, each cell is written once.
        let parts = axes.iter().all(|axis| {
            axis.stride == axis.window && axis.before == 0 && axis.output * axis.stride == axis.input
        });
        if !parts {
            self.d_input.fill(0.0);
        }
        match (parts, channels.is_multiple_of(S::LANES)) {
            (true, true) => self.pixels::<S, true, true>(simd),
            (true, false) => self.pixels::<S, true, false>(simd),
            (false, true) => self.pixels::<S, false, true>(simd),
            (false, false) => self.pixels::<S, false, false>(simd),
        }
    }
}

impl GradInput<'_> {
    /// `PARTS`: windows part the input. `WHOLE`: the channels fill whole vectors.
    #[inline(always)]
    fn pixels<S: Simd, const PARTS: bool, const WHOLE: bool>(&mut self, simd: S) {
        let Geometry { batch, channels, axes: [vertical, horizontal] } = *self.geometry;
        let zero = simd.splat(0.0);
        let mut output = 0;
        for image in 0..batch {
            for y in 0..vertical.output {
                let rows = vertical.span(y);
                for x in 0..horizontal.output {
                    let columns = horizontal.span(x);
                    let pixel = (image * vertical.input + rows.input) * horizontal.input + columns.input;
                    let mut channel = 0;
                    while channel < channels {
                        let n = if WHOLE { S::LANES } else { S::LANES.min(channels - channel) };
                        let at = output + channel;
                        // SAFETY: outputs follow each other, with `n` channels from `channel` on;
                        // the lengths were checked.
                        let (d, index) = unsafe {
                            let d = load::<S, WHOLE>(simd, self.d_output.as_ptr().add(at), n);
                            (d, simd.load_u8(self.argmax.as_ptr().add(at), n))
                        };
                        for row in 0..rows.len {
                            for column in 0..columns.len {
                                let cell = (rows.first + row) * horizontal.window + columns.first + column;
                                let part = simd.select(simd.eq(index, simd.splat(cell as f32)), d, zero);
                                let offset = (pixel + row * horizontal.input + column) * channels + channel;
                                // SAFETY: the spans lie inside the input.
                                unsafe {
                                    let slot = self.d_input.as_mut_ptr().add(offset);
                                    let before = if PARTS { zero } else { load::<S, WHOLE>(simd, slot, n) };
                                    store::<S, WHOLE>(simd, slot, simd.add(before, part), n);
                                }
                            }
                        }
                        channel += S::LANES;
                    }
                    output += channels;
                }
            }
        }
    }
}
