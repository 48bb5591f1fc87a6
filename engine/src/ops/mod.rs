//! The operations, one file each: shape rule, forward, backward, scratch. The tape and the session
//! run them without knowing any by name.

mod add;
mod binary_cross_entropy;
mod conv2d;
mod conv2d_pool;
mod dense;
mod dropout;
mod flatten;
mod matmul;
mod max_pool2d;
mod mean_squared_error;
mod mul;
mod relu;
mod reshape;
mod softmax;
mod softmax_cross_entropy;
mod sum;

pub(crate) use add::Add;
pub(crate) use binary_cross_entropy::BinaryCrossEntropy;
pub use conv2d::Conv2d;
pub(crate) use conv2d_pool::Conv2dPool;
pub(crate) use dense::Dense;
pub(crate) use dropout::Dropout;
pub(crate) use flatten::Flatten;
pub(crate) use matmul::Matmul;
pub use max_pool2d::MaxPool2d;
pub(crate) use mean_squared_error::MeanSquaredError;
pub(crate) use mul::Mul;
pub(crate) use relu::Relu;
pub(crate) use reshape::Reshape;
pub(crate) use softmax::Softmax;
pub(crate) use softmax_cross_entropy::SoftmaxCrossEntropy;
pub(crate) use sum::Sum;

use crate::{Error, Shape};
use bantam_kernels::{self as kernels, Isa};
use core::ops::Range;

/// The most inputs that an operation has.
pub(crate) const MAX_INPUTS: usize = 3;

/// What inference needs to know of an operation.
pub(crate) trait Operation {
    /// The shape of the output, or why the inputs do not fit.
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error>;

    /// Numbers that [`prepare`](Self::prepare) makes, such as packed weights.
    fn prepared_len(&self, _isa: Isa, _inputs: &[Shape]) -> Result<usize, Error> {
        Ok(0)
    }

    /// Turns inputs that stay into a form that is fast to use: once for a session, in each step of
    /// a tape.
    fn prepare(
        &self,
        _isa: Isa,
        _shapes: &[Shape],
        _inputs: &[&[f32]],
        _prepared: &mut [f32],
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Numbers that the forward pass needs room for.
    fn forward_scratch_len(&self, _isa: Isa, _inputs: &[Shape]) -> Result<usize, Error> {
        Ok(0)
    }

    /// Multiply-adds of the forward pass, as direct computation counts them.
    fn multiply_adds(&self, _inputs: &[Shape]) -> u64 {
        0
    }

    /// Whether [`forward`](Self::forward) can overwrite its first input, on as many threads as there are.
    fn in_place(&self, _isa: Isa, _inputs: &[Shape]) -> Result<bool, Error> {
        Ok(false)
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error>;
}

/// What training needs to know beside. Apart, so that a program that only infers has no backward pass
/// in it.
pub(crate) trait Differentiable: Operation {
    /// Bytes that the backward pass needs beside inputs and output.
    fn kept_len(&self, _inputs: &[Shape]) -> Result<usize, Error> {
        Ok(0)
    }

    /// A forward pass for a backward pass to follow: `kept` is overwritten.
    fn forward_keeping(&self, run: Forward<'_>, _kept: &mut [u8]) -> Result<(), Error> {
        self.forward(run)
    }

    /// Numbers that the backward pass needs room for, with a gradient to the first input or without.
    fn backward_scratch_len(&self, _isa: Isa, _inputs: &[Shape], _d_input: bool) -> Result<usize, Error> {
        Ok(0)
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error>;

    /// How many rows of weights there are, if [`backward_rows`](Self::backward_rows) gives the gradients
    /// of some.
    fn weight_rows(&self, _isa: Isa, _inputs: &[Shape]) -> Result<Option<usize>, Error> {
        Ok(None)
    }

    /// The gradients of some rows of weights, after [`backward`](Self::backward), which has left in
    /// `d_output` what they are made of.
    fn backward_rows(&self, _run: BackwardRows<'_>) -> Result<(), Error> {
        Err(Error::Empty { what: "rows of weights" })
    }
}

/// A forward pass: `output` is overwritten.
pub(crate) struct Forward<'a> {
    pub isa: Isa,
    pub shapes: &'a [Shape],
    pub inputs: &'a [&'a [f32]],
    pub prepared: &'a [f32],
    /// Shapes that were given to [`Operation::prepare`]; the batch may have been larger.
    pub prepared_for: &'a [Shape],
    /// The first input lies at the front of `output`, and its place in `inputs` is empty.
    pub in_place: bool,
    pub output: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

/// A backward pass: the gradients that are wanted are overwritten. `d_output` is not needed
/// afterwards and may be changed.
pub(crate) struct Backward<'a> {
    pub isa: Isa,
    pub shapes: &'a [Shape],
    pub inputs: &'a [&'a [f32]],
    pub output: &'a [f32],
    pub kept: &'a [u8],
    pub d_output: &'a mut [f32],
    pub d_inputs: [Option<&'a mut [f32]>; MAX_INPUTS],
    pub scratch: &'a mut [f32],
}

/// Gradients of some rows of weights: `d_weights` is overwritten.
pub(crate) struct BackwardRows<'a> {
    pub isa: Isa,
    pub shapes: &'a [Shape],
    pub input: &'a [f32],
    pub d_output: &'a [f32],
    pub rows: Range<usize>,
    pub d_weights: &'a mut [f32],
}

/// Elements of a batch `[N, H, W, C]`.
fn elements(batch: [usize; 4]) -> usize {
    batch.iter().product()
}

/// Elements of one of a batch `[N, H, W, C]`.
fn elements_of_one([_, h, w, c]: [usize; 4]) -> usize {
    h * w * c
}

/// Numbers of so many parts of scratch.
fn room_of_parts(parts: usize, len: usize) -> Result<usize, Error> {
    Ok(parts.checked_mul(len).ok_or(kernels::Error::TooLarge { what: "scratch" })?)
}

/// Numbers of arrays that scratch is parted into.
fn room<const N: usize>(lens: [usize; N]) -> Result<usize, Error> {
    let sum = lens.iter().try_fold(0usize, |sum, &len| sum.checked_add(len));
    Ok(sum.ok_or(kernels::Error::TooLarge { what: "scratch" })?)
}

macro_rules! operations {
    (layers: $($layer:ident),*; others: $($other:ident),*) => {
        /// An operation that a layer of a model does.
        #[derive(Clone, Copy)]
        pub(crate) enum LayerOp { $($layer($layer)),* }

        /// Any operation.
        #[derive(Clone, Copy)]
        pub(crate) enum Op { Layer(LayerOp), $($other($other)),* }

        impl LayerOp {
            pub fn get(&self) -> &dyn Operation {
                match self { $(LayerOp::$layer(op) => op),* }
            }

            pub fn differentiable(&self) -> &dyn Differentiable {
                match self { $(LayerOp::$layer(op) => op),* }
            }
        }

        impl Op {
            pub fn get(&self) -> &dyn Differentiable {
                match self {
                    Op::Layer(op) => op.differentiable(),
                    $(Op::$other(op) => op),*
                }
            }
        }

        impl From<LayerOp> for Op {
            fn from(op: LayerOp) -> Op { Op::Layer(op) }
        }
        $(impl From<$layer> for LayerOp {
            fn from(op: $layer) -> LayerOp { LayerOp::$layer(op) }
        })*
        $(impl From<$layer> for Op {
            fn from(op: $layer) -> Op { Op::Layer(op.into()) }
        })*
        $(impl From<$other> for Op {
            fn from(op: $other) -> Op { Op::$other(op) }
        })*
    };
}

operations! {
    layers: Conv2d, Conv2dPool, Dense, Dropout, Flatten, MaxPool2d, Relu, Softmax;
    others: Add, BinaryCrossEntropy, Matmul, MeanSquaredError, Mul, Reshape, SoftmaxCrossEntropy, Sum
}
