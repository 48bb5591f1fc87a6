//! Models of other programs.

pub mod command;
mod keras;
mod keras_training;
mod onnx;
mod onnx_files;
mod onnx_nets;
mod onnx_series;
mod safetensors;
mod tflite;
mod tflite_files;
