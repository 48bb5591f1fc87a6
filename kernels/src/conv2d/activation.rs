use crate::Isa;
use crate::simd::{Operation, Simd};

/// What is applied to each output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(0, x)`; NaN stays NaN.
    Relu,
    /// `min(max(0, x), 6)`; NaN stays NaN.
    Relu6,
}

/// What becomes of sums at last.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    /// Whether what the output holds is added. There is code for it where part of a vector takes one instruction: small
    /// computers are spared it.
    pub adds: bool,
    pub activation: Activation,
}

impl Finish {
    /// Whether there is code to add what the output holds.
    pub const fn can_add<S: Simd>() -> bool {
        S::MASKS && S::LANES > 1
    }

    /// Whether an instruction set has it.
    pub fn can_add_on(isa: Isa) -> bool {
        isa.run_with_vectors(CanAdd) == Some(true)
    }
}

struct CanAdd;

impl Operation for CanAdd {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> bool {
        const { Finish::can_add::<S>() }
    }
}

impl From<Activation> for Finish {
    fn from(activation: Activation) -> Finish {
        Finish { adds: false, activation }
    }
}

impl Activation {
    /// The smallest and the largest output.
    pub(crate) fn range(self) -> [f32; 2] {
        match self {
            Activation::None => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
        }
    }

    /// Puts each of `sums` through it.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, simd: S, sums: &mut [S::Vector]) {
        if self != Activation::None {
            for sum in &mut *sums {
                *sum = simd.max(simd.splat(0.0), *sum);
            }
        }
        if self == Activation::Relu6 {
            for sum in sums {
                *sum = simd.min(simd.splat(6.0), *sum);
            }
        }
    }
}
