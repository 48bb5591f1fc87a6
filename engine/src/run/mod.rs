//! Models as they run and learn, by their plans.

mod carve;
mod pairwise_sum;
pub(crate) mod session;
mod shard;
mod slots;
mod training_session;
mod training_step;

pub(crate) use pairwise_sum::PairwiseSum;
pub use session::Session;
pub(crate) use shard::{Lesson, Shard};
pub use slots::Slots;
pub use training_session::TrainingSession;
