//! `bantam import` as a person uses it.

use super::keras::{KERAS_3, golden, recorded};
use npyz::WriterBuilder;
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Writes an array as NumPy does.
pub fn npy(path: &Path, shape: &[usize], values: &[f32]) {
    let shape: Vec<u64> = shape.iter().map(|&size| size as u64).collect();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(File::create(path).unwrap())
        .begin_nd()
        .unwrap();
    writer.extend(values.iter()).unwrap();
    writer.finish().unwrap();
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bantam")).current_dir(folder).args(arguments).output().unwrap()
}

#[test]
fn a_model_is_imported_checked_and_written() {
    let folder = TempDir::new().unwrap();
    let here = folder.path();
    let file = golden("nested.keras");
    let file = file.to_str().unwrap();
    let (inputs, outputs) = (recorded(KERAS_3, "nested", "input"), recorded(KERAS_3, "nested", "output"));
    npy(&here.join("in.npy"), &inputs[0].0, &inputs[0].1);
    npy(&here.join("out.npy"), &outputs[0].0, &outputs[0].1);
    let import = ["import", file, "-o", "net.bantam", "--check", "in.npy", "out.npy"];
    let told = run(here, &import);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.status.success() && text.contains("largest difference from the recorded outputs of 1 sample: "),
        "{text}"
    );
    assert!(
        text.contains("Wrote net.bantam: ") && text.starts_with("Keras archive (.keras), by Keras 3.15.1\n"),
        "{text}"
    );
    let json = run(here, &[&import[..], &["--json"]].concat());
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["operators"]["Conv2D"], &json["inputs"][0]["name"]), (&5.into(), &"image".into()));
    assert!(json["largest_difference"]["relative"].as_f64().unwrap() < 1e-5, "{json}");

    // Other outputs are not the model's, and nothing is written.
    std::fs::remove_file(here.join("net.bantam")).unwrap();
    npy(&here.join("out.npy"), &outputs[0].0, &vec![0.5; outputs[0].1.len()]);
    let told = run(here, &import);
    let error = String::from_utf8(told.stderr).unwrap();
    assert!(
        !told.status.success() && error.contains("expected at most 1.0e-4 of their root mean square, got "),
        "{error}"
    );
    assert!(!here.join("net.bantam").exists());
    npy(&here.join("out.npy"), &[1, 2], &[0.5; 2]);
    let error = String::from_utf8(run(here, &import).stderr).unwrap();
    assert!(error.contains("out.npy: expected an array [1, 3], got [1, 2]"), "{error}");
    let error = String::from_utf8(run(here, &["import", "none.keras"]).stderr).unwrap();
    assert!(error.starts_with("error: none.keras: "), "{error}");
    let wrong = run(here, &["import", file, "--input-size", "150"]);
    assert_eq!(wrong.status.code(), Some(2));
}
