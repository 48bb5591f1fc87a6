//! Element by element: sums, products and activation functions.

mod function;

pub use function::{
    Affine, Elu, Exponential, Function, Gelu, GeneralRelu, GradientAt, HardSigmoid, HardSigmoidKeras2,
    HardSwish, LeakyRelu, Mish, Relu, Relu6, Sigmoid, Silu, Softplus, Softsign, Tanh, TanhGelu,
};

use crate::conv2d::Activation;
use crate::error::check;
use crate::simd::{LEAST, Operation, Simd};
use crate::{Error, Isa};

/// `y = a + b` and an activation.
///
/// # Errors
/// The lengths differ.
///
/// ```
/// use bantam_kernels::{Isa, conv2d::Activation, elementwise};
/// let mut y = [0.0; 3];
/// elementwise::add(Isa::detect(), Activation::Relu, &[1.0, 2.0, -30.0], &[10.0; 3], &mut y)?;
/// assert_eq!(y, [11.0, 12.0, 0.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn add(isa: Isa, activation: Activation, a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check("first operand", a, y.len())?;
    check("second operand", b, y.len())?;
    isa.run(Pass { combine: Sum(activation.range()), operands: [Some(a), Some(b)], y });
    Ok(())
}

/// `y += x` and an activation.
///
/// # Errors
/// The lengths differ.
pub fn add_assign(isa: Isa, activation: Activation, y: &mut [f32], x: &[f32]) -> Result<(), Error> {
    check("operand", x, y.len())?;
    isa.run(Pass { combine: Sum(activation.range()), operands: [None, Some(x)], y });
    Ok(())
}

/// `y = a * b`.
///
/// # Errors
/// The lengths differ.
pub fn mul(isa: Isa, a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check("first operand", a, y.len())?;
    check("second operand", b, y.len())?;
    isa.run(Pass { combine: Product, operands: [Some(a), Some(b)], y });
    Ok(())
}

/// `y *= x`.
///
/// # Errors
/// The lengths differ.
pub fn mul_assign(isa: Isa, y: &mut [f32], x: &[f32]) -> Result<(), Error> {
    check("operand", x, y.len())?;
    isa.run(Pass { combine: Product, operands: [None, Some(x)], y });
    Ok(())
}

/// `y = a - b`.
///
/// # Errors
/// The lengths differ.
pub fn sub(isa: Isa, a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check("first operand", a, y.len())?;
    check("second operand", b, y.len())?;
    isa.run(Pass { combine: Difference, operands: [Some(a), Some(b)], y });
    Ok(())
}

/// `y -= x`.
///
/// # Errors
/// The lengths differ.
pub fn sub_assign(isa: Isa, y: &mut [f32], x: &[f32]) -> Result<(), Error> {
    check("operand", x, y.len())?;
    isa.run(Pass { combine: Difference, operands: [None, Some(x)], y });
    Ok(())
}

/// Which of several numbers is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
}

/// `y = max(a, b)`, or `min(a, b)`; NaN if either is. The gradient goes where [`keep_equal`] and [`keep_unequal`] say.
///
/// # Errors
/// The lengths differ.
///
/// ```
/// use bantam_kernels::Isa;
/// use bantam_kernels::elementwise::{self, Extreme};
/// let mut y = [0.0; 2];
/// elementwise::extreme(Isa::detect(), Extreme::Minimum, &[1.0, 5.0], &[2.0, 3.0], &mut y)?;
/// assert_eq!(y, [1.0, 3.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn extreme(isa: Isa, extreme: Extreme, a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check("first operand", a, y.len())?;
    check("second operand", b, y.len())?;
    isa.run(Pass { combine: extreme, operands: [Some(a), Some(b)], y });
    Ok(())
}

/// `y = max(y, x)`, or `min(y, x)`; NaN if either is.
///
/// # Errors
/// The lengths differ.
pub fn extreme_assign(isa: Isa, extreme: Extreme, y: &mut [f32], x: &[f32]) -> Result<(), Error> {
    check("operand", x, y.len())?;
    isa.run(Pass { combine: extreme, operands: [None, Some(x)], y });
    Ok(())
}

/// Keeps the elements of `d` where `a` equals `b`; the others become 0.
///
/// # Errors
/// The lengths differ.
///
/// ```
/// use bantam_kernels::{Isa, elementwise};
/// let mut d = [1.0, 2.0];
/// elementwise::keep_equal(Isa::detect(), &[5.0, 6.0], &[5.0, 0.0], &mut d)?;
/// assert_eq!(d, [1.0, 0.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn keep_equal(isa: Isa, a: &[f32], b: &[f32], d: &mut [f32]) -> Result<(), Error> {
    check("first operand", a, d.len())?;
    check("second operand", b, d.len())?;
    isa.run(Pass { combine: Keep { equal: true }, operands: [Some(a), Some(b), None], y: d });
    Ok(())
}

/// Keeps the elements of `d` where `a` differs from `b`; the others become 0.
///
/// # Errors
/// The lengths differ.
pub fn keep_unequal(isa: Isa, a: &[f32], b: &[f32], d: &mut [f32]) -> Result<(), Error> {
    check("first operand", a, d.len())?;
    check("second operand", b, d.len())?;
    isa.run(Pass { combine: Keep { equal: false }, operands: [Some(a), Some(b), None], y: d });
    Ok(())
}

/// Adds the gradient of `l1 Σ|x| + l2 Σx²`, which is [`penalty`](crate::reduce::penalty), to `d`: `d += l1 sign(x) + 2 l2 x`.
/// Where `x` is 0 there is none.
///
/// # Errors
/// The lengths differ.
pub fn add_penalty_grad(isa: Isa, [l1, l2]: [f32; 2], x: &[f32], d: &mut [f32]) -> Result<(), Error> {
    check("operand", x, d.len())?;
    isa.run(Pass { combine: Penalized { l1, twice_l2: 2.0 * l2 }, operands: [Some(x), None], y: d });
    Ok(())
}

/// `y = function(x)`. NaN stays NaN.
///
/// # Errors
/// The lengths differ.
///
/// ```
/// use bantam_kernels::Isa;
/// use bantam_kernels::elementwise::{self, LeakyRelu};
/// let mut y = [0.0; 2];
/// elementwise::map(Isa::detect(), LeakyRelu { slope: 0.5 }, &[3.0, -3.0], &mut y)?;
/// assert_eq!(y, [3.0, -1.5]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn map<F: Function>(isa: Isa, function: F, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check("operand", x, y.len())?;
    isa.run(Pass { combine: Value(function), operands: [Some(x)], y });
    Ok(())
}

/// `y = function(y)`. NaN stays NaN.
pub fn map_in_place<F: Function>(isa: Isa, function: F, y: &mut [f32]) {
    isa.run(Pass { combine: Value(function), operands: [None], y });
}

/// Turns the gradient `d` to the output of a function into the one to its input. `at` is the function's output or
/// its input, as [`Function::GRADIENT_AT`] says. Where that is a product, one no larger than 2⁻¹⁰⁰ is zero, as is a
/// slope, so that subnormal numbers, which many CPUs are slow with, do not arise.
///
/// # Errors
/// The lengths differ.
///
/// ```
/// use bantam_kernels::Isa;
/// use bantam_kernels::elementwise::{self, Function, GradientAt, Sigmoid};
/// assert_eq!(Sigmoid::GRADIENT_AT, GradientAt::Output);
/// let mut d = [2.0];
/// elementwise::map_grad(Isa::detect(), Sigmoid, &[0.5], &mut d)?;
/// assert_eq!(d, [0.5]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn map_grad<F: Function>(isa: Isa, function: F, at: &[f32], d: &mut [f32]) -> Result<(), Error> {
    check("operand", at, d.len())?;
    isa.run(Pass { combine: Gradient(function), operands: [Some(at), None], y: d });
    Ok(())
}

/// What a pass makes of one vector of each of `N` operands.
pub(crate) trait Combine<const N: usize>: Copy {
    fn apply<S: Simd>(self, simd: S, operands: [S::Vector; N]) -> S::Vector;
}

/// One pass over `y`. The operands are as long; `None` is what `y` held before.
pub(crate) struct Pass<'a, C, const N: usize> {
    pub combine: C,
    pub operands: [Option<&'a [f32]>; N],
    pub y: &'a mut [f32],
}

impl<C: Combine<N>, const N: usize> Operation for Pass<'_, C, N> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let len = self.y.len();
        let y = self.y.as_mut_ptr();
        let mut operands = [y.cast_const(); N];
        for (pointer, operand) in operands.iter_mut().zip(self.operands) {
            if let Some(operand) = operand {
                *pointer = operand.as_ptr();
            }
        }
        let mut i = 0;
        // SAFETY: `y` and the operands have `len` elements, checked by the functions above.
        unsafe {
            while i + S::LANES <= len {
                let mut vectors = [simd.splat(0.0); N];
                for (vector, operand) in vectors.iter_mut().zip(&operands) {
                    *vector = simd.load(operand.add(i));
                }
                simd.store(y.add(i), self.combine.apply(simd, vectors));
                i += S::LANES;
            }
            let n = len - i;
            if n > 0 {
                let mut vectors = [simd.splat(0.0); N];
                for (vector, operand) in vectors.iter_mut().zip(&operands) {
                    *vector = simd.load_n(operand.add(i), n);
                }
                simd.store_n(y.add(i), self.combine.apply(simd, vectors), n);
            }
        }
    }
}

/// With the range of the activation.
#[derive(Clone, Copy)]
struct Sum([f32; 2]);
impl Combine<2> for Sum {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, [a, b]: [S::Vector; 2]) -> S::Vector {
        simd.clamp(self.0, simd.add(a, b))
    }
}

#[derive(Clone, Copy)]
struct Product;
impl Combine<2> for Product {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, [a, b]: [S::Vector; 2]) -> S::Vector {
        simd.mul(a, b)
    }
}

#[derive(Clone, Copy)]
struct Difference;
impl Combine<2> for Difference {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, [a, b]: [S::Vector; 2]) -> S::Vector {
        simd.sub(a, b)
    }
}

impl Combine<2> for Extreme {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, [a, b]: [S::Vector; 2]) -> S::Vector {
        match self {
            Extreme::Maximum => simd.max_or_nan(a, b),
            Extreme::Minimum => simd.select(simd.eq(a, a), simd.min(a, b), a),
        }
    }
}

#[derive(Clone, Copy)]
struct Keep {
    equal: bool,
}
impl Combine<3> for Keep {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, [a, b, d]: [S::Vector; 3]) -> S::Vector {
        let zero = simd.splat(0.0);
        let (equal, unequal) = if self.equal { (d, zero) } else { (zero, d) };
        // Without the sum the compiler makes this a masked store, which some CPUs run lane by lane.
        simd.add(simd.select(simd.eq(a, b), equal, unequal), zero)
    }
}

#[derive(Clone, Copy)]
struct Penalized {
    l1: f32,
    twice_l2: f32,
}
impl Combine<2> for Penalized {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, [x, d]: [S::Vector; 2]) -> S::Vector {
        let zero = simd.splat(0.0);
        let [plus, minus] = [simd.splat(self.l1), simd.splat(-self.l1)];
        let below = simd.select(simd.eq(x, zero), zero, minus);
        let sign = simd.select(simd.not_le(x, zero), plus, below);
        // Nothing subnormal arises.
        let x = simd.flush(x, simd.splat(LEAST));
        let square = simd.flush(simd.mul(x, simd.splat(self.twice_l2)), simd.splat(LEAST));
        simd.add(d, simd.add(sign, square))
    }
}

#[derive(Clone, Copy)]
struct Value<F>(F);
impl<F: Function> Combine<1> for Value<F> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, [x]: [S::Vector; 1]) -> S::Vector {
        self.0.value(simd, x)
    }
}

#[derive(Clone, Copy)]
struct Gradient<F>(F);
impl<F: Function> Combine<2> for Gradient<F> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, [at, d]: [S::Vector; 2]) -> S::Vector {
        self.0.grad(simd, at, d)
    }
}
