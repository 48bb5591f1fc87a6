//! The engine from outside, in one program: twenty would be compiled and linked for every CPU.

mod bad_graphs;
mod batch_normalization;
mod budget;
mod checkpoints;
mod common;
mod direct_only;
mod error;
mod fold;
mod functions;
mod fusion;
mod gradients;
mod graphs;
mod hostile_files;
mod keras;
mod layers;
mod losses;
mod memory;
mod metadata;
mod model_file;
mod noise;
mod optimizers;
mod plan;
mod pytorch;
mod slots;
mod training;
mod training_plan;
