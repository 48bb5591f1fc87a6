//! Windows over images `[N, H, W, C]`, channel by channel: what the pools share.

use crate::conv2d::Padding;
use crate::conv2d::geometry::{Axis, clear_beyond};
use crate::error::{check_arrays, check_sizes};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};
use core::ops::Range;

/// The windows of a pool, each pair `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Windows {
    /// Cells of a window.
    pub size: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// From one cell to the next.
    pub dilation: [usize; 2],
    /// How far windows reach past the edges.
    pub padding: Padding,
    /// Whether a last window may reach past the padding, if it begins before the padding behind the input.
    pub ceil: bool,
    /// Whether padding counts in a mean, as zeros. What lies beyond it does not.
    pub count_padding: bool,
}

impl Windows {
    /// Side by side, without padding.
    pub const fn new(size: [usize; 2]) -> Windows {
        let (stride, dilation, padding) = (size, [1, 1], Padding::Valid);
        Windows { size, stride, dilation, padding, ceil: false, count_padding: false }
    }
}

/// What the sum of a window is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Divisor {
    /// Its cells inside the input.
    Inside,
    /// These, and those in the padding.
    Padded,
    /// Nothing.
    One,
}

/// The checked shape of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    batch: usize,
    channels: usize,
    pub(crate) axes: [Axis; 2],
    /// Padding after the last element of each axis.
    pub(crate) after: [usize; 2],
    pub(crate) divisor: Divisor,
}

impl Geometry {
    /// `input` is `[N, H, W, C]`; `window` and `stride` are `[vertical, horizontal]`.
    ///
    /// # Errors
    /// As [`of`](Geometry::of).
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
        Geometry::of(input, &Windows { stride, padding, ..Windows::new(window) })
    }

    /// `input` is `[N, H, W, C]`.
    ///
    /// # Errors
    /// A size is zero, the window exceeds the padded input, padding is as wide as the window, or a dilated window's cells
    /// lie further apart than the input is wide (a window could then see nothing), or an array, be it the padded input,
    /// would not fit memory.
    ///
    /// ```
    /// use bantam_kernels::max_pool2d::{Geometry, Windows};
    /// let windows = Windows { ceil: true, ..Windows::new([2, 2]) };
    /// assert_eq!(Geometry::of([1, 5, 5, 64], &windows)?.output(), [1, 3, 3, 64]);
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn of(input: [usize; 4], windows: &Windows) -> Result<Geometry, Error> {
        let [batch, height, width, channels] = input;
        let Windows { size, stride, dilation, padding, ceil, count_padding } = *windows;
        check_sizes(&["batch", "channels"], [batch, channels])?;
        let axes = Axis::dilated_pair([height, width], size, stride, padding, dilation)?;
        let after = match padding {
            Padding::Explicit { bottom, right, .. } => [bottom, right],
            _ => [0, 1].map(|i| axes[i].padded() - axes[i].before - axes[i].input),
        };
        let divisor = if count_padding { Divisor::Padded } else { Divisor::Inside };
        let mut geometry = Geometry { batch, channels, axes, after, divisor };
        for (axis, &after) in geometry.axes.iter_mut().zip(&after) {
            let (padding, most) = (axis.before.max(after), axis.extent() - 1);
            if padding > most {
                return Err(Error::OutOfRange { what: "padding", max: most, got: padding });
            }
            if axis.dilation > axis.input {
                return Err(Error::OutOfRange { what: "dilation", max: axis.input, got: axis.dilation });
            }
            if ceil {
                axis.round_up(after);
            }
        }
        let [rows, columns] = &geometry.axes;
        check_arrays(
            &["input", "output", "padded input"],
            [&geometry.input(), &geometry.output(), &[rows.padded(), columns.padded(), channels]],
        )?;
        Ok(geometry)
    }

    /// The same pool with sums for means. Its gradient repeats each output's in all cells of its window, which is
    /// up-sampling by nearest neighbours.
    pub fn summing(mut self) -> Geometry {
        self.divisor = Divisor::One;
        self
    }

    /// What the sum of the window at a position is divided by, of which so many rows and columns are inside the input.
    pub(crate) fn divisor(&self, position: [usize; 2], [rows, columns]: [usize; 2]) -> f32 {
        match self.divisor {
            Divisor::Inside => (rows * columns) as f32,
            Divisor::Padded => (self.counted(0, position[0]) * self.counted(1, position[1])) as f32,
            Divisor::One => 1.0,
        }
    }

    /// Cells of a window inside the input and its padding, along one axis.
    fn counted(&self, axis: usize, position: usize) -> usize {
        let (Axis { input, window, stride, dilation, before, .. }, after) =
            (self.axes[axis], self.after[axis]);
        (before + input + after - position * stride).div_ceil(dilation).min(window)
    }

    /// The same pool over the first `images` of its images, for work in parts: over all where there are
    /// fewer, and over one at the least.
    pub fn first(mut self, images: usize) -> Geometry {
        self.batch = images.clamp(1, self.batch);
        self
    }

    /// `[N, H, W, C]`.
    pub fn input(&self) -> [usize; 4] {
        [self.batch, self.axes[0].input, self.axes[1].input, self.channels]
    }

    /// `[N, OH, OW, C]`.
    pub fn output(&self) -> [usize; 4] {
        [self.batch, self.axes[0].output, self.axes[1].output, self.channels]
    }

    /// Rows and columns of the input, from the first on, that the windows reach.
    pub fn seen(&self) -> [usize; 2] {
        [self.axes[0].seen_end(), self.axes[1].seen_end()]
    }

    /// The same pool over the part of the input that it [sees](Geometry::seen).
    pub fn cropped(mut self) -> Geometry {
        let [rows, columns] = self.seen();
        (self.axes[0].input, self.axes[1].input) = (rows, columns);
        self
    }

    /// As [`conv2d::Geometry::rows`](crate::conv2d::Geometry::rows). `None` too where padding counts, as a part does not know
    /// of all padding.
    pub fn rows(mut self, rows: Range<usize>) -> Option<(Geometry, Range<usize>)> {
        if matches!(self.divisor, Divisor::Padded) {
            return None;
        }
        let (axis, seen) = self.axes[0].part(rows)?;
        (self.batch, self.axes[0]) = (1, axis);
        Some((self, seen))
    }

    /// Whether windows overlap, so that a cell may get more than one output's gradient.
    pub(crate) fn overlaps(&self) -> bool {
        self.axes.iter().any(|axis| axis.stride < axis.extent())
    }

    /// Zeroes what no window sees of an array as large as the input; all of it, unless the windows
    /// lie side by side.
    pub(crate) fn clear_unseen(&self, d_input: &mut [f32]) {
        if self.axes.iter().all(|axis| axis.stride == axis.window && axis.dilation == 1) {
            clear_beyond(self.seen(), self.input(), d_input);
        } else {
            d_input.fill(0.0);
        }
    }
}

/// The part of one window along one axis that lies inside the input.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// The first cell that is inside, and where it reads.
    first: usize,
    input: usize,
    len: usize,
}

impl Axis {
    pub(crate) fn span(&self, position: usize) -> Span {
        let start = position * self.stride;
        // Small computers divide in many steps: only windows that are cut do.
        let outside = self.before.saturating_sub(start);
        let first = if outside == 0 { 0 } else { outside.div_ceil(self.dilation) };
        let input = start + first * self.dilation - self.before;
        let (cells, left) = (self.window - first, self.input - input);
        let len = if (cells - 1) * self.dilation < left { cells } else { left.div_ceil(self.dilation) };
        Span { first, input, len }
    }

    /// The same where all of the window is inside.
    fn whole(&self, position: usize) -> Span {
        Span { first: 0, input: position * self.stride - self.before, len: self.window }
    }

    /// The positions whose windows lie inside the input.
    fn inner(&self) -> Range<usize> {
        let start = self.before.div_ceil(self.stride);
        let end = (self.input + self.before).checked_sub(self.extent());
        start..end.map_or(0, |last| (last / self.stride + 1).min(self.output))
    }
}

/// The part of one window that lies inside the input, and some of its channels.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    /// The first cell's first channel, in the input, and where the output's is.
    input: usize,
    pub output: usize,
    /// The first cell's index in the window.
    first: usize,
    /// Rows and columns.
    pub len: [usize; 2],
    /// From one row to the next, in indices and in the input; from one column to the next there.
    width: usize,
    pub pitch: usize,
    pub step: usize,
    pub channels: usize,
}

impl Window {
    /// To the next window, so many columns further.
    #[inline(always)]
    pub fn advance(&mut self, stride: usize) {
        self.input += stride * self.channels;
        self.output += self.channels;
    }

    /// The index of a cell in the window, padding included.
    #[inline(always)]
    pub fn index(&self, row: usize, column: usize) -> usize {
        self.first + row * self.width + column
    }

    /// Where a cell lies in the input.
    #[inline(always)]
    pub fn cell(&self, row: usize, column: usize) -> usize {
        self.input + row * self.pitch + column * self.step
    }
}

/// What is done with some channels of each window.
pub(crate) trait Visitor {
    /// # Safety
    /// `V` vectors of channels, of the last one `last` elements, exist from the window's output on,
    /// and in the input from each of its cells on.
    unsafe fn visit<S: Simd, const V: usize>(&mut self, simd: S, window: Window, last: usize);

    /// Does so many windows, `stride` columns apart, with all their channels, if there is faster code for
    /// them.
    ///
    /// # Safety
    /// All channels of each window's output exist, and of each of its cells.
    #[inline(always)]
    unsafe fn visit_run<S: Simd>(&mut self, _: S, _window: Window, _count: usize, _stride: usize) -> bool {
        false
    }

    /// Comes before a run of windows, with the arguments of [`Geometry::divisor`] for all of them.
    #[inline(always)]
    fn begin(&mut self, _: &Geometry, _position: [usize; 2], _inside: [usize; 2]) {}

    /// How many windows of a row are visited before those below them.
    #[inline(always)]
    fn strip<S: Simd>(&self, _: S, geometry: &Geometry) -> usize {
        geometry.axes[1].output
    }
}

/// Elements of vector `v` of `V`.
#[inline(always)]
pub(crate) fn live<S: Simd, const V: usize>(v: usize, last: usize) -> usize {
    if v + 1 < V { S::LANES } else { last }
}

/// Visits every window, image by image, strip by strip, row by row.
pub(crate) struct Sweep<'a, V> {
    pub geometry: &'a Geometry,
    pub visitor: V,
}

impl<V: Visitor> Operation for Sweep<'_, V> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Geometry { batch, channels, axes: [vertical, horizontal], .. } = *self.geometry;
        let (width, row_len) = (horizontal.window, horizontal.input * channels);
        let (pitch, step) = (vertical.dilation * row_len, horizontal.dilation * channels);
        let inner = horizontal.inner();
        let strip = self.visitor.strip(simd, self.geometry);
        for image in 0..batch {
            let mut left = 0;
            while left < horizontal.output {
                let right = horizontal.output.min(left + strip);
                for y in 0..vertical.output {
                    let rows = vertical.span(y);
                    let row = (image * vertical.input + rows.input) * row_len;
                    let row_of_output = (image * vertical.output + y) * horizontal.output;
                    let mut x = left;
                    while x < right {
                        let (columns, count) = if inner.contains(&x) {
                            (horizontal.whole(x), inner.end.min(right) - x)
                        } else {
                            (horizontal.span(x), 1)
                        };
                        let input = row + columns.input * channels;
                        let output = (row_of_output + x) * channels;
                        let first = rows.first * width + columns.first;
                        let len = [rows.len, columns.len];
                        self.visitor.begin(self.geometry, [y, x], len);
                        let window = Window { input, output, first, len, width, pitch, step, channels };
                        // SAFETY: the spans lie inside the input, each window has its output, and the
                        // lengths were checked.
                        unsafe { self.windows(simd, window, count, horizontal.stride) };
                        x += count;
                    }
                }
                left = right;
            }
        }
    }
}

impl<V: Visitor> Sweep<'_, V> {
    /// One copy of the code for all who call it.
    #[inline(never)]
    pub fn run_on(self, isa: Isa) {
        isa.run(self);
    }

    /// So many windows, `stride` columns apart.
    ///
    /// # Safety
    /// All channels of each window's output exist, and of each of its cells.
    #[inline(always)]
    unsafe fn windows<S: Simd>(&mut self, simd: S, window: Window, count: usize, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.visitor.visit_run(simd, window, count, stride) {
                return;
            }
            // The same thrice, so that the usual windows are unrolled. On a scalar FPU the flash is worth
            // more, and beside a computer with vectors of four are small ones.
            match window.len {
                [2, 2] if S::LANES > 1 => {
                    self.one_by_one(simd, Window { len: [2, 2], ..window }, count, stride);
                }
                [3, 3] if S::LANES > 1 && S::MASKS => {
                    self.one_by_one(simd, Window { len: [3, 3], ..window }, count, stride);
                }
                _ => self.one_by_one(simd, window, count, stride),
            }
        }
    }

    /// # Safety
    /// As [`windows`](Self::windows).
    #[inline(always)]
    unsafe fn one_by_one<S: Simd>(&mut self, simd: S, mut window: Window, count: usize, stride: usize) {
        for _ in 0..count {
            // SAFETY: the caller's promise.
            unsafe { self.vectors(simd, window) };
            window.advance(stride);
        }
    }

    /// # Safety
    /// All channels of the window's output exist, and of each of its cells.
    #[inline(always)]
    unsafe fn vectors<S: Simd>(&mut self, simd: S, window: Window) {
        let mut from = window;
        let mut rest = window.channels;
        // SAFETY: the caller's promise; `rest` channels are left.
        unsafe {
            // A scalar FPU gains nothing, and code that is optimised for size keeps an array in memory.
            while S::LANES > 1 && rest >= 2 * S::LANES {
                self.visitor.visit::<S, 2>(simd, from, S::LANES);
                from.input += 2 * S::LANES;
                from.output += 2 * S::LANES;
                rest -= 2 * S::LANES;
            }
            // Where part of a vector takes several instructions, there is one copy of them.
            while S::MASKS && rest >= S::LANES {
                self.visitor.visit::<S, 1>(simd, from, S::LANES);
                from.input += S::LANES;
                from.output += S::LANES;
                rest -= S::LANES;
            }
            while rest > 0 {
                let n = rest.min(S::LANES);
                self.visitor.visit::<S, 1>(simd, from, n);
                from.input += n;
                from.output += n;
                rest -= n;
            }
        }
    }
}
