//! What a desktop has beside the engine: folders of images as data sets. The program `bantam` trains on them.
#![forbid(unsafe_code)]

pub mod images;
