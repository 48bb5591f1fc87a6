//! Memory: on cache lines, in arenas, and claimed from a heap that may have no room.

pub(crate) mod arena;
pub(crate) mod buffer;
pub(crate) mod heap;
pub(crate) mod lifetimes;
