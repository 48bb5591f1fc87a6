use crate::Error;
use crate::error::{check_arrays, check_sizes};
use core::ops::Range;

/// How far the window reaches past the input's edges. Padded places count as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Not at all.
    #[default]
    Valid,
    /// As far as makes the output `ceil(input / stride)`; the odd pixel goes to the bottom and
    /// right, as in TensorFlow and Keras.
    Same,
    /// So many pixels on each side.
    Explicit {
        /// Rows above the first.
        top: usize,
        /// Rows below the last.
        bottom: usize,
        /// Columns before the first.
        left: usize,
        /// Columns after the last.
        right: usize,
    },
}

/// What holds weights: a cache, or the memory behind all caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Memory {
    SecondLevel,
    Shared,
    Main,
}

impl Memory {
    /// What holds so many.
    pub const fn of(weights: usize) -> Memory {
        // NEON's cores are often small ones, with a second-level cache of half a megabyte.
        const SECOND_LEVEL: usize = if cfg!(target_arch = "aarch64") { 384 << 10 } else { 768 << 10 };
        const SHARED: usize = 16 << 20;
        let bytes = weights.saturating_mul(size_of::<f32>());
        if bytes <= SECOND_LEVEL {
            Memory::SecondLevel
        } else if bytes <= SHARED {
            Memory::Shared
        } else {
            Memory::Main
        }
    }
}

/// One spatial axis of a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Axis {
    pub input: usize,
    pub window: usize,
    pub stride: usize,
    /// From one tap to the next.
    pub dilation: usize,
    /// Padding before the first element.
    pub before: usize,
    pub output: usize,
}

impl Axis {
    /// `pad` is the padding before and after, or `None` for "same".
    pub fn new(
        input: usize,
        window: usize,
        stride: usize,
        dilation: usize,
        pad: Option<(usize, usize)>,
    ) -> Result<Axis, Error> {
        let names = &["input extent", "window", "stride", "dilation"];
        check_sizes(names, [input, window, stride, dilation])?;
        // One tap has no next one.
        let dilation = if window == 1 { 1 } else { dilation };
        let extent = (window - 1).checked_mul(dilation).and_then(|span| span.checked_add(1));
        let extent = extent.ok_or(Error::TooLarge { what: "window" })?;
        let fits = |extent: Option<usize>| {
            let extent = extent.filter(|&extent| extent <= isize::MAX as usize);
            extent.ok_or(Error::TooLarge { what: "padded input" })
        };
        let (before, output) = match pad {
            None => {
                let output = input.div_ceil(stride);
                // The product is below `input`.
                let reach = fits(((output - 1) * stride).checked_add(extent))?;
                (reach.saturating_sub(input) / 2, output)
            }
            Some((before, after)) => {
                let padded = fits(input.checked_add(before).and_then(|sum| sum.checked_add(after)))?;
                if extent > padded {
                    return Err(Error::WindowExceedsInput { window: extent, padded });
                }
                (before, (padded - extent) / stride + 1)
            }
        };
        let mut axis = Axis { input, window, stride, dilation, before, output };
        // A longer stride would lead past the end as well.
        axis.stride = stride.min(axis.padded());
        Ok(axis)
    }

    /// Adds a last position whose window reaches past so much padding behind the input, if it begins before that
    /// padding.
    pub fn round_up(&mut self, after: usize) {
        let padded = self.before + self.input + after;
        let next = self.output * self.stride;
        if next < self.before + self.input && next - self.stride + self.extent() < padded {
            self.output += 1;
        }
    }

    /// Elements from the first tap to the last.
    pub fn extent(&self) -> usize {
        (self.window - 1) * self.dilation + 1
    }

    /// Elements from the first window's first tap to the last window's last.
    pub fn reach(&self) -> usize {
        (self.output - 1) * self.stride + self.extent()
    }

    /// Elements of the input and of its padding, as far as windows see it. Strides and dilations are no
    /// longer: where an array of that extent fits memory no offset in it overflows.
    pub fn padded(&self) -> usize {
        self.reach().max(self.before + self.input)
    }

    /// The input elements before this one are all that the windows see.
    #[inline(never)] // One copy for rows and columns.
    pub fn seen_end(&self) -> usize {
        self.reach().saturating_sub(self.before).min(self.input)
    }

    /// The same axis for some positions, and the part of the input that they see; `None` if they see
    /// nothing, or there are none.
    pub fn part(&self, positions: Range<usize>) -> Option<(Axis, Range<usize>)> {
        if positions.is_empty() || positions.end > self.output {
            return None;
        }
        let last = (positions.end - 1) * self.stride;
        let first = positions.start * self.stride;
        let end = last + self.extent();
        if first >= self.before + self.input || end <= self.before {
            return None;
        }
        let seen = first.saturating_sub(self.before)..(end - self.before).min(self.input);
        let before = self.before.saturating_sub(first);
        Some((Axis { input: seen.len(), before, output: positions.len(), ..*self }, seen))
    }

    /// The two axes of an image, `[height, width]`, with so many pixels from one tap to the next.
    pub fn dilated_pair(
        input: [usize; 2],
        window: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
        dilation: [usize; 2],
    ) -> Result<[Axis; 2], Error> {
        let [vertical, horizontal] = match padding {
            Padding::Valid => [Some((0, 0)); 2],
            Padding::Same => [None; 2],
            Padding::Explicit { top, bottom, left, right } => [Some((top, bottom)), Some((left, right))],
        };
        Ok([
            Axis::new(input[0], window[0], stride[0], dilation[0], vertical)?,
            Axis::new(input[1], window[1], stride[1], dilation[1], horizontal)?,
        ])
    }
}

/// The checked shape of a convolution: every array that it names can exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    pub(crate) batch: usize,
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    pub(crate) groups: usize,
    /// Vertical, horizontal.
    pub(crate) axes: [Axis; 2],
    pub(super) direct_only: bool,
    /// Where its weights are at least when it begins.
    pub(super) weights_in: Memory,
}

impl Geometry {
    /// `input` is `[N, H, W, Cin]`, `kernel` is `[KH, KW]`, `stride` is `[vertical, horizontal]`.
    ///
    /// # Errors
    /// A size is zero, the kernel exceeds the padded input, or an array, be it the padded input, would not fit
    /// memory.
    ///
    /// ```
    /// use bantam_kernels::conv2d::{Geometry, Padding};
    /// let g = Geometry::new([1, 28, 28, 1], [3, 3], 32, [1, 1], Padding::Valid)?;
    /// assert_eq!(g.output(), [1, 26, 26, 32]);
    /// assert_eq!(g.weights(), [3, 3, 1, 32]);
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn new(
        input: [usize; 4],
        kernel: [usize; 2],
        channels_out: usize,
        stride: [usize; 2],
        padding: Padding,
    ) -> Result<Geometry, Error> {
        Geometry::with_groups(input, kernel, channels_out, stride, padding, [1, 1], 1)
    }

    /// As [`new`](Geometry::new), with `dilation` pixels from one tap to the next, `[vertical,
    /// horizontal]`, and with input and output channels parted into `groups` that see nothing of
    /// each other; `channels_out` is that of all groups together. Weights are `[KH, KW, Cin / groups,
    /// Cout]`.
    ///
    /// # Errors
    /// As [`new`](Geometry::new), or the channels cannot be parted into so many groups.
    ///
    /// ```
    /// use bantam_kernels::conv2d::{Geometry, Padding};
    /// let g = Geometry::with_groups([1, 28, 28, 8], [3, 3], 16, [1, 1], Padding::Valid, [2, 2], 4)?;
    /// assert_eq!((g.output(), g.weights()), ([1, 24, 24, 16], [3, 3, 2, 16]));
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn with_groups(
        input: [usize; 4],
        kernel: [usize; 2],
        channels_out: usize,
        stride: [usize; 2],
        padding: Padding,
        dilation: [usize; 2],
        groups: usize,
    ) -> Result<Geometry, Error> {
        let [batch, height, width, channels_in] = input;
        let names = &["batch", "input channels", "output channels", "groups"];
        check_sizes(names, [batch, channels_in, channels_out, groups])?;
        for channels in [channels_in, channels_out] {
            if !channels.is_multiple_of(groups) {
                return Err(Error::Groups { groups, channels });
            }
        }
        let geometry = Geometry {
            batch,
            channels_in,
            channels_out,
            groups,
            axes: Axis::dilated_pair([height, width], kernel, stride, padding, dilation)?,
            direct_only: false,
            weights_in: Memory::SecondLevel,
        };
        let ([kh, kw, ..], [cin, cout]) = (geometry.weights(), geometry.group());
        let [rows, columns] = &geometry.axes;
        check_arrays(
            &["input", "output", "weights", "padded input"],
            [
                &geometry.input(),
                &geometry.output(),
                // Packed weights round a side up to whole vectors; 16 lanes are the widest there are.
                &[groups, kh, kw, cin.max(16), 2, cout.max(16), 2],
                // The gradient to the input takes steps as long over the channels of the output.
                &[rows.padded(), columns.padded(), channels_in.max(channels_out)],
            ],
        )?;
        Ok(geometry)
    }

    /// A dense layer, `[N, In]` to `[N, Out]`, as the convolution of `N` images of one pixel. Its
    /// weights are `[In, Out]`.
    ///
    /// # Errors
    /// A size is zero or an array would not fit memory.
    #[inline(never)] // Whoever has a dense layer asks twice.
    pub fn dense(batch: usize, inputs: usize, outputs: usize) -> Result<Geometry, Error> {
        Geometry::new([batch, 1, 1, inputs], [1, 1], outputs, [1, 1], Padding::Valid)
    }

    /// Whether it is a [dense](Self::dense) layer's.
    pub(super) fn is_dense(&self) -> bool {
        let is_one = |axis: &Axis| [axis.input, axis.output, axis.window, axis.before] == [1, 1, 1, 0];
        self.axes.iter().all(is_one) && self.groups == 1
    }

    /// The same convolution, for which [`Algorithm::choose`](super::Algorithm::choose), and its siblings for the
    /// gradients, always select direct computation: every product of the definition, at the rounding errors of a plain
    /// sum and up to the largest numbers. [`Winograd::error_bound`](super::winograd::Winograd::error_bound) tells the
    /// difference.
    pub fn direct_only(mut self) -> Geometry {
        self.direct_only = true;
        self
    }

    /// The same convolution as a layer of a net that has so many weights in all, which pass through the caches between
    /// two runs of it: where they are many, an algorithm with few weights is [chosen](super::Algorithm::choose) sooner.
    pub fn in_net_of(mut self, weights: usize) -> Geometry {
        self.weights_in = Memory::of(weights);
        self
    }

    /// The same convolution over the first `images` of its images, for work in parts: over all where there are
    /// fewer, and over one at the least.
    pub fn first(mut self, images: usize) -> Geometry {
        self.batch = images.clamp(1, self.batch);
        self
    }

    /// The same convolution without the outputs from row `height` and column `width` on: those that
    /// a following pool drops are neither computed nor differentiated. One row and one column stay at the least.
    pub fn cropped(mut self, [height, width]: [usize; 2]) -> Geometry {
        let [rows, columns] = &mut self.axes;
        rows.output = height.clamp(1, rows.output);
        columns.output = width.clamp(1, columns.output);
        self
    }

    /// The same convolution for some rows of the output of one image, and the rows of the input that
    /// they see, for work in parts: the bits are those of the whole. `None` if they see
    /// padding alone, or are not rows of the output.
    ///
    /// ```
    /// use bantam_kernels::conv2d::{Geometry, Padding};
    /// let g = Geometry::new([1, 8, 8, 3], [3, 3], 16, [1, 1], Padding::Same)?;
    /// let (lower, seen) = g.rows(4..8).unwrap();
    /// assert_eq!((lower.output(), seen), ([1, 4, 8, 16], 3..8));
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn rows(mut self, rows: Range<usize>) -> Option<(Geometry, Range<usize>)> {
        let (axis, seen) = self.axes[0].part(rows)?;
        (self.batch, self.axes[0]) = (1, axis);
        Some((self, seen))
    }

    /// `[N, H, W, Cin]`.
    pub fn input(&self) -> [usize; 4] {
        [self.batch, self.axes[0].input, self.axes[1].input, self.channels_in]
    }

    /// `[KH, KW, Cin / groups, Cout]`.
    pub fn weights(&self) -> [usize; 4] {
        [self.axes[0].window, self.axes[1].window, self.channels_in / self.groups, self.channels_out]
    }

    /// Input and output channels of a group.
    pub(crate) fn group(&self) -> [usize; 2] {
        [self.channels_in / self.groups, self.channels_out / self.groups]
    }

    /// Whether each row of a window is one run of numbers: the taps lie beside each other, and a pixel
    /// has no channels of other groups.
    pub(super) fn has_runs(&self) -> bool {
        self.groups == 1 && self.axes[1].dilation == 1
    }

    /// `[N, OH, OW, Cout]`.
    pub fn output(&self) -> [usize; 4] {
        [self.batch, self.axes[0].output, self.axes[1].output, self.channels_out]
    }

    /// Multiply-adds of one pass. Those with padding are not made and not counted.
    pub fn multiply_adds(&self) -> u64 {
        let [_, _, channels, features] = self.weights();
        self.positions_and_taps_times([channels, features])
    }

    /// How often a tap lies inside the input, over all positions of all images.
    pub(super) fn positions_and_taps(&self) -> u64 {
        self.positions_and_taps_times([1, 1])
    }

    fn positions_and_taps_times(&self, [channels, features]: [usize; 2]) -> u64 {
        let [rows, columns] = &self.axes;
        let inside = [rows.taps_inside(), columns.taps_inside()];
        let factors = [self.batch as u64, inside[0], inside[1], channels as u64, features as u64];
        factors.into_iter().fold(1, u64::saturating_mul)
    }
}

/// Elements from one pixel to the next, in the map that is read and in the one that is written: as many as the
/// channels, or more where these are some of a wider map's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pitches {
    pub read: usize,
    pub write: usize,
}

impl Pitches {
    /// Those of a forward pass whose pixels lie right beside each other.
    pub fn of(geometry: &Geometry) -> Pitches {
        Pitches { read: geometry.channels_in, write: geometry.channels_out }
    }
}

/// Elements from the first channel of the first pixel of `[N, H, W, C]` to the last of the last.
pub(super) fn span([images, rows, columns, channels]: [usize; 4], pitch: usize) -> usize {
    images * rows * columns * pitch - (pitch - channels)
}

/// Zeroes all of `[N, H, W, C]` from row `height` and from column `width` on.
pub(crate) fn clear_beyond([height, width]: [usize; 2], shape: [usize; 4], array: &mut [f32]) {
    let [_, rows, columns, channels] = shape;
    for image in array.chunks_exact_mut(rows * columns * channels) {
        let (kept, rest) = image.split_at_mut(height * columns * channels);
        rest.fill(0.0);
        if width < columns {
            for row in kept.chunks_exact_mut(columns * channels) {
                row[width * channels..].fill(0.0);
            }
        }
    }
}
