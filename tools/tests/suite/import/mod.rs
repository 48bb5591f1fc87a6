//! Models of other programs.

mod keras;
mod onnx;
mod onnx_files;
mod onnx_nets;
