//! A tensor engine for small computers.
//!
//! - [`Sequential`] describes a net layer by layer and builds a [`Model`], a value that is saved,
//!   loaded in place, frozen by layers and taken to pieces.
//! - [`Trainer`] fits it to a [`Dataset`]; [`Session`] runs it, without allocating.
//! - [`Tape`] records operations on borrowed numbers and walks them backwards, for everything that
//!   is not a list of layers.
//!
//! Everything is `f32` and channels last: `[N, H, W, C]`. Without the feature `std` the crate
//! needs `alloc` and nothing else.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod arena;
#[cfg(feature = "std")]
mod atomic_file;
mod buffer;
mod checksum;
mod data;
mod error;
mod heap;
mod init;
mod layer;
mod layout;
mod loss;
mod metrics;
mod model;
mod model_file;
mod ops;
mod optimizer;
mod parallel;
mod plan;
mod sequential;
mod session;
mod shape;
mod slots;
mod summary;
mod tape;
mod tensor;
mod trainer;
mod training_plan;
mod training_session;

#[cfg(feature = "std")]
pub use atomic_file::AtomicFile;
pub use bantam_kernels::Isa;
pub use bantam_kernels::conv2d::Padding;
pub use buffer::Buffer;
pub use data::{Dataset, Samples};
pub use error::{Error, ModelFileProblem};
pub use init::Initializer;
pub use layer::{Layer, LayerKind, Parameter};
pub use loss::Loss;
pub use metrics::argmax;
pub use model::{Mode, Model};
pub use model_file::Aligned;
pub use ops::{Conv2d, MaxPool2d};
pub use optimizer::{Adam, Optimizer, OptimizerStep, RmsProp, Sgd};
pub use plan::{Plan, PlannedLayer};
pub use sequential::Sequential;
pub use session::Session;
pub use shape::Shape;
pub use slots::Slots;
pub use tape::{Gradients, Tape, Var};
pub use tensor::Tensor;
pub use trainer::{Epoch, Evaluation, Event, History, Trainer};
pub use training_plan::{TrainedLayer, TrainingPlan};
pub use training_session::TrainingSession;

/// The README's program, as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
