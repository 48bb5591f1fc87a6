//! Folders of images as data sets.
//!
//! A folder has a folder for each class, whose name is the class's. [`ImageFolder`] opens it, and what it opens is a
//! [`Dataset`](bantam::Dataset) that reads ahead on threads and keeps a bounded number of decoded images:
//!
//! ```no_run
//! use bantam_tools::images::{ClassMode, ImageFolder};
//! let folder = ImageFolder::new("cats_and_dogs/train")
//!     .target_size(150, 150)
//!     .rescale(1.0 / 255.0)
//!     .class_mode(ClassMode::Binary);
//! let (training, validation) = folder.validation_split(0.2, 1)?;
//! assert_eq!(training.class_names(), ["cats", "dogs"]);
//! # Ok::<(), bantam_tools::images::FolderError>(())
//! ```

mod decode;
mod error;
mod folder;
mod index;
mod loader;
pub mod model;
mod queue;
mod resize;
mod set;

pub use decode::Color;
pub use error::{FolderError, ImageError};
pub use folder::ImageFolder;
pub use loader::ImageLoader;
pub use resize::{AspectRatio, Resampling};
pub use set::{ClassMode, ImageSet, OnBroken, Report, Skipped};
