//! Models of other programs.

mod command;
mod keras;
mod onnx;
mod onnx_files;
mod onnx_nets;
