//! Where a window reads and writes.
//!
//! Positions whose windows are cut by the same edges form a rectangle. Inside one, a cut window
//! is just a smaller window, so edges need neither padded copies nor tests in the inner loops.
//! Likewise, a tap is inside the input at a rectangle of positions.

use super::geometry::Axis;
use crate::simd::Simd;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr;

/// What comes first, and lasts longest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// All taps of a position before the next position.
    Positions,
    /// All positions of a tap before the next tap.
    Taps,
    /// As `Taps`, for runs of taps that are seen at the same positions.
    TapGroups,
    /// All positions and no taps.
    NoTaps,
}

/// A window's positions along one axis.
#[derive(Clone, Copy)]
pub(crate) struct Sweep {
    /// Extent of the array that is read.
    pub read: usize,
    pub taps: usize,
    /// From one position to the next in the array that is read, and from one tap to the next.
    pub stride: usize,
    pub dilation: usize,
    /// Where tap 0 of position 0 lies; it may lie outside the array.
    pub origin: isize,
    pub positions: usize,
    /// Extent of the array that is written.
    pub written: usize,
    /// Where position 0 is written.
    pub first: usize,
    /// From one position to the next in the array that is written.
    pub step: usize,
}

impl Sweep {
    /// The sweeps of a forward convolution, vertical and horizontal.
    pub fn forward([rows, columns]: &[Axis; 2]) -> [Sweep; 2] {
        [rows, columns].map(Sweep::along)
    }

    /// That of a forward convolution along one axis.
    pub fn along(axis: &Axis) -> Sweep {
        Sweep {
            read: axis.input,
            taps: axis.window,
            stride: axis.stride,
            dilation: axis.dilation,
            origin: -axis.before.cast_signed(),
            positions: axis.output,
            written: axis.output,
            first: 0,
            step: 1,
        }
    }

    /// A window of one tap over so many elements.
    pub fn points(count: usize) -> Sweep {
        let (read, positions, written) = (count, count, count);
        Sweep { read, taps: 1, stride: 1, dilation: 1, origin: 0, positions, written, first: 0, step: 1 }
    }

    /// Whether an edge cuts the window somewhere.
    pub fn is_cut(&self) -> bool {
        !self.always_sees(self.taps)
    }

    /// Whether every window sees so many taps.
    pub fn always_sees(&self, taps: usize) -> bool {
        self.taps_inside(0).len() >= taps && self.taps_inside(self.positions - 1).len() >= taps
    }

    /// All positions and all taps, be they inside or not.
    pub fn whole(&self) -> Segment {
        Segment { start: 0, len: self.positions, taps: 0..self.taps }
    }

    /// Where the window at `position` starts, and what is inside of so many elements from there on.
    pub fn inside(&self, position: usize, len: usize) -> (isize, Range<usize>) {
        let start = self.origin + (position * self.stride).cast_signed();
        let up_to = |edge: isize| edge.clamp(0, len.cast_signed()).cast_unsigned();
        (start, up_to(-start)..up_to(self.read.cast_signed() - start))
    }

    /// All positions and no taps.
    pub fn unseeing(&self) -> Segment {
        Segment { start: 0, len: self.positions, taps: 0..0 }
    }

    /// Every tap at every position at which it is inside, once; or none of them.
    pub fn rectangles(&self, order: Order) -> Rectangles<'_> {
        Rectangles { sweep: self, order, start: 0 }
    }

    /// The positions from this one on that see the same taps.
    fn segment(&self, start: usize) -> Option<Segment> {
        if start == self.positions {
            return None;
        }
        let taps = self.taps_inside(start);
        let mut end = start + 1;
        if taps.len() == self.taps && self.taps > 0 {
            // Up to where the last tap leaves the array.
            end = self.positions_inside(self.taps - 1).end;
        } else {
            while end < self.positions && self.taps_inside(end) == taps {
                end += 1;
            }
        }
        Some(Segment { start, len: end - start, taps })
    }

    /// Up to `most` taps from this one on that are seen at the same positions. One that is seen nowhere is left out.
    fn tap_group(&self, mut start: usize, most: usize) -> Option<Segment> {
        while start < self.taps && self.positions_inside(start).is_empty() {
            start += 1;
        }
        if start == self.taps {
            return None;
        }
        let positions = self.positions_inside(start);
        let mut end = start + 1;
        while end < self.taps.min(start + most) && self.positions_inside(end) == positions {
            end += 1;
        }
        Some(Segment { start: positions.start, len: positions.len(), taps: start..end })
    }

    fn taps_inside(&self, position: usize) -> Range<usize> {
        let tap0 = self.origin + (position * self.stride).cast_signed();
        // The first tap that is at least at `edge`.
        let reaching =
            |edge: isize| (edge - tap0).max(0).cast_unsigned().div_ceil(self.dilation).min(self.taps);
        let start = reaching(0);
        start..reaching(self.read.cast_signed()).max(start)
    }

    /// Positions at which `tap` lies inside the array that is read.
    pub fn positions_inside(&self, tap: usize) -> Range<usize> {
        let tap = self.origin + (tap * self.dilation).cast_signed();
        // The first position at which the tap is at least at `edge`.
        let reaching =
            |edge: isize| (edge - tap).max(0).cast_unsigned().div_ceil(self.stride).min(self.positions);
        reaching(0)..reaching(self.read.cast_signed())
    }
}

impl Axis {
    /// How often a tap lies inside the input, over all positions: tap by tap, as there may be far more
    /// positions than numbers in memory, but not more taps.
    #[inline(never)] // One copy for rows and columns.
    pub fn taps_inside(&self) -> u64 {
        // Sessions ask in each run.
        if self.before == 0 && self.reach() <= self.input {
            return (self.output as u64).saturating_mul(self.window as u64);
        }
        let sweep = Sweep::along(self);
        let inside = |tap| sweep.positions_inside(tap).len() as u64;
        (0..self.window).map(inside).fold(0, u64::saturating_add)
    }
}

/// What [`Sweep::rectangles`] gives, first to last.
pub(crate) struct Rectangles<'a> {
    sweep: &'a Sweep,
    order: Order,
    /// The position or tap that is next.
    start: usize,
}

impl Iterator for Rectangles<'_> {
    type Item = Segment;

    // One copy for rows and columns, but where sixteen registers are all that there are: a call among them makes a loop spill.
    #[cfg_attr(not(target_arch = "x86_64"), inline(never))]
    #[cfg_attr(target_arch = "x86_64", inline)]
    fn next(&mut self) -> Option<Segment> {
        let Rectangles { sweep, order, start } = *self;
        let segment = match order {
            Order::Positions => sweep.segment(start)?,
            Order::Taps => sweep.tap_group(start, 1)?,
            Order::TapGroups => sweep.tap_group(start, sweep.taps)?,
            Order::NoTaps if start == 0 => sweep.unseeing(),
            Order::NoTaps => return None,
        };
        self.start = match order {
            Order::Positions | Order::NoTaps => segment.start + segment.len,
            Order::Taps | Order::TapGroups => segment.taps.end,
        };
        Some(segment)
    }
}

/// The taps `first, first + step, …` of one axis.
#[derive(Clone, Copy)]
pub(crate) struct Taps {
    first: usize,
    /// No longer than the window.
    pub step: usize,
    pub count: usize,
}

impl Taps {
    /// Those that see the input at `pixel`.
    fn seeing(axis: Axis, pixel: usize) -> Taps {
        let first = first_tap(axis.dilation, axis.stride, (pixel + axis.before) % axis.stride);
        let step = (axis.stride / common_divisor(axis.stride, axis.dilation)).min(axis.window);
        match first.filter(|&first| first < axis.window) {
            Some(first) => Taps { first, step, count: (axis.window - first).div_ceil(step) },
            None => Taps { first: 0, step, count: 0 },
        }
    }

    /// The tap at `index` from the last.
    pub fn flipped(&self, index: usize) -> usize {
        self.first + (self.count - 1 - index) * self.step
    }
}

/// The first tap whose distance from tap 0 leaves `rest` when it is divided by the stride; `None` if
/// there is none, or not before distances that do not fit.
fn first_tap(dilation: usize, stride: usize, rest: usize) -> Option<usize> {
    if rest == 0 {
        return Some(0);
    }
    if dilation == 0 {
        return None;
    }
    // The distance is some strides and the rest. How many, the same question tells: what they leave when
    // they are divided by the dilation has to make up for the rest.
    let missing = (dilation - rest % dilation) % dilation;
    let strides = first_tap(stride % dilation, dilation, missing)?;
    Some(strides.checked_mul(stride)?.checked_add(rest)? / dilation)
}

/// The greatest, by Euclid.
fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Input pixels that see the same taps of a strided convolution.
pub(crate) struct Residue {
    /// Of the first such pixel, vertical and horizontal.
    pixel: [usize; 2],
    pub taps: [Taps; 2],
}

impl Residue {
    /// Every residue that has pixels. Taps of a residue without pixels touch nothing but padding.
    pub fn all([rows, columns]: [Axis; 2]) -> impl Iterator<Item = Residue> {
        let residues = |axis: Axis| {
            (0..axis.stride.min(axis.input)).map(move |pixel| (pixel, Taps::seeing(axis, pixel)))
        };
        residues(rows).flat_map(move |(y, vertical)| {
            residues(columns)
                .map(move |(x, horizontal)| Residue { pixel: [y, x], taps: [vertical, horizontal] })
        })
    }

    /// The sweeps over the output's gradient that give the gradient of these pixels. What a stride and a
    /// dilation have in common is not there in the output.
    pub fn sweeps(&self, axes: [Axis; 2]) -> [Sweep; 2] {
        [0, 1].map(|i| {
            let (axis, taps, pixel) = (axes[i], self.taps[i], self.pixel[i]);
            let dilation = axis.dilation / common_divisor(axis.stride, axis.dilation);
            // Of the outputs that see the first pixel the last, by the first of the taps.
            let last = ((pixel + axis.before).cast_signed() - (taps.first * axis.dilation).cast_signed())
                .div_euclid(axis.stride.cast_signed());
            Sweep {
                read: axis.output,
                taps: taps.count,
                stride: 1,
                dilation,
                origin: last - (taps.count.saturating_sub(1) * dilation).cast_signed(),
                positions: (axis.input - pixel).div_ceil(axis.stride),
                written: axis.input,
                first: pixel,
                step: axis.stride,
            }
        })
    }
}

/// Positions `start..start + len`, which all see the taps `taps` and no others.
#[derive(Clone)]
pub(crate) struct Segment {
    pub start: usize,
    pub len: usize,
    pub taps: Range<usize>,
}

/// Where one position reads its first visible tap and writes its result, in elements.
#[derive(Clone, Copy, Default)]
// Code that is written by hand takes it for two numbers in this order.
#[repr(C)]
pub(crate) struct Offsets {
    pub read: usize,
    pub write: usize,
}

/// The positions of a rectangle in every image, in order.
pub(crate) struct Positions {
    /// At `[image, row, column]`, next to be given.
    at: [usize; 3],
    end: [usize; 3],
    next: Offsets,
    /// From one column, row, image to the next.
    strides: [Offsets; 3],
    start: Offsets,
}

impl Positions {
    /// `read_channels` and `write_channels` are the elements of a pixel on either side.
    pub fn new(
        batch: usize,
        sweeps: &[Sweep; 2],
        rectangle: [&Segment; 2],
        read_channels: usize,
        write_channels: usize,
    ) -> Positions {
        let [rows, columns] = sweeps;
        let (read_row, write_row) = (columns.read * read_channels, columns.written * write_channels);
        let image = Offsets { read: rows.read * read_row, write: rows.written * write_row };
        let row = Offsets { read: rows.stride * read_row, write: rows.step * write_row };
        let column = Offsets { read: columns.stride * read_channels, write: columns.step * write_channels };

        let [vertical, horizontal] = rectangle;
        let sees_nothing = vertical.taps.is_empty() || horizontal.taps.is_empty();
        let read = |sweep: &Sweep, segment: &Segment| {
            let steps = segment.start * sweep.stride + segment.taps.start * sweep.dilation;
            let first = sweep.origin + steps.cast_signed();
            first.cast_unsigned()
        };
        let write = |sweep: &Sweep, segment: &Segment| sweep.first + segment.start * sweep.step;
        let start = Offsets {
            read: if sees_nothing {
                0
            } else {
                read(rows, vertical) * read_row + read(columns, horizontal) * read_channels
            },
            write: write(rows, vertical) * write_row + write(columns, horizontal) * write_channels,
        };
        let mut strides = [image, row, column];
        if sees_nothing {
            strides.iter_mut().for_each(|stride| stride.read = 0);
        }
        Positions { at: [0; 3], end: [batch, vertical.len, horizontal.len], next: start, strides, start }
    }

    /// How many there are in all.
    pub fn count(&self) -> usize {
        self.end.iter().product()
    }

    /// Puts the next positions into `list`, as many as it has room for or are left.
    pub fn fill<'l>(&mut self, list: &'l mut [MaybeUninit<Offsets>]) -> &'l [Offsets] {
        let mut filled = 0;
        while filled < list.len() && self.at[0] < self.end[0] {
            let run = (self.end[2] - self.at[2]).min(list.len() - filled);
            for slot in &mut list[filled..filled + run] {
                slot.write(self.next);
                self.next.read += self.strides[2].read;
                self.next.write += self.strides[2].write;
            }
            filled += run;
            self.at[2] += run;
            if self.at[2] == self.end[2] {
                self.at[2] = 0;
                self.at[1] += 1;
                if self.at[1] == self.end[1] {
                    self.at[1] = 0;
                    self.at[0] += 1;
                }
                let [image, row, _] = self.strides;
                self.next = Offsets {
                    read: self.start.read + self.at[0] * image.read + self.at[1] * row.read,
                    write: self.start.write + self.at[0] * image.write + self.at[1] * row.write,
                };
            }
        }
        // SAFETY: so many were written above.
        unsafe { &*(ptr::from_ref(&list[..filled]) as *const [Offsets]) }
    }
}

/// `total` in the fewest parts of at most `largest`, as even as can be: 9 by 8 is 5 and 4.
pub(crate) fn split(total: usize, largest: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let parts = total.div_ceil(largest);
    (0..parts).map(move |part| {
        let (even, longer) = (total / parts, total % parts);
        let start = part * even + part.min(longer);
        start..start + even + usize::from(part < longer)
    })
}

/// The vectors of each panel that packed weights are parted into.
#[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
pub(crate) fn panels<S: Simd>(vectors: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    split(vectors, S::TILE.vectors())
}

/// The features of each panel that weights are parted into: as wide as may be, since narrow tiles are
/// slower.
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
pub(crate) fn panels<S: Simd>(features: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let [eight, four, _] = crate::simd::vfp::WIDTHS;
    let eights = features / eight;
    let fours = features % eight / four;
    let (after_eights, after_fours) = (eights * eight, eights * eight + fours * four);
    (0..eights + fours + features % four).map(move |panel| match panel.checked_sub(eights) {
        None => panel * eight..(panel + 1) * eight,
        Some(panel) if panel < fours => after_eights..after_fours,
        Some(panel) => after_fours + panel - fours..after_fours + panel - fours + 1,
    })
}

/// The vectors that cover `len` elements: where they start and how many elements they have. The
/// last overlaps the one before it rather than being cut, if there is one.
#[inline(always)]
pub(crate) fn vector<S: Simd>(index: usize, len: usize) -> (usize, usize) {
    let start = index * S::LANES;
    if start + S::LANES <= len {
        (start, S::LANES)
    } else if len >= S::LANES {
        (len - S::LANES, S::LANES)
    } else {
        (0, len)
    }
}
