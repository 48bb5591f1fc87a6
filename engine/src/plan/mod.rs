//! Where everything lies when a model runs or learns, known before it does.

pub(crate) mod inference;
pub(crate) mod kept;
mod options;
pub(crate) mod parts;
mod places;
mod timeline;
pub(crate) mod training;
pub(crate) mod way;

pub use inference::{Plan, PlannedStep};
pub use options::Options;
pub use training::{TrainedStep, TrainingPlan};
pub use way::Way;
