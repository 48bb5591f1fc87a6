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

#[test]
fn weights_alone_go_into_a_model_or_a_net_of_the_zoo() {
    let folder = TempDir::new().unwrap();
    let here = folder.path();
    let said = |arguments: &[&str]| {
        let told = run(here, arguments);
        let text = String::from_utf8([told.stdout, told.stderr].concat()).unwrap();
        (told.status.code(), text)
    };
    let net = bantam_zoo::resnet8();
    let [learnt, other] = [1, 2].map(|seed| net.build(seed).unwrap());
    learnt.save(here.join("learnt.bantam")).unwrap();
    other.save(here.join("other.bantam")).unwrap();
    for file in ["learnt.safetensors", "learnt.h5"] {
        let (code, text) = said(&["export", "learnt.bantam", "-o", file]);
        assert!(code == Some(0) && text.starts_with(&format!("Wrote {file}: ")), "{text}");
        for model in [["--into", "other.bantam"], ["--net", "resnet8"]] {
            let (code, text) = said(&[&["import", file, "-o", "again.bantam"], &model[..]].concat());
            assert!(code == Some(0) && text.contains("Conv2D"), "{text}");
            assert_eq!(bantam::Model::load(here.join("again.bantam")).unwrap(), learnt, "{file}");
        }
    }
    let (code, text) = said(&["import", "learnt.safetensors"]);
    assert!(code == Some(1) && text.contains("--into or --net"), "{text}");

    // Weights of PyTorch, by a map; what it has not stays.
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/torch/net.safetensors");
    let weights = weights.to_str().unwrap();
    let head = bantam::Sequential::new([7]).dense(4).named("last").dense(2).named("mine").build(1).unwrap();
    head.save(here.join("head.bantam")).unwrap();
    std::fs::write(here.join("map.json"), r#"{"last": "out"}"#).unwrap();
    let import = ["import", weights, "--into", "head.bantam", "-o", "out.bantam", "--map", "map.json"];
    let (code, text) = said(&import);
    assert!(code == Some(1) && text.contains("mine/kernel: the file has no mine/kernel"), "{text}");
    assert!(!here.join("out.bantam").exists());
    let (code, text) = said(&[&import[..], &["--partial"]].concat());
    assert!(code == Some(0), "{text}");
    assert!(text.contains("note: mine: the file has none, it stays as it is"), "{text}");
    assert!(text.contains("left out: hidden.weight: weights of no layer"), "{text}");
    std::fs::write(here.join("map.json"), "[]").unwrap();
    let (code, text) = said(&import);
    assert!(code == Some(1) && text.contains("map.json: map: expected an object of names"), "{text}");
    let (code, text) = said(&["import", "learnt.h5", "--into", "other.bantam", "--map", "head.bantam"]);
    assert!(code == Some(1) && text.contains("head.bantam: map: "), "{text}");
    for usage in [&["--net", "resnet9"][..], &["--net", "resnet8", "--into", "other.bantam"], &["--no-top"]] {
        assert_eq!(said(&[&["import", "learnt.h5"], usage].concat()).0, Some(2), "{usage:?}");
    }
}
