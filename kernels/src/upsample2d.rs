//! Images `[N, H, W, C]` enlarged by whole factors. Bilinear interpolation is here; nearest neighbours are the gradient of
//! a [pool that sums](crate::avg_pool2d::Geometry::summing).
//!
//! Pixels are squares whose numbers are those at their centres, as in Keras and PyTorch (`align_corners=False`); beyond the
//! outermost centres an image goes on as it is there.

use crate::error::{check, check_sizes, elements};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

/// Each pixel of `y`, `[N, H · factor, W · factor, C]`, between the four of `x`, `[N, H, W, C]`, that are nearest to it.
/// `factors` are `[vertical, horizontal]`.
///
/// # Errors
/// A size is zero, an array would not fit memory, or a slice's length differs from its shape's.
///
/// ```
/// use bantam_kernels::{Isa, upsample2d};
/// let mut y = [0.0; 8];
/// upsample2d::bilinear(Isa::detect(), [1, 1, 4, 1], [1, 2], &[0.0, 1.0, 2.0, 3.0], &mut y)?;
/// assert_eq!(y, [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn bilinear(
    isa: Isa,
    input: [usize; 4],
    factors: [usize; 2],
    x: &[f32],
    y: &mut [f32],
) -> Result<(), Error> {
    let [x_len, y_len] = lens(input, factors)?;
    check("input", x, x_len)?;
    check("output", y, y_len)?;
    isa.run(Sweep { input, factors, visitor: Blend { x, y } });
    Ok(())
}

/// Gradient of [`bilinear`] to its input, which is overwritten: of each pixel in the shares that it was made of.
///
/// # Errors
/// As [`bilinear`].
pub fn grad_bilinear(
    isa: Isa,
    input: [usize; 4],
    factors: [usize; 2],
    d_y: &[f32],
    d_x: &mut [f32],
) -> Result<(), Error> {
    let [x_len, y_len] = lens(input, factors)?;
    check("output gradient", d_y, y_len)?;
    check("input gradient", d_x, x_len)?;
    d_x.fill(0.0);
    isa.run(Sweep { input, factors, visitor: Share { d_y, d_x } });
    Ok(())
}

/// Elements of the input and of the output.
fn lens([n, h, w, c]: [usize; 4], [down, across]: [usize; 2]) -> Result<[usize; 2], Error> {
    let names = ["batch", "height", "width", "channels", "factor", "factor"];
    check_sizes(&names, [n, h, w, c, down, across])?;
    Ok([elements("input", &[n, h, w, c])?, elements("output", &[n, h, down, w, across, c])?])
}

/// The two cells of an axis that a pixel lies between, and their shares of it.
struct Between {
    cells: [usize; 2],
    shares: [f32; 2],
}

impl Between {
    /// Of `cells` that each become `factor` pixels.
    #[inline(always)]
    fn new(pixel: usize, cells: usize, factor: usize) -> Between {
        // In halves of a pixel: from the first cell's centre to the pixel's.
        let (cell, last) = (2 * factor, cells - 1);
        let from_first = (2 * pixel + 1).saturating_sub(factor);
        let first = from_first / cell;
        if first >= last {
            return Between { cells: [last; 2], shares: [1.0, 0.0] };
        }
        let past = from_first % cell;
        Between {
            cells: [first, first + 1],
            shares: [cell - past, past].map(|part| part as f32 / cell as f32),
        }
    }
}

/// What is done with some channels of a pixel and of the four that it lies between.
trait Visitor {
    /// # Safety
    /// `n <= LANES` channels exist, in the output from `pixel` on and in the input from each of the cells on.
    unsafe fn visit<S: Simd>(&mut self, simd: S, cells: [usize; 4], shares: [f32; 4], pixel: usize, n: usize);
}

/// Visits every pixel of the output.
struct Sweep<V> {
    input: [usize; 4],
    factors: [usize; 2],
    visitor: V,
}

impl<V: Visitor> Operation for Sweep<V> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let ([images, height, width, channels], [down, across]) = (self.input, self.factors);
        let mut pixel = 0;
        for image in 0..images {
            for y in 0..height * down {
                let rows = Between::new(y, height, down);
                let starts = rows.cells.map(|row| (image * height + row) * width * channels);
                for x in 0..width * across {
                    let columns = Between::new(x, width, across);
                    let [left, right] = columns.cells.map(|column| column * channels);
                    let mut cells =
                        [starts[0] + left, starts[0] + right, starts[1] + left, starts[1] + right];
                    let ([upper, lower], [left, right]) = (rows.shares, columns.shares);
                    let shares = [upper * left, upper * right, lower * left, lower * right];
                    let mut rest = channels;
                    while rest > 0 {
                        // SAFETY: rows and columns are inside the input, pixels come in the output's order, `rest`
                        // channels are left, and the lengths were checked.
                        let n = unsafe {
                            if rest >= S::LANES {
                                self.visitor.visit(simd, cells, shares, pixel, S::LANES);
                                S::LANES
                            } else {
                                self.visitor.visit(simd, cells, shares, pixel, rest);
                                rest
                            }
                        };
                        cells = [cells[0] + n, cells[1] + n, cells[2] + n, cells[3] + n];
                        pixel += n;
                        rest -= n;
                    }
                }
            }
        }
    }
}

struct Blend<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Visitor for Blend<'_> {
    #[inline(always)]
    unsafe fn visit<S: Simd>(
        &mut self,
        simd: S,
        cells: [usize; 4],
        shares: [f32; 4],
        pixel: usize,
        n: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sum = simd.splat(0.0);
            for (cell, share) in cells.into_iter().zip(shares) {
                sum = simd.mul_add(simd.load_n(self.x.as_ptr().add(cell), n), simd.splat(share), sum);
            }
            simd.store_n(self.y.as_mut_ptr().add(pixel), sum, n);
        }
    }
}

struct Share<'a> {
    d_y: &'a [f32],
    d_x: &'a mut [f32],
}

impl Visitor for Share<'_> {
    #[inline(always)]
    unsafe fn visit<S: Simd>(
        &mut self,
        simd: S,
        cells: [usize; 4],
        shares: [f32; 4],
        pixel: usize,
        n: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let d = simd.load_n(self.d_y.as_ptr().add(pixel), n);
            for (cell, share) in cells.into_iter().zip(shares) {
                let slot = self.d_x.as_mut_ptr().add(cell);
                simd.store_n(slot, simd.mul_add(d, simd.splat(share), simd.load_n(slot, n)), n);
            }
        }
    }
}
