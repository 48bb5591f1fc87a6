//! How models learn from data sets.

mod batch;
mod data;
mod session;
mod shards;
mod trainer;

pub use data::{Dataset, Samples};
pub use trainer::{Epoch, Event, History, Trainer};
