//! The shortest loops that can be true: what every kernel is tested against.
//!
//! Each function takes what the kernel of the same path reads and gives what it must write, element
//! by element. It computes in `f64` and bounds what rounding to `f32` may do to the result, whatever
//! the order of the sums (Higham, "Accuracy and Stability of Numerical Algorithms", chapter 3).
//!
//! Slices that do not fit their shapes panic: these functions are for tests.

pub mod avg_pool2d;
pub mod batch_normalization;
pub mod bounded;
pub mod channels;
pub mod conv2d;
pub mod depthwise_conv2d;
pub mod elementwise;
pub mod global_max_pool2d;
pub mod loss;
pub mod matmul;
pub mod max_pool2d;
pub mod normalization;
pub mod optimizer;
pub mod recurrent;
pub mod reduce;
pub mod softmax;
pub mod upsample2d;
pub mod warp;

use crate::conv2d::Activation;
use crate::conv2d::geometry::Axis;

/// A result, and how far rounding may take an `f32` computation from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The result, NaN where it must be NaN.
    pub value: f64,
    /// The largest difference that rounding can explain.
    pub error: f64,
}

impl Expected {
    /// Whether rounding explains the difference to `got`.
    ///
    /// ```
    /// use bantam_kernels::reference::Expected;
    /// let third = Expected { value: 1.0 / 3.0, error: 1e-7 };
    /// assert!(third.admits(1.0 / 3.0));
    /// assert!(!third.admits(0.3333));
    /// assert!(!third.admits(f32::NAN));
    /// ```
    pub fn admits(&self, got: f32) -> bool {
        let got = f64::from(got);
        got == self.value
            || (got.is_nan() && self.value.is_nan())
            || libm::fabs(got - self.value) <= self.error
    }

    /// After a ReLU, which adds no error.
    pub fn relu(self) -> Expected {
        Expected { value: if self.value < 0.0 { 0.0 } else { self.value }, ..self }
    }

    /// After a ReLU6, which adds no error.
    pub fn relu6(self) -> Expected {
        let relu = self.relu();
        Expected { value: if relu.value > 6.0 { 6.0 } else { relu.value }, ..self }
    }

    /// After an activation, which adds no error.
    pub fn activated(self, activation: Activation) -> Expected {
        match activation {
            Activation::None => self,
            Activation::Relu => self.relu(),
            Activation::Relu6 => self.relu6(),
        }
    }
}

/// Bound of the relative error of `roundings` roundings in a row.
fn gamma(roundings: usize) -> f64 {
    let sum = roundings as f64 * (f64::from(f32::EPSILON) / 2.0);
    sum / (1.0 - sum)
}

/// 2⁻¹⁰⁰: what is no larger may count as zero.
const LEAST: f64 = 1.0 / (1u128 << 100) as f64;

/// Roundings that a term of a pairwise sum goes through at most, its product among them: 32 additions in a
/// block and on each level above, of which the next takes one sum for 32; one for each level at the end; two
/// for four chains, and four for sixteen lanes.
fn pairwise(terms: usize) -> usize {
    let levels = 1 + terms.max(1).ilog2() as usize / 5;
    terms.min(32 + 33 * levels + 2 + 4)
}

/// A sum of products of `f32`s.
#[derive(Default)]
struct Sum {
    value: f64,
    /// The sum of the terms' magnitudes.
    magnitude: f64,
    terms: usize,
}

impl Sum {
    fn add(&mut self, a: f32, b: f32) {
        let term = f64::from(a) * f64::from(b);
        self.value += term;
        self.magnitude += libm::fabs(term);
        self.terms += 1;
    }

    /// One rounding for a product, and one for each addition that it goes through.
    fn expected(&self) -> Expected {
        Expected { value: self.value, error: gamma(self.terms) * self.magnitude }
    }

    /// The same where the sum is pairwise.
    fn pairwise(&self) -> Expected {
        Expected { value: self.value, error: gamma(pairwise(self.terms)) * self.magnitude }
    }
}

/// All indices of an array of four dimensions, row by row.
fn indices([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = [usize; 4]> {
    let rows = move |i, j| (0..c).flat_map(move |k| (0..d).map(move |l| [i, j, k, l]));
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| rows(i, j)))
}

/// Where an index lies in the slice of an array of four dimensions.
fn at([_, b, c, d]: [usize; 4], [i, j, k, l]: [usize; 4]) -> usize {
    ((i * b + j) * c + k) * d + l
}

impl Axis {
    /// The element that a tap sees at a position, unless it is padding.
    fn seen(&self, position: usize, tap: usize) -> Option<usize> {
        (position * self.stride + tap * self.dilation)
            .checked_sub(self.before)
            .filter(|&element| element < self.input)
    }

    /// The positions among so many, each with the tap, that see an element.
    fn seeing(&self, element: usize, positions: usize) -> impl Iterator<Item = [usize; 2]> {
        indices([1, 1, positions, self.window])
            .map(|[_, _, position, tap]| [position, tap])
            .filter(move |&[position, tap]| self.seen(position, tap) == Some(element))
    }
}

/// The pixel that tap `[ky, kx]` of a window sees at position `[y, x]`, unless it is padding.
fn pixel(axes: &[Axis; 2], position: [usize; 2], tap: [usize; 2]) -> Option<[usize; 2]> {
    Some([axes[0].seen(position[0], tap[0])?, axes[1].seen(position[1], tap[1])?])
}

/// The positions among so many, and the taps, `[y, x, ky, kx]`, that see pixel `[row, column]`.
fn seeing(
    axes: &[Axis; 2],
    [row, column]: [usize; 2],
    [height, width]: [usize; 2],
) -> impl Iterator<Item = [usize; 4]> {
    axes[0]
        .seeing(row, height)
        .flat_map(move |[y, ky]| axes[1].seeing(column, width).map(move |[x, kx]| [y, x, ky, kx]))
}
