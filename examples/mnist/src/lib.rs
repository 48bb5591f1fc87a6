//! A digit reader: the MNIST data, two nets that read it, and what a person looks at.

pub mod curves;
pub mod data;
pub mod draw;
pub mod idx;
pub mod nets;
