//! Models as they run and learn, by their plans.

mod carve;
pub(crate) mod session;
mod slots;
mod training_session;

pub use session::Session;
pub use slots::Slots;
pub(crate) use training_session::Shard;
pub use training_session::TrainingSession;
