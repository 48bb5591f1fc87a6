//! How models learn from data sets.

mod augmented;
mod batch;
mod checkpoint;
mod data;
mod evaluate;
mod features;
mod plateau;
mod progress;
mod running;
mod session;
mod shards;
mod trainer;

pub use augmented::Augmented;
pub use data::{Dataset, Samples};
pub use features::{FeatureBatch, Features};
pub use plateau::{Monitor, ReduceLrOnPlateau};
pub use trainer::{Epoch, Event, History, Trainer};
