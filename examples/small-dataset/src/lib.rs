//! A ConvNet from scratch on few pictures: the pictures, the net, and what is shown while it learns.

pub mod data;
pub mod net;
pub mod watch;
