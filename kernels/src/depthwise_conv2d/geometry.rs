use crate::conv2d::Padding;
use crate::conv2d::geometry::Axis;
use crate::error::{check_arrays, check_sizes};
use crate::{Error, Isa};
use core::ops::Range;

/// The checked shape of a depthwise convolution: every array that it names can exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    pub(super) batch: usize,
    channels: usize,
    pub(super) multiplier: usize,
    /// Vertical, horizontal.
    pub(crate) axes: [Axis; 2],
}

impl Geometry {
    /// `input` is `[N, H, W, C]`, `kernel` is `[KH, KW]`, `multiplier` is `M`, `stride` is
    /// `[vertical, horizontal]`.
    ///
    /// # Errors
    /// A size is zero, the kernel exceeds the padded input, or an array, be it the padded input, would not fit
    /// memory.
    ///
    /// ```
    /// use bantam_kernels::{conv2d::Padding, depthwise_conv2d::Geometry};
    /// let g = Geometry::new([1, 112, 112, 32], [3, 3], 2, [2, 2], Padding::Same)?;
    /// assert_eq!(g.output(), [1, 56, 56, 64]);
    /// assert_eq!(g.weights(), [3, 3, 32, 2]);
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn new(
        input: [usize; 4],
        kernel: [usize; 2],
        multiplier: usize,
        stride: [usize; 2],
        padding: Padding,
    ) -> Result<Geometry, Error> {
        Geometry::with_dilation(input, kernel, multiplier, stride, padding, [1, 1])
    }

    /// As [`new`](Geometry::new), with `dilation` pixels from one tap to the next, `[vertical, horizontal]`.
    ///
    /// # Errors
    /// As [`new`](Geometry::new).
    pub fn with_dilation(
        input: [usize; 4],
        kernel: [usize; 2],
        multiplier: usize,
        stride: [usize; 2],
        padding: Padding,
        dilation: [usize; 2],
    ) -> Result<Geometry, Error> {
        let [batch, height, width, channels] = input;
        check_sizes(&["batch", "channels", "multiplier"], [batch, channels, multiplier])?;
        let axes = Axis::dilated_pair([height, width], kernel, stride, padding, dilation)?;
        let [rows, columns] = axes;
        let geometry = Geometry { batch, channels, multiplier, axes };
        check_arrays(
            &["input", "output", "weights", "padded input"],
            [
                &geometry.input(),
                &[batch, rows.output, columns.output, channels, multiplier],
                &geometry.weights(),
                &[rows.padded(), columns.padded(), channels, multiplier],
            ],
        )?;
        Ok(geometry)
    }

    /// The same convolution over the first `images` of its images, for work in parts: over all where there are
    /// fewer, and over one at the least.
    pub fn first(mut self, images: usize) -> Geometry {
        self.batch = images.clamp(1, self.batch);
        self
    }

    /// The same convolution for some rows of the output of one image, and the rows of the input that they see, as
    /// [`conv2d::Geometry::rows`](crate::conv2d::Geometry::rows). `None` if they see padding alone, or are not rows of the
    /// output.
    pub fn rows(mut self, rows: Range<usize>) -> Option<(Geometry, Range<usize>)> {
        let (axis, seen) = self.axes[0].part(rows)?;
        (self.batch, self.axes[0]) = (1, axis);
        Some((self, seen))
    }

    /// `[N, H, W, C]`.
    pub fn input(&self) -> [usize; 4] {
        [self.batch, self.axes[0].input, self.axes[1].input, self.channels]
    }

    /// `[KH, KW, C, M]`.
    pub fn weights(&self) -> [usize; 4] {
        [self.axes[0].window, self.axes[1].window, self.channels, self.multiplier]
    }

    /// `[N, OH, OW, C * M]`.
    pub fn output(&self) -> [usize; 4] {
        [self.batch, self.axes[0].output, self.axes[1].output, self.channels * self.multiplier]
    }

    /// Multiply-adds of one pass. Those with padding are not made and not counted.
    pub fn multiply_adds(&self) -> u64 {
        let [rows, columns] = self.axes.map(|axis| axis.taps_inside());
        let positions_and_taps = (self.batch as u64).saturating_mul(rows).saturating_mul(columns);
        positions_and_taps.saturating_mul(self.output()[3] as u64)
    }

    /// `isa`, unless the channels of input and output do not lie in step.
    pub(super) fn isa(&self, isa: Isa) -> Isa {
        if self.multiplier == 1 { isa } else { Isa::SCALAR }
    }
}
