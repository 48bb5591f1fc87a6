//! Models of other programs.

pub mod command;
mod keras;
mod onnx;
mod onnx_files;
mod onnx_nets;
mod tflite;
mod tflite_files;
