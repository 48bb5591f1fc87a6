//! How models learn from data sets.

mod data;
mod session;
mod trainer;

pub use data::{Dataset, Samples};
pub use trainer::{Epoch, Event, History, Trainer};
