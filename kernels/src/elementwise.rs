//! Element by element: sums, products, ReLU.

use crate::error::check;
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};

/// A function of one element of each of two arrays.
trait Pairwise: Copy {
    fn apply<S: Simd>(self, simd: S, a: S::Vector, b: S::Vector) -> S::Vector;
}

struct Map2<'a, F> {
    function: F,
    a: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
}

impl<F: Pairwise> Operation for Map2<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let len = self.y.len();
        let mut i = 0;
        // SAFETY: the three slices have `len` elements, checked by `map2`.
        unsafe {
            while i + S::LANES <= len {
                let (a, b) = (simd.load(self.a.as_ptr().add(i)), simd.load(self.b.as_ptr().add(i)));
                simd.store(self.y.as_mut_ptr().add(i), self.function.apply(simd, a, b));
                i += S::LANES;
            }
            let n = len - i;
            if n > 0 {
                let (a, b) = (simd.load_n(self.a.as_ptr().add(i), n), simd.load_n(self.b.as_ptr().add(i), n));
                simd.store_n(self.y.as_mut_ptr().add(i), self.function.apply(simd, a, b), n);
            }
        }
    }
}

fn map2(isa: Isa, function: impl Pairwise, a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), Error> {
    check("first operand", a, y.len())?;
    check("second operand", b, y.len())?;
    isa.run(Map2 { function, a, b, y });
    Ok(())
}

/// A function of one element of an array and of the element that it replaces.
struct Update<'a, F> {
    function: F,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl<F: Pairwise> Operation for Update<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let len = self.y.len();
        let mut i = 0;
        // SAFETY: both slices have `len` elements, checked by `update`.
        unsafe {
            while i + S::LANES <= len {
                let slot = self.y.as_mut_ptr().add(i);
                let x = simd.load(self.x.as_ptr().add(i));
                simd.store(slot, self.function.apply(simd, simd.load(slot), x));
                i += S::LANES;
            }
            let n = len - i;
            if n > 0 {
                let slot = self.y.as_mut_ptr().add(i);
                let x = simd.load_n(self.x.as_ptr().add(i), n);
                simd.store_n(slot, self.function.apply(simd, simd.load_n(slot, n), x), n);
            }
        }
    }
}

fn update(isa: Isa, function: impl Pairwise, y: &mut [f32], x: &[f32]) -> Result<(), Error> {
    check("operand", x, y.len())?;
    isa.run(Update { function, x, y });
    Ok(())
}

#[derive(Clone, Copy)]
struct Add;
impl Pairwise for Add {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: S::Vector, b: S::Vector) -> S::Vector {
        simd.add(a, b)
    }
}

#[derive(Clone, Copy)]
struct Multiply;
impl Pairwise for Multiply {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: S::Vector, b: S::Vector) -> S::Vector {
        simd.mul(a, b)
    }
}

#[derive(Clone, Copy)]
struct Relu;
impl Pairwise for Relu {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, _: S::Vector, x: S::Vector) -> S::Vector {
        simd.max(simd.splat(0.0), x)
    }
}

/// `d` where the ReLU let its input through.
#[derive(Clone, Copy)]
struct ReluGrad;
impl Pairwise for ReluGrad {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, d: S::Vector, y: S::Vector) -> S::Vector {
        let zero = simd.splat(0.0);
        // Without the sum the compiler makes this a masked store, which some CPUs run lane by lane.
        simd.add(simd.select(simd.not_le(y, zero), d, zero), zero)
    }
}

/// `d` where the ReLU6 let its input through.
#[derive(Clone, Copy)]
struct Relu6Grad;
impl Pairwise for Relu6Grad {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, d: S::Vector, y: S::Vector) -> S::Vector {
        let zero = simd.splat(0.0);
        let below = simd.select(simd.not_le(simd.splat(6.0), y), d, zero);
        // As in `ReluGrad`.
        simd.add(simd.select(simd.not_le(y, zero), below, zero), zero)
    }
}

/// `y = a + b`.
///
/// # Errors
/// The lengths differ.
///
/// ```
/// use bantam_kernels::{Isa, elementwise};
/// let mut y = [0.0; 3];
/// elementwise::add(Isa::detect(), &[1.0, 2.0, 3.0], &[10.0; 3], &mut y)?;
/// assert_eq!(y, [11.0, 12.0, 13.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn add(isa: Isa, a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), Error> {
    map2(isa, Add, a, b, y)
}

/// `y += x`.
///
/// # Errors
/// The lengths differ.
pub fn add_assign(isa: Isa, y: &mut [f32], x: &[f32]) -> Result<(), Error> {
    update(isa, Add, y, x)
}

/// `y = a * b`.
///
/// # Errors
/// The lengths differ.
pub fn mul(isa: Isa, a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), Error> {
    map2(isa, Multiply, a, b, y)
}

/// `y = max(0, x)`; NaN stays NaN.
///
/// # Errors
/// The lengths differ.
pub fn relu(isa: Isa, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    update(isa, Relu, y, x)
}

/// Turns the gradient `d` to a ReLU's output `y` into the one to its input: it is zero where the
/// output is.
///
/// # Errors
/// The lengths differ.
pub fn relu_grad(isa: Isa, y: &[f32], d: &mut [f32]) -> Result<(), Error> {
    update(isa, ReluGrad, d, y)
}

/// Turns the gradient `d` to the output `y` of [`Relu6`](crate::conv2d::Activation::Relu6) into the
/// one to its input: it is zero where the output is 0 or 6.
///
/// # Errors
/// The lengths differ.
pub fn relu6_grad(isa: Isa, y: &[f32], d: &mut [f32]) -> Result<(), Error> {
    update(isa, Relu6Grad, d, y)
}
