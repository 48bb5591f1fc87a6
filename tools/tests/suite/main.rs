//! What users of the library rely on.

mod broken;
mod export;
mod features;
mod folders;
mod import;
mod made;
mod resizing;
