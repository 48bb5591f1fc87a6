//! Batch normalisation by the statistics of the batch at hand (Ioffe and Szegedy, arXiv 1502.03167): mean and variance of
//! each column of a matrix `[rows, columns]`, whose rows are the pixels of all images, and the gradients through them.
//!
//! Forward is [`moments`], then [`scale_shift`](crate::channels::scale_shift) with `scale = gamma / sqrt(variance +
//! epsilon)` and `shift = beta - mean scale`. Backward is [`grad_sums`], then [`grad_input`]. Where parts of a batch are
//! computed apart, [`merge_moments`] makes one of two.

use crate::conv2d::Activation;
use crate::error::{check, elements};
use crate::pairwise::{CHAIN, Pairwise};
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

/// The mean of each column of `x`, `[rows, columns]`, and the mean square of the differences from it: the biased
/// variance. Differences are taken from the mean of the rows nearby, and sums are merged (Chan, Golub and LeVeque, The
/// American Statistician 37, 1983), so that no digits are lost where the mean is large.
///
/// # Errors
/// There is no row, or a slice's length differs from its shape's.
///
/// ```
/// use bantam_kernels::{Isa, batch_normalization};
/// let (x, mut mean, mut variance) = ([1.0, 3.0], [0.0], [0.0]);
/// batch_normalization::moments(Isa::detect(), 2, 1, &x, &mut mean, &mut variance)?;
/// assert_eq!((mean, variance), ([2.0], [1.0]));
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn moments(
    isa: Isa,
    rows: usize,
    columns: usize,
    x: &[f32],
    mean: &mut [f32],
    variance: &mut [f32],
) -> Result<(), Error> {
    if rows == 0 {
        return Err(Error::ZeroSize { what: "rows" });
    }
    check("input", x, elements("input", &[rows, columns])?)?;
    check("mean", mean, columns)?;
    check("variance", variance, columns)?;
    isa.run(MomentsOf { rows, x, mean, variance });
    Ok(())
}

/// Makes of the moments of a part, and those of another that has `share` of the rows of both, those of both together.
///
/// # Errors
/// The lengths differ.
pub fn merge_moments(
    share: f32,
    mean: &mut [f32],
    variance: &mut [f32],
    other_mean: &[f32],
    other_variance: &[f32],
) -> Result<(), Error> {
    check("variance", variance, mean.len())?;
    check("mean of the other part", other_mean, mean.len())?;
    check("variance of the other part", other_variance, mean.len())?;
    let others = other_mean.iter().zip(other_variance);
    for ((mean, variance), (other_mean, other_variance)) in mean.iter_mut().zip(variance).zip(others) {
        let apart = other_mean - *mean;
        *mean += share * apart;
        *variance += share * (other_variance - *variance) + share * (1.0 - share) * apart * apart;
    }
    Ok(())
}

/// What went forward, as the gradients need it: `x` of `[rows, columns]`, its columns' means, and the scale, the shift and
/// the activation that made the output of it.
#[derive(Clone, Copy, Debug)]
pub struct Normalized<'a> {
    /// What came behind.
    pub activation: Activation,
    /// `[rows, columns]`
    pub x: &'a [f32],
    /// `[columns]`
    pub mean: &'a [f32],
    /// `[columns]`
    pub scale: &'a [f32],
    /// `[columns]`
    pub shift: &'a [f32],
}

/// The sums over the rows of `d`, which is `d_y` where the activation lets it pass, and of `d (x - mean)`: the gradients to
/// `beta` and, but for `1 / sqrt(variance + epsilon)`, to `gamma`. The sums are pairwise.
///
/// # Errors
/// A slice's length differs from its shape's.
pub fn grad_sums(
    isa: Isa,
    rows: usize,
    columns: usize,
    normalized: Normalized<'_>,
    d_y: &[f32],
    d_sum: &mut [f32],
    d_dot: &mut [f32],
) -> Result<(), Error> {
    normalized.check(rows, columns, d_y)?;
    check("sums", d_sum, columns)?;
    check("products' sums", d_dot, columns)?;
    isa.run(GradSums { rows, normalized, d_y, d_sum, d_dot });
    Ok(())
}

/// The gradient to `x`, `d_x = scale (d - d_mean - slope (x - mean))` with `d` as in [`grad_sums`]: `d_mean` is the mean of
/// `d` over the whole batch, and `slope` that of `d (x - mean)`, over `variance + epsilon`.
///
/// # Errors
/// A slice's length differs from its shape's.
#[expect(clippy::too_many_arguments, reason = "two sizes and five slices")]
pub fn grad_input(
    isa: Isa,
    rows: usize,
    columns: usize,
    normalized: Normalized<'_>,
    d_mean: &[f32],
    slope: &[f32],
    d_y: &[f32],
    d_x: &mut [f32],
) -> Result<(), Error> {
    normalized.check(rows, columns, d_y)?;
    check("mean of the gradient", d_mean, columns)?;
    check("slope", slope, columns)?;
    check("input gradient", d_x, d_y.len())?;
    isa.run(GradInput { rows, normalized, d_mean, slope, d_y, d_x });
    Ok(())
}

impl Normalized<'_> {
    fn check(&self, rows: usize, columns: usize, d_y: &[f32]) -> Result<(), Error> {
        check("input", self.x, elements("input", &[rows, columns])?)?;
        check("output gradient", d_y, self.x.len())?;
        check("mean", self.mean, columns)?;
        check("scale", self.scale, columns)?;
        check("shift", self.shift, columns)
    }

    /// The parameters of `n` columns from that one on.
    ///
    /// # Safety
    /// They exist, and `n <= LANES`.
    #[inline(always)]
    unsafe fn column<S: Simd>(&self, simd: S, column: usize, n: usize) -> Column<S> {
        let [least, most] = self.activation.range();
        // SAFETY: the caller's promise.
        let [mean, scale, shift] = unsafe {
            [self.mean, self.scale, self.shift].map(|array| simd.load_n(array.as_ptr().add(column), n))
        };
        Column { mean, scale, shift, least: simd.splat(least), most: simd.splat(most) }
    }
}

/// The parameters of some columns, and the range of the activation.
#[derive(Clone, Copy)]
struct Column<S: Simd> {
    mean: S::Vector,
    scale: S::Vector,
    shift: S::Vector,
    least: S::Vector,
    most: S::Vector,
}

impl<S: Simd> Column<S> {
    /// `d_y` where the output lies inside the activation's range. The output is computed again, by the same product and
    /// sum, which is faster than to read it.
    #[inline(always)]
    fn passed(self, simd: S, x: S::Vector, d_y: S::Vector) -> S::Vector {
        let zero = simd.splat(0.0);
        let y = simd.mul_add(x, self.scale, self.shift);
        let d = simd.select(simd.not_le(y, self.least), d_y, zero);
        simd.select(simd.not_le(self.most, y), d, zero)
    }
}

/// Calls a method for all columns: four vectors of them at a time in one chain each, two in two chains, or one in four,
/// which hide the latency of an addition alike.
macro_rules! for_all_columns {
    ($self:ident, $simd:ident, $columns:expr, $method:ident) => {{
        let columns = $columns;
        let whole = columns / S::LANES;
        let mut vector = 0;
        // SAFETY: the lengths were checked at the door; these columns exist.
        unsafe {
            while vector + 4 <= whole {
                $self.$method::<S, 4, 1>($simd, vector * S::LANES, S::LANES);
                vector += 4;
            }
            if vector + 2 <= whole {
                $self.$method::<S, 2, 2>($simd, vector * S::LANES, S::LANES);
                vector += 2;
            }
            if vector < whole {
                $self.$method::<S, 1, 4>($simd, vector * S::LANES, S::LANES);
            }
            let rest = columns - whole * S::LANES;
            if rest > 0 {
                $self.$method::<S, 1, 4>($simd, whole * S::LANES, rest);
            }
        }
    }};
}

struct MomentsOf<'a> {
    rows: usize,
    x: &'a [f32],
    mean: &'a mut [f32],
    variance: &'a mut [f32],
}

impl Operation for MomentsOf<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        for_all_columns!(self, simd, self.mean.len(), columns);
    }
}

impl MomentsOf<'_> {
    /// The moments of `V` vectors of columns, `n` in each, in blocks of `R` chains: their second sweep finds a block in the
    /// first-level cache.
    ///
    /// # Safety
    /// `V * n` columns from `column` on exist; `n` is `LANES`, or `V` is 1.
    #[inline(always)]
    unsafe fn columns<S: Simd, const V: usize, const R: usize>(&mut self, simd: S, column: usize, n: usize) {
        let mut total = Moments::<S, V>::new(simd);
        let mut first = 0;
        while first < self.rows {
            let rows = (self.rows - first).min(R * CHAIN);
            // SAFETY: the caller's promise; the rows exist.
            unsafe {
                let zero = [simd.splat(0.0); V];
                let sums = self.block::<S, V, R>(simd, first, rows, column, n, zero, false);
                let share = simd.splat(1.0 / rows as f32);
                let mut mean = zero;
                for (mean, &sum) in mean.iter_mut().zip(&sums) {
                    *mean = simd.mul(sum, share);
                }
                let squares = self.block::<S, V, R>(simd, first, rows, column, n, mean, true);
                total.add(simd, Part { rows, mean, squares });
            }
            first += rows;
        }
        let total = total.total(simd);
        let share = simd.splat(1.0 / self.rows as f32);
        for v in 0..V {
            let at = column + v * S::LANES;
            // SAFETY: the caller's promise.
            unsafe {
                simd.store_n(self.mean.as_mut_ptr().add(at), total.mean[v], n);
                simd.store_n(self.variance.as_mut_ptr().add(at), simd.mul(total.squares[v], share), n);
            }
        }
    }

    /// The sums over some rows of the columns, or of the squares of their differences from `mean`.
    ///
    /// # Safety
    /// As [`columns`](Self::columns), and the rows exist.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a block of a matrix")]
    unsafe fn block<S: Simd, const V: usize, const R: usize>(
        &self,
        simd: S,
        first: usize,
        rows: usize,
        column: usize,
        n: usize,
        mean: [S::Vector; V],
        squares: bool,
    ) -> [S::Vector; V] {
        let columns = self.mean.len();
        let mut sums = [[simd.splat(0.0); V]; R];
        let mut next = first;
        while next < first + rows {
            for (row, sums) in (next..first + rows).zip(&mut sums) {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    let x =
                        unsafe { simd.load_n(self.x.as_ptr().add(row * columns + column + v * S::LANES), n) };
                    if squares {
                        let apart = simd.sub(x, mean[v]);
                        *sum = simd.mul_add(apart, apart, *sum);
                    } else {
                        *sum = simd.add(*sum, x);
                    }
                }
            }
            next += R;
        }
        joined(simd, sums)
    }
}

/// The sum of some chains.
#[inline(always)]
fn joined<S: Simd, const V: usize, const R: usize>(simd: S, chains: [[S::Vector; V]; R]) -> [S::Vector; V] {
    let mut total = chains[0];
    for chain in &chains[1..] {
        for (sum, &x) in total.iter_mut().zip(chain) {
            *sum = simd.add(*sum, x);
        }
    }
    total
}

/// Rows, their mean, and the squares of the differences from it.
#[derive(Clone, Copy)]
struct Part<S: Simd, const V: usize> {
    rows: usize,
    mean: [S::Vector; V],
    squares: [S::Vector; V],
}

impl<S: Simd, const V: usize> Part<S, V> {
    #[inline(always)]
    fn none(simd: S) -> Self {
        let zero = [simd.splat(0.0); V];
        Part { rows: 0, mean: zero, squares: zero }
    }

    #[inline(always)]
    fn add(&mut self, simd: S, other: &Part<S, V>) {
        let rows = self.rows + other.rows;
        let share = other.rows as f32 / rows as f32;
        let (weight, share) = (simd.splat(self.rows as f32 * share), simd.splat(share));
        for v in 0..V {
            let apart = simd.sub(other.mean[v], self.mean[v]);
            self.mean[v] = simd.mul_add(apart, share, self.mean[v]);
            let squares = simd.add(self.squares[v], other.squares[v]);
            self.squares[v] = simd.mul_add(simd.mul(apart, apart), weight, squares);
        }
        self.rows = rows;
    }
}

/// Enough for as many rows as memory can hold.
const LEVELS: usize = (usize::BITS / CHAIN.ilog2()) as usize;

/// Moments of blocks, merged as [`Pairwise`] adds: a level that has taken [`CHAIN`] hands theirs on to the next.
struct Moments<S: Simd, const V: usize> {
    levels: [Part<S, V>; LEVELS],
    blocks: usize,
}

impl<S: Simd, const V: usize> Moments<S, V> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Moments { levels: [Part::none(simd); LEVELS], blocks: 0 }
    }

    #[inline(always)]
    fn add(&mut self, simd: S, mut part: Part<S, V>) {
        self.blocks += 1;
        let mut count = self.blocks;
        for level in &mut self.levels {
            level.add(simd, &part);
            if !count.is_multiple_of(CHAIN) {
                return;
            }
            count /= CHAIN;
            part = core::mem::replace(level, Part::none(simd));
        }
    }

    #[inline(always)]
    fn total(&self, simd: S) -> Part<S, V> {
        let mut total = Part::none(simd);
        // What has fewer rows comes to what has more: it is the smaller share that is rounded.
        for level in self.levels.iter().rev().filter(|level| level.rows > 0) {
            total.add(simd, level);
        }
        total
    }
}

struct GradSums<'a> {
    rows: usize,
    normalized: Normalized<'a>,
    d_y: &'a [f32],
    d_sum: &'a mut [f32],
    d_dot: &'a mut [f32],
}

impl Operation for GradSums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        for_all_columns!(self, simd, self.d_sum.len(), columns);
    }
}

impl GradSums<'_> {
    /// # Safety
    /// `V * n` columns from `column` on exist; `n` is `LANES`, or `V` is 1.
    #[inline(always)]
    unsafe fn columns<S: Simd, const V: usize, const R: usize>(&mut self, simd: S, column: usize, n: usize) {
        let width = self.d_sum.len();
        // SAFETY: the caller's promise.
        let parameters: [Column<S>; V] =
            core::array::from_fn(|v| unsafe { self.normalized.column(simd, column + v * S::LANES, n) });
        let (mut sums, mut dots) = (Pairwise::<S, V>::new(simd), Pairwise::<S, V>::new(simd));
        let mut next = 0;
        while next < self.rows {
            let end = self.rows.min(next + R * CHAIN);
            let mut of_block = [[simd.splat(0.0); V]; R];
            let mut dots_of_block = of_block;
            while next < end {
                for ((row, sums), dots) in (next..end).zip(&mut of_block).zip(&mut dots_of_block) {
                    for v in 0..V {
                        let at = row * width + column + v * S::LANES;
                        // SAFETY: the caller's promise.
                        let (x, d_y) = unsafe {
                            (
                                simd.load_n(self.normalized.x.as_ptr().add(at), n),
                                simd.load_n(self.d_y.as_ptr().add(at), n),
                            )
                        };
                        let d = parameters[v].passed(simd, x, d_y);
                        sums[v] = simd.add(sums[v], d);
                        dots[v] = simd.mul_add(d, simd.sub(x, parameters[v].mean), dots[v]);
                    }
                }
                next += R;
            }
            sums.add(simd, joined(simd, of_block));
            dots.add(simd, joined(simd, dots_of_block));
        }
        let (sums, dots) = (sums.total(simd), dots.total(simd));
        for v in 0..V {
            let at = column + v * S::LANES;
            // SAFETY: the caller's promise.
            unsafe {
                simd.store_n(self.d_sum.as_mut_ptr().add(at), sums[v], n);
                simd.store_n(self.d_dot.as_mut_ptr().add(at), dots[v], n);
            }
        }
    }
}

struct GradInput<'a> {
    rows: usize,
    normalized: Normalized<'a>,
    d_mean: &'a [f32],
    slope: &'a [f32],
    d_y: &'a [f32],
    d_x: &'a mut [f32],
}

impl Operation for GradInput<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let columns = self.d_mean.len();
        // The parameters of a vector of columns serve some rows, which stay in the first-level cache for those beside it.
        for rows in (0..self.rows).step_by(CHAIN).map(|first| first..self.rows.min(first + CHAIN)) {
            let mut column = 0;
            while column < columns {
                let n = S::LANES.min(columns - column);
                // SAFETY: the rows and these columns exist, in arrays whose lengths `grad_input` checked.
                unsafe {
                    let parameters = self.normalized.column(simd, column, n);
                    let d_mean = simd.load_n(self.d_mean.as_ptr().add(column), n);
                    let slope = simd.load_n(self.slope.as_ptr().add(column), n);
                    for row in rows.clone() {
                        let at = row * columns + column;
                        let x = simd.load_n(self.normalized.x.as_ptr().add(at), n);
                        let d = parameters.passed(simd, x, simd.load_n(self.d_y.as_ptr().add(at), n));
                        let d = simd.sub(d, d_mean);
                        let d = simd.sub(d, simd.mul(slope, simd.sub(x, parameters.mean)));
                        simd.store_n(self.d_x.as_mut_ptr().add(at), simd.mul(parameters.scale, d), n);
                    }
                }
                column += n;
            }
        }
    }
}
