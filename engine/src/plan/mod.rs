//! Where everything lies when a model runs or learns, known before it does.

pub(crate) mod inference;
mod options;
mod places;
pub(crate) mod timeline;
pub(crate) mod training;

pub use inference::{Plan, PlannedStep};
pub use options::Options;
pub use timeline::Way;
pub use training::{TrainedStep, TrainingPlan};
