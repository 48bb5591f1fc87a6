//! Names the board, and puts its memory map where the linker looks.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let target = env::var("TARGET").unwrap_or_default();
    let (board, scripts): (_, &[&str]) = if target.starts_with("aarch64") {
        ("cortex-a53", &["image.ld", "memory.x"])
    } else if target.starts_with("thumbv8m.main") {
        ("cortex-m55", &["link.x"])
    } else if env::var_os("CARGO_FEATURE_M7").is_some() {
        ("cortex-m7", &["link.x"])
    } else {
        ("cortex-m4f", &["link.x"])
    };
    let memory = format!("memory/{board}.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::copy(&memory, out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    for script in scripts {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    // For the program, and for `run`, which starts it.
    println!("cargo::rustc-env=BOARD={board}");
    println!("cargo::rustc-check-cfg=cfg(armv8m)");
    if board == "cortex-m55" {
        println!("cargo::rustc-cfg=armv8m");
    }
    println!("cargo::rerun-if-changed={memory}");
    Ok(())
}
