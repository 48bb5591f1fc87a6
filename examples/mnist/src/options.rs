//! Options that several commands have.

use bantam::{Error, Model, Shape};
use clap::ValueEnum;
use mnist::nets;
use std::path::{Path, PathBuf};

/// A net to train.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum NetChoice {
    /// Three convolutions and two dense layers
    Convnet,
    /// Residual blocks of depthwise convolutions, with batch normalisation
    Residual,
}

impl NetChoice {
    /// The net for pictures of that shape, with weights drawn from `seed`.
    ///
    /// # Errors
    /// The pictures are too small for it.
    pub fn build(self, input: Shape, seed: u64) -> Result<Model<'static>, Error> {
        match self {
            NetChoice::Convnet => nets::convnet(input.dims(), seed),
            NetChoice::Residual => nets::residual(input.dims(), seed),
        }
    }
}

/// That folder of IDX files, or the one that comes with the program.
pub fn data_folder(chosen: Option<&Path>) -> PathBuf {
    chosen.unwrap_or(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data"))).to_path_buf()
}
