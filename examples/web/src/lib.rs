//! Reads digits in a web page, shows what each layer makes of them, and learns a handwriting.

pub mod border;
pub mod digits;
pub mod drawing;
pub mod reader;
