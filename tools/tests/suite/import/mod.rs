//! Models of other programs.

mod onnx;
mod onnx_files;
mod onnx_nets;
