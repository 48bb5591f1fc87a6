//! A digit reader: the MNIST data, and two nets that read it.

pub mod data;
pub mod idx;
pub mod nets;
