//! What a model is: nodes over layers, how they are built, saved, fused and shown.

mod builder;
mod chain;
mod dot;
pub(crate) mod file;
mod fold;
mod functions;
pub(crate) mod fuse;
pub(crate) mod init;
mod metadata;
pub(crate) mod model;
mod node;
mod order;
mod sequential;
mod summary;
mod transfer;

pub use builder::{GraphBuilder, Value, WeightsOf};
pub use file::Aligned;
pub use init::Initializer;
pub use metadata::{ChannelOrder, Metadata, Scaling};
pub use model::Model;
pub use node::{Node, Parameter};
pub use sequential::Sequential;
