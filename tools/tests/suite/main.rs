//! What users of the library rely on.

mod broken;
mod folders;
mod made;
mod resizing;
