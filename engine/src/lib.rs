//! A tensor engine for small computers.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod data;
mod error;
mod init;
mod layer;
mod loss;
mod metrics;
mod model;
mod model_file;
mod ops;
mod optimizer;
mod parallel;
mod sequential;
mod session;
mod shape;
mod summary;
mod tape;
mod tensor;
mod trainer;

pub use bantam_kernels::Isa;
pub use bantam_kernels::conv2d::Padding;
pub use data::{Dataset, Samples};
pub use error::{Error, ModelFileProblem};
pub use init::Initializer;
pub use layer::{Layer, LayerKind, Parameter};
pub use loss::Loss;
pub use metrics::argmax;
pub use model::{Mode, Model};
pub use model_file::Aligned;
pub use ops::{Conv2d, MaxPool2d};
pub use optimizer::{Adam, Optimizer, RmsProp, Sgd};
pub use sequential::Sequential;
pub use session::Session;
pub use shape::Shape;
pub use tape::{Gradients, Tape, Var};
pub use tensor::Tensor;
pub use trainer::{Epoch, Evaluation, Event, History, Trainer};
