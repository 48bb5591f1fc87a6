//! The layers, one file each. A layer's file has its attributes and how a model's file keeps them, its shape rule, its
//! weights, and how it is lowered to a step: for inference, and with a backward pass for training.

mod activity_regularization;
mod add;
mod alpha_dropout;
mod attributes;
mod average;
mod average_pool1d;
mod average_pool2d;
mod axis_softmax;
mod batch_normalization;
mod by_rows;
mod concatenate;
mod conv1d;
mod conv1d_transpose;
mod conv2d;
mod conv2d_transpose;
mod cropping1d;
mod cropping2d;
mod dense;
mod depthwise_conv1d;
mod depthwise_conv2d;
mod dropout;
mod elu;
mod exponential;
mod extreme;
mod flatten;
mod frame;
mod gaussian_dropout;
mod gaussian_noise;
mod gelu;
mod general_relu;
mod global_average_pool1d;
mod global_average_pool2d;
mod global_max_pool1d;
mod global_max_pool2d;
mod group_normalization;
mod gru;
mod hard_sigmoid;
mod hard_sigmoid_keras2;
mod hard_swish;
mod layer_normalization;
mod layer_type;
mod leaky_relu;
mod lstm;
mod map;
mod max_pool1d;
mod max_pool2d;
mod maximum;
mod minimum;
mod mish;
mod multiply;
mod noise;
mod normalization;
mod permute;
mod pool_parts;
mod prelu;
mod recurrent;
mod relu;
mod relu6;
mod rescaling;
mod reshape;
mod schedule;
mod selu;
mod separable_conv2d;
mod series;
mod sigmoid;
mod silu;
mod softmax;
mod softplus;
mod softsign;
mod spatial_dropout;
mod spatial_dropout1d;
mod spatial_dropout2d;
mod step;
mod subtract;
mod tanh;
mod tanh_gelu;
mod up_sampling1d;
mod up_sampling2d;
mod zero_padding1d;
mod zero_padding2d;

pub use activity_regularization::ActivityRegularization;
pub use add::Add;
pub(crate) use add::AddStep;
pub use alpha_dropout::AlphaDropout;
pub use attributes::{Attributes, AttributesMut};
pub use average::Average;
pub use average_pool1d::AveragePool1d;
pub use average_pool2d::AveragePool2d;
pub use axis_softmax::AxisSoftmax;
pub use batch_normalization::BatchNormalization;
pub use concatenate::Concatenate;
pub use conv1d::Conv1d;
pub use conv1d_transpose::Conv1dTranspose;
pub use conv2d::Conv2d;
pub use conv2d_transpose::Conv2dTranspose;
pub use cropping1d::Cropping1d;
pub use cropping2d::Cropping2d;
pub use dense::Dense;
pub use depthwise_conv1d::DepthwiseConv1d;
pub use depthwise_conv2d::DepthwiseConv2d;
pub use dropout::Dropout;
pub use elu::Elu;
pub use exponential::Exponential;
pub(crate) use flatten::CopyStep;
pub use flatten::Flatten;
pub use gaussian_dropout::GaussianDropout;
pub use gaussian_noise::GaussianNoise;
pub use gelu::Gelu;
pub use general_relu::GeneralRelu;
pub use global_average_pool1d::GlobalAveragePool1d;
pub use global_average_pool2d::GlobalAveragePool2d;
pub use global_max_pool1d::GlobalMaxPool1d;
pub use global_max_pool2d::GlobalMaxPool2d;
pub use group_normalization::{Affine, GroupNormalization};
pub use gru::Gru;
pub use hard_sigmoid::HardSigmoid;
pub use hard_sigmoid_keras2::HardSigmoidKeras2;
pub use hard_swish::HardSwish;
pub use layer_normalization::LayerNormalization;
pub use layer_type::{Joined, LayerType, PassesOn};
pub use leaky_relu::LeakyRelu;
pub use lstm::Lstm;
pub(crate) use map::MapStep;
pub use max_pool1d::MaxPool1d;
pub use max_pool2d::MaxPool2d;
pub use maximum::Maximum;
pub use minimum::Minimum;
pub use mish::Mish;
pub use multiply::Multiply;
pub(crate) use multiply::MultiplyStep;
pub use normalization::Normalization;
pub use permute::Permute;
pub use prelu::Prelu;
pub use recurrent::Options as RecurrentOptions;
pub use relu::Relu;
pub use relu6::Relu6;
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub(crate) use schedule::{Read, Schedule, Scheduled, Source};
pub use selu::Selu;
pub use separable_conv2d::SeparableConv2d;
pub use series::Series;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use softmax::Softmax;
pub(crate) use softmax::matrix;
pub use softplus::Softplus;
pub use softsign::Softsign;
pub use spatial_dropout1d::SpatialDropout1d;
pub use spatial_dropout2d::SpatialDropout2d;
pub use step::{
    Backward, BackwardReads, BackwardRows, BatchStatistics, Forward, Port, Site, Step, TrainingStep,
};
pub use subtract::Subtract;
pub use tanh::Tanh;
pub use tanh_gelu::TanhGelu;
pub use up_sampling1d::UpSampling1d;
pub use up_sampling2d::UpSampling2d;
pub use zero_padding1d::ZeroPadding1d;
pub use zero_padding2d::ZeroPadding2d;

use crate::error::Error;
use crate::memory::heap;
use crate::shape::Shape;
use alloc::vec::Vec;
use bantam_kernels::conv2d::Activation;

/// The most inputs that a layer has.
pub const MAX_INPUTS: usize = 8;

/// The most arrays of weights that a layer has.
pub const MAX_WEIGHTS: usize = 6;

/// What a program that runs a layer needs of it.
pub trait Layer: Sized + 'static {
    /// Keras's name of the class, which a model's file has: `"Conv2D"`.
    const NAME: &'static str;

    /// What a layer is called if it is given no name: `"conv2d"`, `"conv2d_1"`, …
    const BASE: &'static str;

    /// The layer as [`layers!`](crate::layers) lists it, for inference.
    const TYPE: LayerType = LayerType::of::<Self>();

    /// How it computes.
    type Step: Step + 'static;

    /// Reads what [`write`](Self::write) has written.
    fn read(attributes: &mut Attributes<'_>) -> Self;

    /// Writes the attributes for a model's file.
    fn write(&self, attributes: &mut AttributesMut);

    /// What a builder makes a layer of its own behind it.
    fn activation(&self) -> Activation {
        Activation::None
    }

    /// The shape of the output for one sample of these shapes, and the weights that it takes.
    ///
    /// # Errors
    /// The inputs, or their number, do not fit.
    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error>;

    /// Chooses how to compute, for these shapes, threads and CPU.
    ///
    /// # Errors
    /// The shapes do not fit, or sizes are more than memory can hold.
    fn lower(&self, site: &Site<'_>) -> Result<Self::Step, Error>;
}

/// What training needs of a layer beside. Apart, so that a program that only infers links no backward pass.
pub trait Differentiable: Layer {
    /// The layer as builders and [`trainable_layers!`](crate::trainable_layers) list it.
    const TRAINABLE: LayerType = Self::TYPE.trainable::<Self>();

    /// How it computes when a backward pass follows.
    type TrainingStep: TrainingStep + 'static;

    /// As [`lower`](Layer::lower), with a backward pass.
    ///
    /// # Errors
    /// As [`lower`](Layer::lower).
    fn lower_for_training(&self, site: &Site<'_>) -> Result<Self::TrainingStep, Error>;
}

/// What a layer gives, and which weights it takes.
///
/// Adding to it never fails, so that a layer's `signature` reads as a list: a size that is wrong is kept, and reported when the
/// layer goes into a model.
#[derive(Debug)]
pub struct Signature {
    /// Or the first thing that was wrong.
    pub(crate) output: Result<Shape, Error>,
    pub(crate) weights: Vec<WeightSpec>,
}

/// Weights of a layer: name, shape, and what they begin as.
#[derive(Clone, Copy, Debug)]
pub struct WeightSpec {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) initial: Initial,
    pub(crate) role: Role,
}

/// What training does with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// They go down their gradient.
    Learnt,
    /// They follow the statistics of batches.
    Moving,
    /// Nothing.
    Constant,
}

/// What weights begin as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// Drawn by the layer's [`Initializer`](crate::Initializer), for so many inputs of an output and outputs of an input.
    Drawn {
        /// Inputs of an output.
        fan_in: usize,
        /// Outputs of an input.
        fan_out: usize,
    },
    /// All of one value.
    Constant(f32),
    /// Ones in that part, from 0 on, of so many equal parts, and zeros elsewhere.
    Ones {
        /// Which part.
        part: usize,
        /// How many there are.
        of: usize,
    },
    /// A matrix with orthonormal rows, or columns if these are fewer, of a random direction (Saxe et al., arXiv 1312.6120).
    Orthogonal,
}

impl Signature {
    /// Without weights, for an output of these sizes.
    pub fn of(output: &[usize]) -> Signature {
        Signature { output: Shape::new(output).map_err(Error::from), weights: Vec::new() }
    }

    /// The same, for an output of that shape.
    pub fn new(output: Shape) -> Signature {
        Signature { output: Ok(output), weights: Vec::new() }
    }

    /// With weights of these sizes too, [`MAX_WEIGHTS`] arrays in all.
    #[must_use]
    pub fn weight(mut self, name: &'static str, sizes: &[usize], initial: Initial) -> Signature {
        self.add(name, sizes, initial, Role::Learnt);
        self
    }

    /// With weights that have no gradient and follow the [statistics](BatchStatistics) of the batches.
    #[must_use]
    pub fn moving(mut self, name: &'static str, sizes: &[usize], initial: Initial) -> Signature {
        self.add(name, sizes, initial, Role::Moving);
        self
    }

    /// With weights that training does not change.
    #[must_use]
    pub fn constant(mut self, name: &'static str, sizes: &[usize], initial: Initial) -> Signature {
        self.add(name, sizes, initial, Role::Constant);
        self
    }

    /// The shape of the output for one sample.
    ///
    /// # Errors
    /// The first thing that was wrong with it or with the weights.
    pub fn output(&self) -> Result<Shape, Error> {
        self.output.clone()
    }

    /// The names and shapes of the weights, in order.
    pub fn weights(&self) -> impl Iterator<Item = (&'static str, Shape)> {
        self.weights.iter().map(|spec| (spec.name, spec.shape))
    }

    /// With a bias of zeros, `[features]`, if there is one.
    #[must_use]
    pub fn bias(self, bias: bool, features: usize) -> Signature {
        if bias { self.weight("bias", &[features], Initial::Constant(0.0)) } else { self }
    }

    #[inline(never)] // One copy, whatever a layer adds.
    fn add(&mut self, name: &'static str, sizes: &[usize], initial: Initial, role: Role) {
        let added = Shape::new(sizes).map_err(Error::from).and_then(|shape| {
            if self.weights.len() == MAX_WEIGHTS {
                let (what, max) = ("weights of a layer", MAX_WEIGHTS);
                return Err(Error::TooMany { what, max, got: max + 1 });
            }
            heap::push(&mut self.weights, WeightSpec { name, shape, initial, role })
        });
        if let (Err(error), Ok(_)) = (added, &self.output) {
            self.output = Err(error);
        }
    }
}

/// The only input of a layer that takes one.
///
/// # Errors
/// There are none, or several.
pub fn one_input(inputs: &[Shape]) -> Result<Shape, Error> {
    match *inputs {
        [input] => Ok(input),
        _ => Err(Error::Inputs { expected: "one", got: inputs.len() }),
    }
}

/// How many samples the only input of a layer has, and the shape of one.
fn one_batch(inputs: &[Shape]) -> Result<(usize, Shape), Error> {
    let input = one_input(inputs)?;
    input.split_batch().ok_or_else(|| Error::rank("input", 1, input))
}

/// The inputs of a layer that takes two.
fn two_inputs(inputs: &[Shape]) -> Result<[Shape; 2], Error> {
    inputs.try_into().map_err(|_| Error::Inputs { expected: "two", got: inputs.len() })
}

/// The first input and the others of a layer that takes two or more.
fn several_inputs(inputs: &[Shape]) -> Result<(Shape, &[Shape]), Error> {
    match *inputs {
        [first, ref others @ ..] if !others.is_empty() => Ok((first, others)),
        _ => Err(Error::Inputs { expected: "two or more", got: inputs.len() }),
    }
}

/// The places of the gradients to the weights, where they are asked for.
pub(crate) fn gradients<'b, const N: usize>(
    d_weights: &'b mut [Option<&mut [f32]>],
) -> [Option<&'b mut [f32]>; N] {
    let mut gradients = d_weights.iter_mut().map(|gradient| gradient.as_deref_mut());
    [(); N].map(|()| gradients.next().flatten())
}

/// The sizes of the only input of a layer that takes one, of so many dimensions.
///
/// # Errors
/// There are others.
pub(crate) fn one_input_of<const N: usize>(inputs: &[Shape]) -> Result<[usize; N], Error> {
    match inputs {
        [input] => input.array("input"),
        _ => Err(Error::Inputs { expected: "one", got: inputs.len() }),
    }
}

/// What a kernel gave, where it lies: large values that are moved out of a result are copied there.
pub(crate) fn kept<T>(result: &Result<T, bantam_kernels::Error>) -> Result<&T, Error> {
    result.as_ref().map_err(|&error| error.into())
}

/// Elements of a batch `[N, H, W, C]`.
pub(crate) fn elements(batch: [usize; 4]) -> usize {
    batch.iter().product()
}

/// Elements of one of a batch `[N, H, W, C]`.
pub(crate) fn elements_of_one([_, h, w, c]: [usize; 4]) -> usize {
    h * w * c
}

/// Elements of arrays that scratch is parted into. What takes more than there are numbers for ends there: a plan checks
/// the length of its arena.
pub(crate) fn room<const N: usize>(lens: [usize; N]) -> usize {
    lens.into_iter().fold(0, usize::saturating_add)
}

/// The layers that a program runs: no others are linked into it.
///
/// ```
/// use bantam::{Conv2d, Dense, Flatten, Model, Relu, Sequential, layers};
/// let file = Sequential::new([6, 6, 1]).conv2d(2, 3).relu().flatten().dense(3).build(1)?.to_bytes()?;
/// let model = Model::from_bytes_with(&file, layers![Conv2d, Relu, Flatten, Dense])?;
/// assert_eq!(model.nodes().len(), 4);
/// assert!(Model::from_bytes_with(&file, layers![Conv2d, Relu]).is_err());
/// # Ok::<(), bantam::Error>(())
/// ```
#[macro_export]
macro_rules! layers {
    ($($layer:ty),* $(,)?) => {
        &[$(&<$layer as $crate::Layer>::TYPE),*]
    };
}

/// The layers that a program runs and trains: no others are linked into it.
#[macro_export]
macro_rules! trainable_layers {
    ($($layer:ty),* $(,)?) => {
        &[$(&<$layer as $crate::Differentiable>::TRAINABLE),*]
    };
}

/// Every layer of this library.
pub(crate) const ALL: &[&LayerType] = trainable_layers![
    ActivityRegularization,
    Add,
    AlphaDropout,
    Average,
    AveragePool1d,
    AveragePool2d,
    AxisSoftmax,
    BatchNormalization,
    Concatenate,
    Conv1d,
    Conv1dTranspose,
    Conv2d,
    Conv2dTranspose,
    Cropping1d,
    Cropping2d,
    Dense,
    DepthwiseConv1d,
    DepthwiseConv2d,
    Dropout,
    Elu,
    Exponential,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    Gelu,
    GeneralRelu,
    GlobalAveragePool1d,
    GlobalAveragePool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    GroupNormalization,
    Gru,
    HardSigmoid,
    HardSigmoidKeras2,
    HardSwish,
    LayerNormalization,
    LeakyRelu,
    Lstm,
    MaxPool1d,
    MaxPool2d,
    Maximum,
    Minimum,
    Mish,
    Multiply,
    Normalization,
    Permute,
    Prelu,
    Relu,
    Relu6,
    Rescaling,
    Reshape,
    Selu,
    SeparableConv2d,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    SpatialDropout1d,
    SpatialDropout2d,
    Subtract,
    Tanh,
    TanhGelu,
    UpSampling1d,
    UpSampling2d,
    ZeroPadding1d,
    ZeroPadding2d,
];
