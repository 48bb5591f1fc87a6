//! Models for other programs.

mod cases;
mod command;
mod onnx;
mod weights;
