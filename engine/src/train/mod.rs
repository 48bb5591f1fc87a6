//! How models learn from data sets.

mod data;
mod loss;
mod metrics;
mod optimizer;
mod trainer;

pub use data::{Dataset, Samples};
pub use loss::Loss;
pub(crate) use loss::{Criterion, check_probabilities, check_shares, fill_one_hot, is_class};
pub use metrics::argmax;
pub(crate) use optimizer::Rule;
pub use optimizer::{Adam, Optimizer, OptimizerStep, RmsProp, Sgd};
pub use trainer::{Epoch, Evaluation, Event, History, Trainer};
