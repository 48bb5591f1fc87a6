//! Images `[H, W, C]` under affine maps: rotated, moved, sheared, zoomed, mirrored and cut out, in one pass.
//!
//! The map leads from the output to the input, as it is computed. Coordinates are `[row, column]` with whole numbers at the
//! centres of pixels. Of the input's pixels around a point bilinear interpolation takes shares; what lies beyond the edges is
//! a [`Fill`].

use crate::error::{check, check_sizes, elements};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

/// How an image goes on beyond its edges, here that of `a b c d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// With the pixel at the edge: `a a a | a b c d | d d d`.
    Nearest,
    /// Mirrored, with the edge twice: `c b a | a b c d | d c b`.
    Reflect,
    /// With copies of itself: `b c d | a b c d | a b c`.
    Wrap,
    /// With pixels of one value, between which and those of the edge there is interpolation.
    Constant(f32),
    /// With one value from the centres of the outermost pixels on, as in SciPy: there is none between these and the value.
    Outside(f32),
}

/// What is taken from the input around a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest pixel; of two that are as near, the lower or the one to the right.
    Nearest,
    /// The four pixels around it, each by how near it is.
    Bilinear,
}

/// An affine map of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// The input, `[H, W, C]`.
    pub input: [usize; 3],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Pixel `[y, x]` of the output is the input's at `[m[0][0]·y + m[0][1]·x + m[0][2], m[1][0]·y + m[1][1]·x + m[1][2]]`.
    pub matrix: [[f32; 3]; 2],
    /// What is taken there.
    pub interpolation: Interpolation,
    /// What is beyond the edges.
    pub fill: Fill,
}

/// The largest size of an image and distance of a point from it: up to here halves of a pixel are exact.
const FARTHEST: usize = 1 << 21;

/// Each pixel of `y`, `[h, w, C]`, from the place in `x`, `[H, W, C]`, that the map leads to.
///
/// # Errors
/// A size is zero, a slice's length differs from its shape's, or an image or the map reaches farther than 2²¹ pixels; a
/// number of the map that is not finite does.
///
/// ```
/// use bantam_kernels::Isa;
/// use bantam_kernels::warp::{self, Affine, Fill, Interpolation};
/// let mut y = [0.0; 4];
/// let half_a_pixel_to_the_right = Affine {
///     input: [1, 4, 1],
///     output: [1, 4],
///     matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, -0.5]],
///     interpolation: Interpolation::Bilinear,
///     fill: Fill::Nearest,
/// };
/// warp::affine(Isa::detect(), &half_a_pixel_to_the_right, &[1.0, 2.0, 3.0, 4.0], &mut y)?;
/// assert_eq!(y, [1.0, 1.5, 2.5, 3.5]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn affine(isa: Isa, map: &Affine, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    let ([height, width, channels], [rows, columns]) = (map.input, map.output);
    let names = &["height", "width", "channels", "output height", "output width"];
    check_sizes(names, [height, width, channels, rows, columns])?;
    check("input", x, elements("input", &[height, width, channels])?)?;
    check("output", y, elements("output", &[rows, columns, channels])?)?;
    for got in [height, width, rows, columns] {
        check_distance("size of an image", got)?;
    }
    for [down, across, start] in map.matrix.map(|row| row.map(f32::abs)) {
        let farthest = down * rows as f32 + across * columns as f32 + start;
        // Saturates, and NaN is made the farthest of all.
        let got = if farthest.is_nan() { usize::MAX } else { farthest as usize };
        check_distance("distance of the map", got)?;
    }
    isa.run(Warp { map, x, y });
    Ok(())
}

fn check_distance(what: &'static str, got: usize) -> Result<(), Error> {
    if got <= FARTHEST { Ok(()) } else { Err(Error::OutOfRange { what, max: FARTHEST, got }) }
}

/// Lanes of the widest vector.
const LANES: usize = 16;

/// The number of each lane.
static LANE: [f32; LANES] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];

/// The last bits of its sum with a whole number of at least 0 are that number.
const WHOLE: f32 = 8_388_608.0;

struct Warp<'a> {
    map: &'a Affine,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Operation for Warp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match (self.map.interpolation, self.map.input[2]) {
            (Interpolation::Nearest, _) => simd.call(Pixels::<1, 0>(self)),
            (Interpolation::Bilinear, 1) if const { S::LANES > 1 } => simd.call(Pixels::<4, 1>(self)),
            (Interpolation::Bilinear, 3) if const { S::LANES > 1 } => simd.call(Pixels::<4, 3>(self)),
            (Interpolation::Bilinear, _) => simd.call(Pixels::<4, 0>(self)),
        }
    }
}

/// Makes each pixel of so many of the input's, of a number of channels that the compiler knows, or any for 0.
struct Pixels<'a, const TAPS: usize, const C: usize>(Warp<'a>);

impl<const TAPS: usize, const C: usize> Operation for Pixels<'_, TAPS, C> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Warp { map, x, y } = self.0;
        let ([height, width, channels], [rows, columns]) = (map.input, map.output);
        let channels = if const { C == 0 } { channels } else { C };
        let [down, across] = map.matrix;
        // SAFETY: no vector has more lanes than there are numbers.
        let lanes = unsafe { simd.load(LANE.as_ptr()) };
        let mut taps = Taps::<TAPS>::NONE;
        let mut pixel = y.as_mut_ptr();
        for row in 0..rows {
            let row = row as f32;
            let start = [down[0] * row + down[2], across[0] * row + across[2]];
            for first in (0..columns).step_by(S::LANES) {
                let column = simd.add(lanes, simd.splat(first as f32));
                let at = simd.mul_add(column, simd.splat(down[1]), simd.splat(start[0]));
                let vertical = Around::new::<S, TAPS>(simd, at, height, map.fill);
                let at = simd.mul_add(column, simd.splat(across[1]), simd.splat(start[1]));
                let horizontal = Around::new::<S, TAPS>(simd, at, width, map.fill);
                taps.set(simd, &vertical, &horizontal, map.fill);
                for lane in 0..S::LANES.min(columns - first) {
                    let cells = taps.cells(lane, width);
                    // SAFETY: a map that reaches no farther than was checked is finite, so that `inside` gives cells of the
                    // input. The output has a pixel for each row and column; both lengths were checked.
                    unsafe {
                        for channel in (0..channels).step_by(S::LANES) {
                            let n = S::LANES.min(channels - channel);
                            let mut sum = simd.splat(taps.rest[lane]);
                            for (shares, cell) in taps.shares.iter().zip(cells) {
                                let values = simd.load_n(x.as_ptr().add(cell * channels + channel), n);
                                sum = simd.mul_add(values, simd.splat(shares[lane]), sum);
                            }
                            simd.store_n(pixel.add(channel), sum, n);
                        }
                        pixel = pixel.add(channels);
                    }
                }
            }
        }
    }
}

/// What the pixels of a vector's lanes are made of.
struct Taps<const TAPS: usize> {
    /// In this order the two rows and the two columns, each as its sum with [`WHOLE`].
    lines: [[f32; LANES]; 4],
    shares: [[f32; LANES]; TAPS],
    /// What is added from beyond the edges.
    rest: [f32; LANES],
}

impl<const TAPS: usize> Taps<TAPS> {
    const NONE: Taps<TAPS> =
        Taps { lines: [[WHOLE; LANES]; 4], shares: [[0.0; LANES]; TAPS], rest: [0.0; LANES] };

    #[inline(always)]
    fn set<S: Simd>(
        &mut self,
        simd: S,
        vertical: &Around<S::Vector>,
        horizontal: &Around<S::Vector>,
        fill: Fill,
    ) {
        let ([upper, lower], [left, right]) = (vertical.cells, horizontal.cells);
        let whole = simd.splat(WHOLE);
        // SAFETY: no vector has more lanes than the arrays.
        unsafe {
            for (to, cells) in self.lines.iter_mut().zip([upper, lower, left, right]) {
                simd.store(to.as_mut_ptr(), simd.add(cells, whole));
            }
            for (tap, to) in self.shares.iter_mut().enumerate() {
                let share = simd.mul(vertical.shares[tap / 2], horizontal.shares[tap % 2]);
                simd.store(to.as_mut_ptr(), share);
            }
            if let Fill::Constant(value) | Fill::Outside(value) = fill {
                let (above, beside) = (vertical.beyond, horizontal.beyond);
                let beyond = simd.sub(simd.add(above, beside), simd.mul(above, beside));
                simd.store(self.rest.as_mut_ptr(), simd.mul(beyond, simd.splat(value)));
            }
        }
    }

    /// The input's pixels of a lane, by number.
    #[inline(always)]
    fn cells(&self, lane: usize, width: usize) -> [usize; TAPS] {
        let mut cells = [0; TAPS];
        for (tap, cell) in cells.iter_mut().enumerate() {
            let row = self.lines[tap / 2][lane].to_bits() - WHOLE.to_bits();
            let column = self.lines[2 + tap % 2][lane].to_bits() - WHOLE.to_bits();
            *cell = row as usize * width + column as usize;
        }
        cells
    }
}

/// What points along one axis lie between.
struct Around<V> {
    /// Two cells, the nearest one first if only that is asked for: whole numbers, below the number of cells.
    cells: [V; 2],
    /// Of the two.
    shares: [V; 2],
    /// Of a value that is not the image's.
    beyond: V,
}

impl<V: Copy> Around<V> {
    #[inline(always)]
    fn new<S: Simd<Vector = V>, const TAPS: usize>(simd: S, at: V, cells: usize, fill: Fill) -> Around<V> {
        let (zero, half, one) = (simd.splat(0.0), simd.splat(0.5), simd.splat(1.0));
        let (size, last) = (simd.splat(cells as f32), simd.splat((cells - 1) as f32));
        // The point of the image itself that is like the one beyond its edge, where there is one.
        let at = match fill {
            Fill::Nearest => inside(simd, at, last),
            Fill::Reflect => {
                // From the edge on, through the image and its mirror image.
                let (both, from_edge) = (simd.add(size, size), simd.add(at, half));
                let past = simd.sub(from_edge, simd.mul(floor(simd, simd.div(from_edge, both)), both));
                let to_mirror = simd.max(simd.sub(size, past), simd.sub(past, size));
                simd.sub(simd.sub(size, to_mirror), half)
            }
            Fill::Wrap => simd.sub(at, simd.mul(floor(simd, simd.div(at, size)), size)),
            Fill::Constant(_) | Fill::Outside(_) => at,
        };
        let low = floor(simd, if const { TAPS == 1 } { simd.add(at, half) } else { at });
        let past = if const { TAPS == 1 } { zero } else { simd.sub(at, low) };
        let mut cells = [low, simd.add(low, one)];
        let mut shares = [simd.sub(one, past), past];
        let mut beyond = zero;
        match fill {
            Fill::Wrap => {
                for cell in &mut cells {
                    *cell = simd.select(simd.not_le(*cell, last), simd.sub(*cell, size), *cell);
                }
            }
            Fill::Constant(_) if const { TAPS == 1 } => {
                // A point half a pixel beyond an edge is beyond it, at every edge.
                let past_first = simd.select(simd.not_le(at, simd.sub(zero, half)), one, zero);
                let before_end = simd.not_le(simd.sub(size, half), at);
                shares[0] = simd.select(before_end, past_first, zero);
                beyond = simd.sub(one, shares[0]);
            }
            Fill::Constant(_) => {
                for (cell, share) in cells.into_iter().zip(&mut shares) {
                    let kept = where_inside(simd, cell, last, *share);
                    beyond = simd.add(beyond, simd.sub(*share, kept));
                    *share = kept;
                }
            }
            Fill::Outside(_) => {
                for share in &mut shares {
                    *share = where_inside(simd, at, last, *share);
                }
                beyond = simd.sub(one, where_inside(simd, at, last, one));
            }
            Fill::Nearest | Fill::Reflect => {}
        }
        let [low, high] = cells;
        Around { cells: [inside(simd, low, last), inside(simd, high, last)], shares, beyond }
    }
}

/// The nearest number from 0 to `last`.
#[inline(always)]
fn inside<S: Simd>(simd: S, v: S::Vector, last: S::Vector) -> S::Vector {
    simd.min(simd.max(v, simd.splat(0.0)), last)
}

/// `value` where a point is from 0 to `last`, and 0 where it is not.
#[inline(always)]
fn where_inside<S: Simd>(simd: S, at: S::Vector, last: S::Vector, value: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    let value = simd.select(simd.not_le(at, last), zero, value);
    simd.select(simd.not_le(zero, at), zero, value)
}

/// The largest whole number that is not above `v`, of at most 2²² either way.
#[inline(always)]
fn floor<S: Simd>(simd: S, v: S::Vector) -> S::Vector {
    // From here on numbers lie one apart, so that a sum is rounded to a whole number.
    let whole = simd.splat(1.5 * WHOLE);
    let near = simd.sub(simd.add(v, whole), whole);
    simd.select(simd.not_le(near, v), simd.sub(near, simd.splat(1.0)), near)
}
