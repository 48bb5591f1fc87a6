//! A tensor engine for small computers.
//!
//! - [`Sequential`] describes a net layer by layer, [`GraphBuilder`] one with branches. They build a
//!   [`Model`], a value that is saved, loaded in place, frozen by layers and taken to pieces.
//! - [`Trainer`] fits it to a [`Dataset`], with [`Augmentation`] of images; [`Session`] runs it, without allocating.
//! - [`Tape`] records operations on borrowed numbers and walks them backwards, for everything that
//!   is not a graph of layers.
//!
//! Everything is `f32` and channels last: `[N, H, W, C]`. Without the feature `std` the crate
//! needs `alloc` and nothing else.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod atomic_file;
mod augment;
mod checksum;
mod error;
pub mod explain;
mod graph;
mod layers;
mod loss;
mod memory;
mod metrics;
mod mismatch;
mod optimizer;
mod parallel;
mod plan;
mod run;
mod shape;
mod tape;
mod tensor;
mod train;

#[cfg(feature = "std")]
pub use atomic_file::AtomicFile;
pub use augment::{Augmentation, Spread, Transform};
pub use bantam_kernels::Isa;
pub use bantam_kernels::conv2d::{Activation, Padding};
pub use bantam_kernels::max_pool2d::Windows;
pub use bantam_kernels::warp::{Fill, Interpolation};
pub use error::{Error, ModelFileProblem};
pub use graph::{
    Aligned, ChannelOrder, GraphBuilder, Initializer, Metadata, Model, Node, Parameter, Scaling, Sequential,
    Value, WeightsOf,
};
pub use layers::{
    ActivityRegularization, Add, Affine, AlphaDropout, Attributes, AttributesMut, Average, AveragePool1d,
    AveragePool2d, AxisSoftmax, Backward, BackwardReads, BackwardRows, BatchNormalization, BatchStatistics,
    Concatenate, Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, Cropping1d, Cropping2d, Dense,
    DepthwiseConv1d, DepthwiseConv2d, Differentiable, Dropout, Elu, Exponential, Flatten, Forward,
    GaussianDropout, GaussianNoise, Gelu, GeneralRelu, GlobalAveragePool1d, GlobalAveragePool2d,
    GlobalMaxPool1d, GlobalMaxPool2d, GroupNormalization, Gru, HardSigmoid, HardSigmoidKeras2, HardSwish,
    Initial, Layer, LayerNormalization, LayerType, LeakyRelu, Lstm, MAX_INPUTS, MAX_WEIGHTS, MaxPool1d,
    MaxPool2d, Maximum, Minimum, Mish, Multiply, Normalization, PassesOn, Permute, Port, Prelu,
    RecurrentOptions, Relu, Relu6, Rescaling, Reshape, Selu, SeparableConv2d, Series, Sigmoid, Signature,
    Silu, Site, Softmax, Softplus, Softsign, SpatialDropout1d, SpatialDropout2d, Step, Subtract, Tanh,
    TanhGelu, TrainingStep, UpSampling1d, UpSampling2d, WeightSpec, ZeroPadding1d, ZeroPadding2d, one_input,
};
pub use loss::{L1L2, Loss};
pub use memory::buffer::Buffer;
pub use metrics::{
    Auc, BinaryAccuracy, CategoricalAccuracy, ConfusionMatrix, Evaluation, MeanOf, Measured, Metric,
    Precision, Predictions, Recall, Row, TopKAccuracy, Weighted, argmax,
};
pub use optimizer::schedule::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, OneCycle, PiecewiseConstantDecay,
    PolynomialDecay, Schedule,
};
pub use optimizer::{Adagrad, Adam, AdamW, Adamax, Lion, Nadam, Optimizer, OptimizerStep, RmsProp, Sgd};
pub use parallel::Threads;
pub use plan::{Options, Plan, PlannedStep, TrainedStep, TrainingPlan, Way};
pub use run::{Session, Slots, TrainingSession};
pub use shape::Shape;
pub use tape::{Gradients, Mode, Operation, Tape, Var};
pub use tensor::Tensor;
pub use train::{
    Augmented, Dataset, Epoch, Event, FeatureBatch, Features, History, Monitor, ReduceLrOnPlateau, Samples,
    Trainer,
};

/// The README's program, as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The layer of the guide, as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adding-a-layer.md")]
struct AddingALayer;
