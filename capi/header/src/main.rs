//! Writes `include/bantam.h`, or the file that is named: `cargo run -p bantam-header [FILE]`.

use std::path::PathBuf;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let capi = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let to = env::args_os().nth(1).map_or_else(|| capi.join("include/bantam.h"), PathBuf::from);
    let config = cbindgen::Config::from_file(capi.join("cbindgen.toml"))?;
    let mut header = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(capi.join("src/failure.rs"))
        .with_src(capi.join("src/lib.rs"))
        .with_src(capi.join("src/trainer.rs"))
        .generate()?
        .write(&mut header);
    fs::write(to, header)?;
    Ok(())
}
