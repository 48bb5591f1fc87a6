//! `bantam export` as a person uses it.

use bantam::Sequential;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bantam")).current_dir(folder).args(arguments).output().unwrap()
}

#[test]
fn a_model_goes_out_and_comes_in() {
    let folder = TempDir::new().unwrap();
    let here = folder.path();
    let model = Sequential::new([8, 8, 3]).conv2d(2, 3).relu().flatten().dense(2).build(1).unwrap();
    model.save(here.join("net.bantam")).unwrap();
    let told = run(here, &["export", "net.bantam", "-o", "net.onnx", "--batch", "open", "--opset", "18"]);
    assert!(told.status.success(), "{told:?}");
    let parameters = model.parameter_count();
    let expected = format!("Wrote net.onnx: 4 layers, {parameters} parameters.\n");
    assert_eq!(String::from_utf8(told.stdout).unwrap(), expected);
    let told = run(here, &["import", "net.onnx", "-o", "back.bantam"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.starts_with("ONNX, opset 18, by bantam "), "{told}");
    assert!(told.contains("1 transpose removed, 0 left"), "{told}");

    let told = run(here, &["export", "net.bantam", "-o", "net.txt"]);
    let error = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(1));
    assert!(error.starts_with("error: net.txt: expected a name that ends in .onnx"), "{error}");
    assert!(!here.join("net.txt").exists());
    assert_eq!(run(here, &["export", "net.bantam", "-o", "x.onnx", "--batch", "0"]).status.code(), Some(2));
}
